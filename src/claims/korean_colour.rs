//! Korean colours: which words name one, and which others contradict it in the same form.

use super::colour::{Bearer, Colour, others};
use super::korean_clause::is_subject;
use super::korean_particle::{attach, detach};

use Colour::{Black, Blond, Blue, Brown, Green, Grey, Orange, Pink, Purple, Red, White, Yellow};

/// The words for a colour. The first of each kind is written, the others are read too.
struct Words {
    colour: Colour,
    /// Before a noun: 검은.
    before: &'static [&'static str],
    /// As a noun: 검은색.
    noun: &'static [&'static str],
    /// As a predicate, plain, formal and polite: 검다, 검습니다, 검어요. Where there is none, the
    /// noun takes the copula.
    told: &'static [[&'static str; 3]],
}

const COPULA: [&str; 3] = ["이다", "입니다", "이에요"];
const WORDS: [Words; 12] = [
    Words {
        colour: White,
        before: &["흰", "하얀"],
        noun: &["흰색", "하얀색", "백색"],
        told: &[["하얗다", "하얗습니다", "하얘요"], ["희다", "흽니다", "희어요"]],
    },
    Words {
        colour: Black,
        before: &["검은", "까만", "검정"],
        noun: &["검은색", "검정색", "까만색", "흑색", "검정"],
        told: &[["검다", "검습니다", "검어요"], ["까맣다", "까맣습니다", "까매요"]],
    },
    Words { colour: Grey, before: &["회색", "잿빛"], noun: &["회색"], told: &[] },
    Words { colour: Brown, before: &["갈색"], noun: &["갈색", "밤색"], told: &[] },
    Words {
        colour: Blue,
        before: &["파란", "푸른"],
        noun: &["파란색", "푸른색", "청색", "파랑"],
        told: &[["파랗다", "파랗습니다", "파래요"], ["푸르다", "푸릅니다", "푸르러요"]],
    },
    Words {
        colour: Green,
        before: &["초록", "녹색"],
        noun: &["초록색", "녹색", "초록"],
        told: &[],
    },
    Words {
        colour: Red,
        before: &["빨간", "붉은"],
        noun: &["빨간색", "붉은색", "적색", "빨강"],
        told: &[["빨갛다", "빨갛습니다", "빨개요"], ["붉다", "붉습니다", "붉어요"]],
    },
    Words {
        colour: Yellow,
        before: &["노란"],
        noun: &["노란색", "황색", "노랑"],
        told: &[["노랗다", "노랗습니다", "노래요"]],
    },
    Words { colour: Orange, before: &["주황"], noun: &["주황색", "오렌지색"], told: &[] },
    Words { colour: Purple, before: &["보라"], noun: &["보라색", "자주색"], told: &[] },
    Words {
        colour: Pink, before: &["분홍", "핑크"], noun: &["분홍색", "핑크색"], told: &[]
    },
    Words { colour: Blond, before: &["금발"], noun: &["금발"], told: &[] },
];

/// Hair, and what is of it.
const HAIR: &[&str] = &["머리", "머리카락", "머리칼", "머릿결", "헤어", "수염", "눈썹"];
const EYES: &[&str] = &["눈", "눈동자", "홍채"];
const PERSONS: &[&str] =
    &["사람", "남자", "여자", "남성", "여성", "아이", "소년", "소녀", "인물", "노인", "그", "그녀"];
/// The colours of hair in general words, in the order in which they contradict blond.
const HAIRS: [&str; 6] = ["검은", "갈색", "빨간", "회색", "흰", "파란"];

/// How far the noun that a colour is told of may stand from it, in words.
const NEAR_WORDS: usize = 12;

/// How a word tells a colour.
#[derive(Clone, Copy)]
enum Form {
    Before,
    /// With this ending behind it.
    Noun(&'static str),
    /// Plain, formal or polite.
    Told(usize),
}

/// Whether `word` names a colour, without particle or copula.
pub(super) fn is_colour(word: &str) -> bool {
    read(word, true)
        .is_some_and(|(_, form)| !matches!(form, Form::Noun(ending) if !ending.is_empty()))
}

/// The noun for the colour that a word tells, in whatever form: 흰색 of 하얀 and of 하얗다. 검은 머리, said
/// of a person, tells the hair's.
pub(super) fn name(form: &str) -> Option<&'static str> {
    let word = match form.split_once(' ') {
        Some((colour, hair)) if bearer(hair) == Bearer::Hair => colour,
        _ => form,
    };
    let (colour, _) = read(word, true).or_else(|| read(word, false))?;
    WORDS.iter().find(|words| words.colour == colour).map(|words| words.noun[0])
}

