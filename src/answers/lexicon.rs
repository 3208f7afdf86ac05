//! Words for a detector's classes: what a claim names, in English and Korean; pure.

use std::collections::{BTreeMap, HashMap};

/// Words of a class name, at most.
const LONGEST: usize = 3;

/// Words by which claims name the classes of one detector.
#[derive(Clone, Debug)]
pub(super) struct Lexicon {
    /// A term in lower case, to the index of its class.
    terms: HashMap<String, usize>,
}

/// What a phrase names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Named {
    /// Indices of classes, each once, in order.
    pub(super) classes: Vec<usize>,
    /// Whether it says nothing else: no attribute, no class that the detector does not know.
    pub(super) is_all: bool,
}

/// Further words for well-known class names: of the demo world and of COCO (Lin et al. 2014).
const KNOWN: &[(&str, &[&str])] = &[
    ("face", &["얼굴"]),
    ("eye", &["눈"]),
    ("ear", &["귀"]),
    ("nose", &["코"]),
    ("mouth", &["입"]),
    ("glasses", &["eyeglasses", "spectacles", "안경"]),
    ("person", &["people", "man", "men", "woman", "women", "사람", "남자", "여자"]),
    ("bicycle", &["bike", "자전거"]),
    ("car", &["automobile", "자동차"]),
    ("motorcycle", &["motorbike", "오토바이"]),
    ("airplane", &["plane", "aeroplane", "비행기"]),
    ("bus", &["버스"]),
    ("train", &["기차"]),
    ("truck", &["lorry", "lorries", "트럭"]),
    ("boat", &["ship", "보트"]),
    ("traffic light", &["신호등"]),
    ("bench", &["벤치"]),
    ("bird", &["새"]),
    ("cat", &["고양이"]),
    ("dog", &["개", "강아지"]),
    ("horse", &["말"]),
    ("sheep", &["양"]),
    ("cow", &["소"]),
    ("elephant", &["코끼리"]),
    ("bear", &["곰"]),
    ("zebra", &["얼룩말"]),
    ("giraffe", &["기린"]),
    ("backpack", &["배낭"]),
    ("umbrella", &["우산"]),
    ("handbag", &["핸드백"]),
    ("tie", &["necktie", "넥타이"]),
    ("suitcase", &["여행가방"]),
    ("bottle", &["병"]),
    ("cup", &["컵"]),
    ("fork", &["포크"]),
    ("knife", &["knives", "칼"]),
    ("spoon", &["숟가락"]),
    ("bowl", &["그릇"]),
    ("banana", &["바나나"]),
    ("apple", &["사과"]),
    ("sandwich", &["샌드위치"]),
    ("carrot", &["당근"]),
    ("pizza", &["피자"]),
    ("cake", &["케이크"]),
    ("chair", &["의자"]),
    ("couch", &["sofa", "소파"]),
    ("bed", &["침대"]),
    ("dining table", &["table", "식탁"]),
    ("tv", &["television", "텔레비전"]),
    ("laptop", &["노트북"]),
    ("keyboard", &["키보드"]),
    ("cell phone", &["phone", "mobile phone", "smartphone", "휴대전화", "휴대폰"]),
    ("refrigerator", &["fridge", "냉장고"]),
    ("book", &["책"]),
    ("clock", &["시계"]),
    ("vase", &["꽃병"]),
    ("scissors", &["가위"]),
    ("toothbrush", &["칫솔"]),
];

/// Words that name nothing by themselves: they may stand beside a class name in a claim that tells
/// only that it is there.
const FILLING: &[&str] = &[
    "a",
    "an",
    "the",
    "this",
    "that",
    "there",
    "some",
    "any",
    "is",
    "are",
    "was",
    "were",
    "be",
    "has",
    "have",
    "had",
    "with",
    "wears",
    "wear",
    "wearing",
    "wore",
    "shows",
    "show",
    "showing",
    "contains",
    "contain",
    "visible",
    "seen",
    "present",
    "can",
    "in",
    "on",
    "of",
    "and",
    "image",
    "picture",
    "photo",
    "photograph",
    "frame",
    "person",
    "man",
    "woman",
    "he",
    "she",
    "it",
    "they",
    "his",
    "her",
    "their",
    "its",
    "depicts",
    "pictured",
    "photographed",
    "subject",
];

/// The same in Korean, without endings.
const KOREAN_FILLING: &[&str] =
    &["사진", "그림", "화면", "영상", "이미지", "속", "안", "사람", "인물", "그", "이"];

/// How Korean verbs of being, having, wearing and seeing begin.
const KOREAN_VERBS: &[&str] = &[
    "있",
    "보이",
    "보인",
    "보입",
    "쓰",
    "쓴",
    "썼",
    "착용",
    "끼",
    "나타",
    "하고",
    "가지고",
    "갖고",
];

