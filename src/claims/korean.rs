//! Which kind of claim a Korean text makes: the rules in the order in which they are asked, as in
//! the English ones.

use super::forms::axis;
use super::korean_clause::{is_predicate, is_subject};
use super::korean_form::{KOREAN, is_attribute};
use super::korean_negation::{affirm, denies};
use super::korean_number::{count, is_number_word};
use super::korean_place::spatial;
use super::{Kind, Rule};

const UNCHECKABLE: &[(Rule, &[&str])] = &[
    (Rule::Greeting, &["안녕", "감사합니다", "고맙습니다", "반갑습니다"]),
    (
        Rule::Meta,
        &[
            "저는 ",
            "제가 ",
            "나는 ",
            "내가 ",
            "우리는 ",
            "당신",
            "여러분",
            "주세요",
            "바랍니다",
            "질문",
            "답변",
            "죄송",
        ],
    ),
    (
        Rule::Hedge,
        &[
            "것 같",
            " 듯",
            "아마",
            "수도 있",
            "수 있",
            "추정",
            "의심",
            "가능성",
            "추측",
            "예상",
            "처럼 보",
            "것으로 보",
            "생각",
            "일지도",
            "모른다",
            "모릅니다",
            "모르겠",
            "불분명",
            "확실하지",
            "틀림없",
            "짐작",
        ],
    ),
    (Rule::Future, &["것이다", "것입니다", "거예요", "할 예정", "겠습니다", "겠다", "내일", "곧 "]),
    (
        Rule::Judgement,
        &[
            "아름다",
            "아름답",
            "예쁘",
            "예쁜",
            "예뻐",
            "멋지",
            "멋진",
            "멋있",
            "훌륭",
            "못생",
            "좋",
            "나쁘",
            "나쁜",
            "느낌",
            "인상적",
            "흥미",
            "아쉽",
            "다행",
            "귀엽",
            "귀여",
            "분위기",
            "최고",
            "최악",
            "놀라",
            "재미",
            "매력",
            "완벽",
            "무섭",
            "중요",
            "수상",
            "의외",
            "마음에",
        ],
    ),
    (Rule::Identity, &["이름은", "라고 불", "라는 사람", "유명한", "연예인"]),
];

pub(super) const PICTURES: &[&str] = &["사진", "이미지", "그림", "화면", "영상", "장면", "프레임"];

/// What is worn or carried: a part as much as what is had.
pub(super) const HAVING: &[&str] = &[
    "쓰고",
    "쓴",
    "쓰다",
    "썼다",
    "썼습니다",
    "착용",
    "입고",
    "입은",
    "입다",
    "입었다",
    "입었습니다",
    "가지고",
    "가진",
    "갖고",
    "들고",
    "든",
    "달린",
    "신고",
    "신은",
    "매고",
    "맨",
    "낀",
    "끼고",
    "지닌",
    "기른",
    "기르고",
];

/// Nouns that end in ㄴ like an adjective before a noun.
const NOUNS: &[&str] = &[
    "사진",
    "눈",
    "화면",
    "인간",
    "남편",
    "손",
    "산",
    "문",
    "장면",
    "정면",
    "측면",
    "노인",
    "군인",
    "합성",
    "자전거는",
    "안",
    "정원",
    "공원",
    "우산",
    "시간",
    "인물",
    "수건",
    "화분",
    "라면",
    "프레임",
];

const SEEN: &[&str] =
    &["보인", "보입", "보여", "보임", "나타", "존재", "찍혀", "드러", "발견", "관찰", "확인"];

pub(super) const PARTICLES: &[&str] = &[
    "에서는",
    "에서도",
    "에는",
    "에도",
    "에서",
    "에게",
    "으로",
    "이나",
    "까지",
    "부터",
    "에",
    "의",
    "은",
    "는",
    "이",
    "가",
    "을",
    "를",
    "도",
    "만",
    "와",
    "과",
    "로",
];

