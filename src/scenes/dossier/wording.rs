//! Sentences of answers beyond the facts of a face: numbers, places, opinions; and how two sentences
//! become one.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::super::Language;
use super::chosen;

/// What was asked of whoever answered.
pub(super) fn question(language: Language, rng: &mut ChaCha8Rng) -> String {
    let forms: &[&str] = match language {
        Language::English => &[
            "Describe the person in the picture.",
            "What does the picture show, and is it genuine?",
            "What stands out about this face?",
            "Is there any sign that the picture was altered?",
        ],
        Language::Korean => &[
            "사진 속 인물을 설명해 주세요.",
            "사진에 무엇이 보이며 진짜인가요?",
            "이 얼굴에서 눈에 띄는 것은 무엇인가요?",
            "사진이 조작된 흔적이 있나요?",
        ],
    };
    chosen(forms, rng)
}

/// How many eyes or ears there are: two, or where it is false, another number.
pub(super) fn count(language: Language, is_true: bool, rng: &mut ChaCha8Rng) -> String {
    let at = rng.random_range(0..2);
    let number = if is_true { 2 } else { [1, 3][rng.random_range(0..2)] };
    match language {
        Language::English => {
            let (one, more) = [("eye", "eyes"), ("ear", "ears")][at];
            let forms = match number {
                1 => [format!("One {one} is visible"), format!("There is one {one}")],
                2 => [format!("Two {more} are visible"), format!("There are two {more}")],
                _ => [format!("Three {more} are visible"), format!("There are three {more}")],
            };
            chosen(&forms, rng)
        }
        Language::Korean => {
            let part = ["눈이", "귀가"][at];
            let number = ["한", "두", "세"][number - 1];
            let forms = [format!("{part} {number} 개 보인다"), format!("{part} {number} 개 있다")];
            chosen(&forms, rng)
        }
    }
}

/// Which of two parts is the higher one, from the upper or from the lower.
pub(super) fn place(language: Language, is_true: bool, rng: &mut ChaCha8Rng) -> String {
    /// Upper and lower part with their verbs.
    const ENGLISH: [[(&str, &str); 2]; 3] = [
        [("nose", "is"), ("mouth", "is")],
        [("eyes", "are"), ("mouth", "is")],
        [("eyes", "are"), ("nose", "is")],
    ];
    /// The same with their subject particles.
    const KOREAN: [[(&str, &str); 2]; 3] =
        [[("코", "가"), ("입", "이")], [("눈", "이"), ("입", "이")], [("눈", "이"), ("코", "가")]];
    let pair = rng.random_range(0..ENGLISH.len());
    let from_above = rng.random_bool(0.5);
    let above = from_above == is_true;
    let (this, that) = if from_above { (0, 1) } else { (1, 0) };
    match language {
        Language::English => {
            let ((part, verb), (other, _)) = (ENGLISH[pair][this], ENGLISH[pair][that]);
            let relation = if above { "above" } else { "below" };
            format!("The {part} {verb} {relation} the {other}")
        }
        Language::Korean => {
            let ((part, particle), (other, _)) = (KOREAN[pair][this], KOREAN[pair][that]);
            let relation = if above { "위에" } else { "아래에" };
            format!("{part}{particle} {other} {relation} 있다")
        }
    }
}

/// What nobody can check.
pub(super) fn opinion(language: Language, rng: &mut ChaCha8Rng) -> String {
    let forms: &[&str] = match language {
        Language::English => &[
            "This looks like a nice picture",
            "The person is probably in a good mood",
            "I think the picture is interesting",
            "It might be a holiday picture",
        ],
        Language::Korean => &[
            "분위기가 좋은 사진이다",
            "기분이 좋은 것 같다",
            "인상적인 사진이라고 생각한다",
            "아마 여행 사진일 것이다",
        ],
    };
    chosen(forms, rng)
}

/// One sentence of two, where that reads well: its text up to the second statement, and the second
/// statement as it stands then. `None` where they are better left apart.
pub(super) fn joined(
    first: &str,
    second: &str,
    language: Language,
    rng: &mut ChaCha8Rng,
) -> Option<Joined> {
    match language {
        Language::English => Some(english(first, second, rng)),
        Language::Korean => korean(first, second),
    }
}

/// Two statements in one sentence.
pub(super) struct Joined {
    /// The first, as it stands then.
    pub(super) first: String,
    /// What stands between them.
    pub(super) between: &'static str,
    /// The second, as it stands then.
    pub(super) second: String,
}

fn english(first: &str, second: &str, rng: &mut ChaCha8Rng) -> Joined {
    // "The person has black hair and blue eyes": a verb that both share is said once. But "and even
    // teeth" could be read as "and teeth even", and so could "curly" by who knows endings alone.
    let adverbial = ["no ", "even ", "curly "];
    for opening in ["The person has ", "The face has "] {
        let rest = second.strip_prefix(opening);
        let rest = rest.filter(|rest| !adverbial.iter().any(|word| rest.starts_with(word)));
        if let Some(rest) = rest.filter(|_| first.starts_with(opening)) {
            return Joined { first: first.to_owned(), between: " and ", second: rest.to_owned() };
        }
    }
    let between = [", and ", ", while ", "; "][rng.random_range(0..3)];
    let mut second = second.to_owned();
    if let Some(start) = second.get_mut(..1) {
        start.make_ascii_lowercase();
    }
    Joined { first: first.to_owned(), between, second }
}

/// Both must have a subject of their own, which the second would otherwise take from the first.
fn korean(first: &str, second: &str) -> Option<Joined> {
    let is_subject = |word: &&str| {
        word.ends_with(['은', '는', '이', '가']) && !["짧은", "검은", "일치하는"].contains(word)
    };
    let has_subject = |text: &str| {
        text.rsplit_once(' ').is_some_and(|(before, _)| before.split(' ').any(|w| is_subject(&w)))
    };
    let is_denied = |text: &str| text.contains("않");
    if !has_subject(first) || !has_subject(second) || is_denied(first) {
        return None;
    }
    // 보인다 and 일치한다 are verbs, whose stem has no ㄴ.
    let stem =
        [("보인다", "보이"), ("한다", "하"), ("다", "")].iter().find_map(|(ending, stem)| {
            first.strip_suffix(ending).map(|rest| format!("{rest}{stem}"))
        })?;
    Some(Joined { first: format!("{stem}고"), between: " ", second: second.to_owned() })
}
