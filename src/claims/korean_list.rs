//! Cuts a Korean clause that lists things, 안경과 모자를 쓰고 있다, into a claim for each.

use std::ops::Range;

use super::cue::joins;
use super::korean::{HAVING, is_existence};
use super::korean_clause::{Word, connective, is_subject, is_topic};
use super::korean_number::is_number_word;
use super::korean_particle::{attach, detach};
use super::{Piece, sentence};

/// Most words of the last thing of a list.
const LAST_WORDS: usize = 4;
/// What relates the two things that it names, or is told of both at once.
const RELATING: &[&str] = &[
    "함께", "같이", "서로", "사이", "닮", "같", "다르", "다른", "비슷", "일치", "나란", "마주",
    "더불", "모두", "각각", "둘",
];
/// Verbs that end like the particle 와.
const VERBS: &[&str] = &[
    "나와",
    "들어와",
    "돌아와",
    "다가와",
    "내려와",
    "올라와",
    "걸어와",
    "찾아와",
    "날아와",
    "떠나와",
    "건너와",
    "넘어와",
    "따라와",
    "가져와",
    "데려와",
    "불러와",
    "튀어나와",
    "도와",
    "가까이와",
];
/// Nouns that 하고 may join to another; behind most others it is a verb: 선명하고.
const THINGS: &[&str] = &[
    "안경",
    "선글라스",
    "모자",
    "목걸이",
    "귀걸이",
    "반지",
    "시계",
    "가방",
    "우산",
    "목도리",
    "장갑",
    "마스크",
    "헬멧",
    "넥타이",
    "머리",
    "눈",
    "코",
    "입",
    "귀",
    "이마",
    "턱",
    "수염",
    "눈썹",
    "치아",
    "남자",
    "여자",
    "아이",
    "사람",
    "개",
    "고양이",
    "새",
    "말",
    "컵",
    "책",
    "의자",
    "책상",
    "침대",
    "소파",
    "자동차",
    "버스",
    "자전거",
    "나무",
    "꽃",
    "사과",
    "접시",
    "병",
];