/// `may_deny` is false inside a negation.
pub(super) fn classify(text: &str, may_deny: bool) -> (Kind, Rule) {
    let spaced = format!(" {text} ");
    let found =
        UNCHECKABLE.iter().find(|(_, words)| words.iter().any(|word| spaced.contains(word)));
    if let Some((rule, _)) = found {
        return (Kind::Opinion, *rule);
    }
    if is_guessed(text) {
        return (Kind::Opinion, Rule::Hedge);
    }
    if ["까", "까요", "나요", "인가요"].iter().any(|end| text.ends_with(end)) {
        return (Kind::Opinion, Rule::Question);
    }
    let words: Vec<&str> = text
        .split(' ')
        .map(|word| word.trim_matches(|sign: char| sign.is_ascii_punctuation()))
        .filter(|word| !word.is_empty())
        .collect();
    let denials: Vec<usize> = (0..words.len()).filter(|&at| denies(&words, at)).collect();
    if !denials.is_empty() {
        if denials.len() > 1 || !may_deny {
            return (Kind::Opinion, Rule::DoubleNegation);
        }
        let affirmed = affirm(&words, denials[0]);
        let (inner, rule) = classify(&affirmed, false);
        if inner == Kind::Opinion {
            return (inner, rule);
        }
        return (Kind::Negation { affirmed, inner: Box::new(inner) }, Rule::NegationWord);
    }
    let core = core(&words);
    if let Some(found) = count(core) {
        return found;
    }
    if let Some(found) = spatial(core) {
        return found;
    }
    if core.iter().any(|word| {
        word.ends_with("보다") || word.starts_with("사이에") || word.starts_with("주위에")
    }) {
        return (Kind::Opinion, Rule::OtherRelation);
    }
    let (kind, rule) = by_predicate(core);
    let numbered = core
        .iter()
        .any(|word| word.contains(|sign: char| sign.is_numeric()) || is_number_word(word));
    if numbered && kind == Kind::Presence {
        (Kind::Opinion, Rule::OtherNumber)
    } else {
        (kind, rule)
    }
}

pub(super) fn bare(word: &str) -> &str {
    let found = PARTICLES.iter().find_map(|end| word.strip_suffix(end));
    found.filter(|rest| !rest.is_empty()).unwrap_or(word)
}

/// Whether 듯하다 is written on to a verb, 보일듯하다; in 반듯하다 it is part of the word.
pub(super) fn is_guessed(text: &str) -> bool {
    text.match_indices("듯하").any(|(at, _)| !text[..at].ends_with(['반', '번', '버']))
}

/// The words behind "사진에는", "이미지 속에".
fn core<'t, 'a>(words: &'t [&'a str]) -> &'t [&'a str] {
    let this = usize::from(words.len() > 1 && matches!(words[0], "이" | "그" | "저" | "해당"));
    let Some(first) = words.get(this).filter(|word| PICTURES.contains(&bare(word))) else {
        return words;
    };
    let place = first.ends_with(['에', '는', '서', '은']) || PICTURES.contains(first);
    let inside = words.get(this + 1).is_some_and(|word| {
        matches!(*word, "속" | "속에" | "속에는" | "안에" | "안에는" | "속에서" | "속의" | "중앙에")
    });
    let end = this + 1 + usize::from(inside);
    let named = PICTURES.contains(first) && !inside;
    if place && !named && end < words.len() { &words[end..] } else { words }
}

pub(super) fn is_existence(word: &str) -> bool {
    word.starts_with('있') || SEEN.iter().any(|start| word.starts_with(start))
}