/// What contradicts the colour that word `at` tells, in its form; none where it names no colour.
pub(super) fn colour_others(words: &[&str], at: usize) -> Vec<String> {
    let last = at + 1 == words.len() || words[at].ends_with(',');
    let bare = |word: &str| word.trim_end_matches([',', '.']).to_owned();
    let word = bare(words[at]);
    let Some((told, form)) = read(&word, !last) else { return Vec::new() };
    let attributive = matches!(form, Form::Before | Form::Noun("" | "의" | "인")) && !last;
    let bearer = if attributive {
        noun_after(words, at).map_or(Bearer::Other, bearer)
    } else {
        let before = words[..at].iter().rev().take(NEAR_WORDS).map(|word| bearer(word));
        before.into_iter().find(|bearer| *bearer != Bearer::Other).unwrap_or(Bearer::Other)
    };
    if told == Blond && bearer != Bearer::Hair {
        let ending = if let Form::Noun(ending) = form { ending } else { "" };
        return HAIRS.iter().map(|hair| attach(&format!("{hair} 머리"), ending)).collect();
    }
    others(&[told], bearer).into_iter().map(|colour| write(colour, form)).collect()
}

/// The noun that the colour at word `at` stands before: the next word with a particle, or the last
/// one.
fn noun_after<'a>(words: &[&'a str], at: usize) -> Option<&'a str> {
    const PARTICLES: [char; 6] = ['을', '를', '에', '로', '의', '도'];
    let behind = &words[at + 1..words.len().min(at + 1 + NEAR_WORDS)];
    let marked = |word: &&&str| {
        is_subject(word) || word.ends_with(PARTICLES) || bearer(word) != Bearer::Other
    };
    behind.iter().find(marked).or(behind.last()).copied()
}

/// The colour that a word tells and how. 회색 and its like stand as they are before a noun too.
fn read(word: &str, before_noun: bool) -> Option<(Colour, Form)> {
    let find = |fits: &dyn Fn(&Words) -> bool| WORDS.iter().find(|words| fits(words));
    if before_noun && let Some(words) = find(&|words| words.before.contains(&word)) {
        return Some((words.colour, Form::Before));
    }
    let noun = detach(word).find_map(|(noun, ending)| {
        let found = find(&|words| words.noun.contains(&noun))?;
        Some((found.colour, Form::Noun(ending)))
    });
    let told = || {
        WORDS.iter().find_map(|words| {
            let register = |told: &[&str; 3]| told.iter().position(|told| *told == word);
            words.told.iter().find_map(register).map(|at| (words.colour, Form::Told(at)))
        })
    };
    noun.or_else(told)
}

fn write(colour: Colour, form: Form) -> String {
    let Some(words) = WORDS.iter().find(|words| words.colour == colour) else {
        return String::new();
    };
    match form {
        Form::Before => words.before[0].to_owned(),
        Form::Noun(ending) => attach(words.noun[0], ending),
        Form::Told(register) => words
            .told
            .first()
            .map_or_else(|| attach(words.noun[0], COPULA[register]), |told| told[register].into()),
    }
}

fn bearer(word: &str) -> Bearer {
    let is_one = |nouns: &[&str]| detach(word).any(|(noun, _)| nouns.contains(&noun));
    let of_hair = detach(word).any(|(noun, _)| noun.ends_with("머리") || noun.ends_with("수염"));
    if of_hair || is_one(HAIR) {
        Bearer::Hair
    } else if is_one(EYES) {
        Bearer::Eyes
    } else if is_one(PERSONS) {
        Bearer::Person
    } else {
        Bearer::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, word: &str, first: &str, among: &[&str], never: &[&str]) {
        let words: Vec<&str> = text.split(' ').collect();
        let at = words.iter().position(|found| *found == word).unwrap();
        let found = colour_others(&words, at);
        assert_eq!(found.first().map_or("", String::as_str), first, "{text}: {found:?}");
        for colour in among {
            assert!(found.iter().any(|found| found == colour), "{text}: {colour} in {found:?}");
        }
        for colour in never {
            assert!(found.iter().all(|found| found != colour), "{text}: {colour} in {found:?}");
        }
    }

    #[test]
    fn every_other_colour_takes_the_form_of_one() {
        check("파란 눈", "파란", "갈색", &["초록", "회색", "검은"], &["금발", "파란"]);
        check("초록색 배경이다", "초록색", "빨간색", &["파란색", "주황색", "분홍색"], &["녹색"]);
        check("배경은 초록색이다", "초록색이다", "빨간색이다", &["회색이다", "보라색이다"], &[]);
        check("눈은 회색입니다", "회색입니다", "분홍색입니다", &["갈색입니다"], &["금발입니다"]);
        check("배경이 파랗다", "파랗다", "갈색이다", &["빨갛다", "하얗다", "회색이다"], &[]);
        check("흰 셔츠를 입은 남자", "흰", "검은", &["파란", "회색"], &["금발"]);
        check("옷이 노란색이에요", "노란색이에요", "보라색이에요", &["흰색이에요"], &[]);
    }

    #[test]
    fn blond_is_told_of_hair() {
        let hair = ["갈색이다", "빨간색이다", "회색이다", "파란색이다", "흰색이다"];
        check("머리 색은 금발이다", "금발이다", "검은색이다", &hair, &["노란색이다"]);
        check("검은 머리를", "검은", "흰", &["금발", "갈색"], &["검은"]);
        check("금발의 여성", "금발의", "검은 머리의", &["갈색 머리의"], &["검은색의"]);
        check("여자는 금발이다", "금발이다", "검은 머리이다", &[], &["검은색이다"]);
    }
}
