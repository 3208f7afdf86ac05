//! Which language's rules read a text.

use super::words::{ENGLISH_FUNCTION_WORDS, FOREIGN_FUNCTION_WORDS};

/// A language that has rules, or none of them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Language {
    /// English.
    English,
    /// Korean.
    Korean,
    /// Any other: its claims cannot be checked, for a negation in it would not be seen.
    Other,
}

impl Language {
    /// The language of `text`: Korean where at least three in ten letters are Hangul, so that names
    /// and terms in Latin letters do not hide it; else English where at least half the letters are
    /// Latin and function words of other languages do not outnumber its own.
    pub fn of(text: &str) -> Self {
        let (mut letters, mut hangul, mut latin) = (0_usize, 0_usize, 0_usize);
        for sign in text.chars().filter(|sign| sign.is_alphabetic()) {
            letters += 1;
            hangul += usize::from(is_hangul(sign));
            latin += usize::from(sign.is_ascii_alphabetic() || ('À'..='ÿ').contains(&sign));
        }
        if hangul * 10 >= letters * 3 && hangul > 0 {
            Self::Korean
        } else if latin * 2 < letters || letters == 0 || is_foreign(text) {
            Self::Other
        } else {
            Self::English
        }
    }

    /// `en`, `ko` or `other`.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
            Self::Other => "other",
        }
    }
}

/// A Hangul syllable or letter.
pub(super) fn is_hangul(sign: char) -> bool {
    matches!(sign, '가'..='힣' | 'ᄀ'..='ᇿ' | 'ㄱ'..='ㆎ')
}

/// Whether the function words are those of another language in Latin letters.
fn is_foreign(text: &str) -> bool {
    let (mut foreign, mut english) = (0, 0);
    for word in text.split(|sign: char| !sign.is_alphabetic()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        foreign += u32::from(FOREIGN_FUNCTION_WORDS.contains(&word.as_str()));
        english += u32::from(ENGLISH_FUNCTION_WORDS.contains(&word.as_str()));
    }
    foreign >= 2 && foreign > english
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_function_words_tell_the_language() {
        let check =
            |text: &str, expected: Language| assert_eq!(Language::of(text), expected, "{text}");
        check("uneven teeth", Language::English);
        check("CLIP 모델은 치아가 고르지 않다고 본다", Language::Korean);
        check("Le visage a des dents et une oreille", Language::Other);
        check("Das Gesicht ist mit der Hand verdeckt", Language::Other);
        check("顔に歯がある", Language::Other);
        check("42 %", Language::Other);
        check("", Language::Other);
    }
}