/// The pieces of the clause `whole` with these words, one for each thing that it lists; none where it
/// lists nothing, or tells of all at once. What stands before the list and behind it is told of each.
pub(super) fn listed(source: &str, whole: &Piece, words: &[Word<'_>]) -> Option<Vec<Piece>> {
    let first = (0..words.len()).find(|&at| joined(words, at).is_some())?;
    let relates = |word: &Word<'_>| RELATING.iter().any(|start| word.bare.starts_with(start));
    if words.iter().any(relates) {
        return None;
    }
    let things = things(words, first)?;
    let last = things.last()?;
    let (head, marked) = (&words[..things[0].start], words[last.end - 1].bare);
    let (noun, particle) = detach(marked)
        .find(|(_, particle)| matches!(*particle, "을" | "이" | "은" | "도"))
        .filter(|(noun, _)| !noun.is_empty())?;
    if head.iter().any(|word| is_subject(word.bare) && !is_topic(word.bare)) {
        return None;
    }
    // The text may begin with what is carried to it, and end in another form than the source.
    let source_of =
        |range: Range<usize>| &source[words[range.start].span.start..words[range.end - 1].span.end];
    let texts: Vec<&str> = whole.text.split(' ').collect();
    let own = texts.len().checked_sub(words.len())?;
    let before = texts.get(..own + things[0].start)?.join(" ");
    let tail = texts.get(own + last.end..)?.join(" ");
    let mut pieces = Vec::new();
    for thing in &things {
        let closing = thing.end == last.end;
        let word = &words[thing.end - 1];
        let bare = if closing { noun } else { joined(words, thing.end - 1)?.0 };
        let start =
            if pieces.is_empty() { words[0].span.start } else { words[thing.start].span.start };
        let offset = source[word.span.clone()].find(word.bare)?;
        let end = if closing { whole.span.end } else { word.span.start + offset + bare.len() };
        let named = if thing.len() > 1 { source_of(thing.start..thing.end - 1) } else { "" };
        let told = format!("{before} {named} {} {tail}", attach(bare, particle));
        let span = sentence::trimmed(source, start..end);
        pieces.push(Piece { span, text: super::clean(&told) });
    }
    pieces.iter().all(|piece| !piece.span.is_empty()).then_some(pieces)
}

/// The words of each thing of the list whose first one ends in word `first`, if what follows only
/// says that they are there or had.
fn things(words: &[Word<'_>], first: usize) -> Option<Vec<Range<usize>>> {
    let place = |word: &str| ["에", "에는", "에서", "로"].iter().any(|end| word.ends_with(end));
    let start = words[..first]
        .iter()
        .rposition(|word| is_subject(word.bare) || place(word.bare))
        .map_or(0, |at| at + 1);
    let mut things: Vec<Range<usize>> = std::iter::once(start..first + 1).collect();
    let mut from = joined(words, first)?.1;
    let end = loop {
        let until = words.len().min(from + LAST_WORDS);
        let marks = |word: &str| is_subject(word) || word.ends_with(['을', '를']);
        let at = (from..until).find(|&at| joined(words, at).is_some() || marks(words[at].bare))?;
        things.push(from..at + 1);
        match joined(words, at) {
            Some((_, next)) => from = next,
            None => break at + 1,
        }
    };
    let said = words.get(end)?.bare;
    let had = HAVING.contains(&said) || said.starts_with("착용");
    let there = is_existence(said) || said.starts_with('없');
    let clean = things.iter().skip(1).all(|thing| {
        words[thing.clone()].iter().all(|word| {
            let clause = connective(word.bare, "").is_some() || word.bare.ends_with("있는");
            !place(word.bare) && !clause && !word.comma
        })
    });
    let numbered = |thing: &Range<usize>| {
        words[thing.clone()].iter().any(|word| {
            is_number_word(word.bare) || word.bare.starts_with(|sign: char| sign.is_numeric())
        })
    };
    // "개와 고양이 두 마리" may be two in all.
    let shared =
        things.last().is_some_and(numbered) && !things[..things.len() - 1].iter().all(numbered);
    ((had || there) && clean && !shared).then_some(things)
}

/// The noun that word `at` joins to the next one, and the index of the next one.
fn joined<'a>(words: &[Word<'a>], at: usize) -> Option<(&'a str, usize)> {
    let word = words[at].bare;
    if words.get(at + 1).is_some_and(|next| next.bare == "및") {
        return Some((word, at + 2));
    }
    if let Some(noun) = word.strip_suffix("하고") {
        return THINGS.contains(&noun).then_some((noun, at + 1));
    }
    let cut = word.len() - word.chars().next_back().map_or(0, char::len_utf8);
    (joins(word) && !VERBS.contains(&word)).then(|| (&word[..cut], at + 1))
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, split};

    fn check(answer: &str, expected: &[(&str, &str)]) {
        let claims = split(answer, &Limits::default()).unwrap();
        let found: Vec<(&str, &str)> =
            claims.iter().map(|claim| (&answer[claim.span.clone()], claim.text.as_str())).collect();
        assert_eq!(found, expected, "{answer}");
    }

    #[test]
    fn each_thing_of_a_list_is_a_claim() {
        check(
            "안경과 모자를 쓰고 있다.",
            &[("안경", "안경을 쓰고 있다"), ("모자를 쓰고 있다", "모자를 쓰고 있다")],
        );
        check(
            "여자는 검은 머리와 파란 눈을 가지고 있다.",
            &[
                ("여자는 검은 머리", "여자는 검은 머리를 가지고 있다"),
                ("파란 눈을 가지고 있다", "여자는 파란 눈을 가지고 있다"),
            ],
        );
        check(
            "얼굴에 점과 흉터가 있습니다.",
            &[("얼굴에 점", "얼굴에 점이 있습니다"), ("흉터가 있습니다", "얼굴에 흉터가 있습니다")],
        );
        check(
            "안경하고 모자와 목걸이를 착용했다.",
            &[
                ("안경", "안경을 착용했다"),
                ("모자", "모자를 착용했다"),
                ("목걸이를 착용했다", "목걸이를 착용했다"),
            ],
        );
        check("접시 및 컵이 있다.", &[("접시", "접시가 있다"), ("컵이 있다", "컵이 있다")]);
        check(
            "개 두 마리와 고양이 한 마리가 있다.",
            &[
                ("개 두 마리", "개 두 마리가 있다"),
                ("고양이 한 마리가 있다", "고양이 한 마리가 있다"),
            ],
        );
        check(
            "소녀는 모자와 안경을 쓰고 있으며 웃고 있다.",
            &[
                ("소녀는 모자", "소녀는 모자를 쓰고 있다"),
                ("안경을 쓰고 있으며", "소녀는 안경을 쓰고 있다"),
                ("웃고 있다", "소녀는 웃고 있다"),
            ],
        );
    }

    #[test]
    fn what_is_told_of_all_at_once_stays_one() {
        for answer in [
            "왼쪽 눈과 오른쪽 눈이 서로 다르다",
            "눈과 코 사이에 점이 있다",
            "남자와 여자가 걷고 있다",
            "개와 고양이 두 마리가 있다",
            "선명하고 큰 눈을 가지고 있다",
            "사과를 들고 있다",
            "개와 함께 있는 남자가 보인다",
            "아이와 놀고 있는 개가 보인다",
            "귀가 튀어나와 있다",
        ] {
            check(answer, &[(answer, answer)]);
        }
    }
}