/// Particles at the end of a Korean noun, the longest first.
const PARTICLES: &[&str] = &[
    "에서", "에는", "으로", "에게", "을", "를", "이", "가", "은", "는", "에", "의", "도", "과",
    "와", "들",
];

impl Lexicon {
    /// Of a detector's class names, with further words by class name.
    pub(super) fn new(classes: &[String], further: &BTreeMap<String, Vec<String>>) -> Self {
        let mut terms = HashMap::new();
        for (index, class) in classes.iter().enumerate() {
            let class = class.to_lowercase();
            let known = KNOWN.iter().filter(|(name, _)| *name == class).flat_map(|(_, w)| *w);
            let known = known.map(|&word| word.to_owned());
            let own = further.get(&class).into_iter().flatten().map(|word| word.to_lowercase());
            for term in known.chain(own).chain([class.clone()]) {
                for form in plurals(&term).into_iter().chain([term]) {
                    terms.entry(form).or_insert(index);
                }
            }
        }
        Self { terms }
    }

    /// What `phrase` names.
    pub(super) fn named(&self, phrase: &str) -> Named {
        let lower = phrase.to_lowercase();
        let words: Vec<&str> = lower
            .split(|c: char| !c.is_alphanumeric() && c != '-')
            .filter(|word| !word.is_empty())
            .collect();
        let mut named = Named { classes: Vec::new(), is_all: true };
        let mut at = 0;
        while at < words.len() {
            let Some((class, length)) = self.longest(&words[at..]) else {
                named.is_all &= is_filling(words[at]);
                at += 1;
                continue;
            };
            if !named.classes.contains(&class) {
                named.classes.push(class);
            }
            at += length;
        }
        named
    }

    /// The class that the first words name, and how many words.
    fn longest(&self, words: &[&str]) -> Option<(usize, usize)> {
        (1..=words.len().min(LONGEST)).rev().find_map(|length| {
            let term = words[..length].join(" ");
            let class = self.terms.get(&term).or_else(|| self.terms.get(stem(&term)))?;
            Some((*class, length))
        })
    }
}

/// English plurals of a term; of a term with a plural of its own, an odd word that does no harm.
fn plurals(term: &str) -> Vec<String> {
    if !term.is_ascii() {
        return Vec::new();
    }
    let mut plurals = vec![format!("{term}s"), format!("{term}es")];
    if let Some(stem) = term.strip_suffix('y') {
        plurals.push(format!("{stem}ies"));
    }
    plurals
}

/// A Korean noun without its particles.
fn stem(word: &str) -> &str {
    if word.is_ascii() {
        return word;
    }
    let bare = PARTICLES.iter().find_map(|particle| word.strip_suffix(particle));
    match bare {
        Some(bare) if !bare.is_empty() => stem(bare),
        _ => word,
    }
}

fn is_filling(word: &str) -> bool {
    FILLING.contains(&word)
        || KOREAN_FILLING.contains(&stem(word))
        || KOREAN_VERBS.iter().any(|verb| word.starts_with(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(phrase: &str) -> (Vec<usize>, bool) {
        let classes =
            ["face", "eye", "glasses", "mouth", "traffic light", "dog"].map(str::to_owned);
        let further = BTreeMap::from([("dog".to_owned(), vec!["Hound".to_owned()])]);
        let named = Lexicon::new(&classes, &further).named(phrase);
        (named.classes, named.is_all)
    }

    #[test]
    fn a_claim_of_presence_names_a_class_and_nothing_else() {
        assert_eq!(named("The person is wearing glasses"), (vec![2], true));
        assert_eq!(named("Two eyes"), (vec![1], false));
        assert_eq!(named("eyes"), (vec![1], true));
        assert_eq!(named("There are traffic lights in the picture"), (vec![4], true));
        assert_eq!(named("A hound is visible"), (vec![5], true));
        assert_eq!(named("a face with glasses"), (vec![0, 2], true));
    }

    #[test]
    fn attributes_and_unknown_things_are_noticed() {
        assert_eq!(named("The face has uneven teeth"), (vec![0], false));
        assert_eq!(named("round glasses"), (vec![2], false));
        assert_eq!(named("a hat"), (vec![], false));
        assert_eq!(named("sunglasses"), (vec![], false));
    }

    #[test]
    fn korean_nouns_lose_their_particles() {
        assert_eq!(named("안경을 쓰고 있다"), (vec![2], true));
        assert_eq!(named("얼굴에 안경이 있다"), (vec![0, 2], true));
        assert_eq!(named("눈이 보인다"), (vec![1], true));
        assert_eq!(named("파란 눈을 가지고 있다"), (vec![1], false));
        assert_eq!(named("강아지가 있다"), (vec![5], true));
    }
}