fn by_predicate(core: &[&str]) -> (Kind, Rule) {
    let Some((last, before)) = core.split_last() else { return (Kind::Opinion, Rule::Phrase) };
    let prev = before.last().copied().unwrap_or("");
    let place = before.iter().any(|word| word.ends_with('에') || word.ends_with("에는"));
    if core.iter().any(|word| {
        HAVING.iter().any(|have| word == have || (*have == "착용" && word.starts_with(have)))
    }) {
        return (Kind::Part, Rule::HavePattern);
    }
    if !is_predicate(last) {
        return by_phrase(core, place);
    }
    let exists = last.starts_with('있');
    let seen = SEEN.iter().any(|start| last.starts_with(start));
    if exists && prev.ends_with('고') {
        return (Kind::Presence, Rule::Action);
    }
    if exists && ["앉아", "서", "누워", "앉아서"].contains(&prev) {
        return (Kind::Presence, Rule::Action);
    }
    if exists || seen {
        let marked = is_subject(prev) || prev.ends_with(['도', '만']);
        if !marked && !before.is_empty() {
            return (Kind::Attribute, Rule::Predicate);
        }
        let owner = before.iter().filter(|word| is_subject(word)).count() > 1;
        if place || owner {
            return (Kind::Part, Rule::HavePattern);
        }
        let attribute = is_attributed(&before[..before.len().saturating_sub(1)]);
        return if attribute {
            (Kind::Attribute, Rule::AttributeWord)
        } else {
            (Kind::Presence, Rule::Existence)
        };
    }
    let copula = ["이다", "입니다", "이에요", "예요"].iter().any(|end| last.ends_with(end));
    let this =
        ["이것은", "여기는", "이건", "사진은", "이미지는"].iter().any(|word| core.contains(word));
    if copula && (this || before.is_empty()) {
        let stem =
            ["이다", "입니다", "이에요", "예요"].iter().find_map(|end| last.strip_suffix(end));
        let attribute = is_attributed(before) && stem.is_some();
        return if attribute {
            (Kind::Attribute, Rule::AttributeWord)
        } else {
            (Kind::Presence, Rule::Existence)
        };
    }
    let object = before.iter().any(|word| word.chars().count() > 1 && word.ends_with(['을', '를']));
    if object || is_plain_verb(last) {
        return (Kind::Presence, Rule::Action);
    }
    (Kind::Attribute, Rule::Predicate)
}

/// Whether a word ends in ㄴ다 or 는다, as verbs do and adjectives do not.
fn is_plain_verb(word: &str) -> bool {
    let mut signs = word.chars().rev();
    let (last, before) = (signs.next(), signs.next());
    let nasal = before
        .is_some_and(|sign| matches!(sign, '가'..='힣') && (sign as u32 - '가' as u32) % 28 == 4);
    last == Some('다') && nasal && !word.starts_with('않') && axis(KOREAN, word).is_none()
}

fn by_phrase(core: &[&str], place: bool) -> (Kind, Rule) {
    let had = core[..core.len() - 1].contains(&"있는");
    if place || had {
        return (Kind::Part, Rule::WithPhrase);
    }
    if is_attributed(core) {
        return (Kind::Attribute, Rule::AttributeWord);
    }
    let acts = core[..core.len() - 1].iter().any(|word| word.ends_with('는'));
    (Kind::Presence, if acts { Rule::Action } else { Rule::Phrase })
}

/// Whether a word before a noun tells an attribute: one of the table, a colour, or a form in ㄴ.
fn is_attributed(words: &[&str]) -> bool {
    (0..words.len()).any(|at| {
        let word = words[at];
        let pair = words.get(at + 1).is_some_and(|next| is_attribute(&format!("{word} {next}")));
        let colour = word.ends_with('색') || word == "금발";
        let nasal = word.chars().next_back().is_some_and(|sign| {
            matches!(sign, '가'..='힣') && (sign as u32 - '가' as u32) % 28 == 4 && sign != '는'
        });
        let adnominal = nasal
            && word.chars().count() > 1
            && at + 1 < words.len()
            && !NOUNS.contains(&word)
            && !is_subject(word);
        is_attribute(word) || pair || colour || adnominal
    })
}
