//! Long texts in passages that a text tower takes whole, with the way back to their bytes.
//!
//! A passage is as many whole sentences as fit; where a single sentence does not fit, whole words;
//! where a word does not, characters. Passages overlap by whole units, so that what straddles a
//! border is whole in one of them.

use std::ops::Range;

/// How a text is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passages {
    /// Tokens of one passage at most, as the counter counts them: the tower's context without its
    /// start and end tokens. At least 1.
    pub max_tokens: usize,
    /// Tokens at most of what a passage repeats of the one before; less than `max_tokens`.
    pub overlap_tokens: usize,
    /// Passages of one text at most.
    pub max_passages: usize,
}

/// Why a text is not cut.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CutError {
    /// Cut the text in several items, or allow more passages.
    #[error("the text takes more than {limit} passages")]
    TooMany {
        /// [`Passages::max_passages`].
        limit: usize,
    },
    /// One character alone is more than a passage may hold.
    #[error("the character at byte {at} has {tokens} tokens, a passage holds {limit}")]
    TooNarrow {
        /// Its first byte.
        at: usize,
        /// Its tokens.
        tokens: usize,
        /// [`Passages::max_tokens`].
        limit: usize,
    },
    /// The overlap leaves no room for anything new.
    #[error("an overlap of {overlap} tokens in passages of {limit} leaves no room")]
    Overlap {
        /// [`Passages::overlap_tokens`].
        overlap: usize,
        /// [`Passages::max_tokens`].
        limit: usize,
    },
}

impl Passages {
    /// The byte ranges of a text's passages in their order, on bounds of characters, without white
    /// space at their ends; none of a blank text. `count` gives the tokens of a part of the text;
    /// it is asked about parts of about a passage's length, often.
    ///
    /// # Errors
    /// [`CutError`].
    pub fn cut(
        &self,
        text: &str,
        count: impl Fn(&str) -> usize,
    ) -> Result<Vec<Range<usize>>, CutError> {
        if self.overlap_tokens >= self.max_tokens {
            let (overlap, limit) = (self.overlap_tokens, self.max_tokens);
            return Err(CutError::Overlap { overlap, limit });
        }
        let units = self.units(text, &count)?;
        let fits = |first: usize, last: usize, limit: usize| {
            count(&text[units[first].start..units[last].end]) <= limit
        };
        let mut passages = Vec::new();
        let (mut first, mut new) = (0, 0);
        while new < units.len() {
            // What is repeated gives way to what is new.
            while first < new && !fits(first, new, self.max_tokens) {
                first += 1;
            }
            let mut last = new;
            while last + 1 < units.len() && fits(first, last + 1, self.max_tokens) {
                last += 1;
            }
            if passages.len() == self.max_passages {
                return Err(CutError::TooMany { limit: self.max_passages });
            }
            passages.push(units[first].start..units[last].end);
            new = last + 1;
            let repeated = (first + 1..new).rev();
            let repeated = repeated.take_while(|from| fits(*from, last, self.overlap_tokens));
            first = repeated.last().unwrap_or(new);
        }
        Ok(passages)
    }

    /// The text in units that each fit a passage: sentences, words, runs of characters.
    fn units(
        &self,
        text: &str,
        count: &impl Fn(&str) -> usize,
    ) -> Result<Vec<Range<usize>>, CutError> {
        let fits = |range: &Range<usize>| count(&text[range.clone()]) <= self.max_tokens;
        let mut units = Vec::new();
        for sentence in sentences(text) {
            if fits(&sentence) {
                units.push(sentence);
                continue;
            }
            for word in words(text, sentence) {
                if fits(&word) {
                    units.push(word);
                } else {
                    self.characters(text, word, count, &mut units)?;
                }
            }
        }
        Ok(units)
    }

    /// Cuts a word that does not fit into the longest runs of characters that do.
    fn characters(
        &self,
        text: &str,
        word: Range<usize>,
        count: &impl Fn(&str) -> usize,
        units: &mut Vec<Range<usize>>,
    ) -> Result<(), CutError> {
        let mut start = word.start;
        while start < word.end {
            let bounds: Vec<usize> = text[start..word.end]
                .char_indices()
                .skip(1)
                .map(|(at, _)| start + at)
                .chain([word.end])
                // No character is less than a fraction of a token, in any real vocabulary.
                .take(self.max_tokens.saturating_mul(64))
                .collect();
            let fitting =
                bounds.partition_point(|end| count(&text[start..*end]) <= self.max_tokens);
            let Some(end) = fitting.checked_sub(1).map(|last| bounds[last]) else {
                let tokens = count(&text[start..bounds[0]]);
                return Err(CutError::TooNarrow { at: start, tokens, limit: self.max_tokens });
            };
            units.push(start..end);
            start = end;
        }
        Ok(())
    }
}

/// Sentences without the white space around them: up to a full stop or its like that white space
/// follows, or to a blank line or line's end.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut signs = text.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        let end = at + sign.len_utf8();
        let next = signs.peek().map(|(_, sign)| *sign);
        let closes = match sign {
            '\n' | '。' | '！' | '？' => true,
            '.' | '!' | '?' | '…' => next.is_none_or(char::is_whitespace),
            // A closing quote or bracket belongs to the sentence that ended before it.
            '"' | '\'' | ')' | '”' | '’' => {
                text[start..at].ends_with(['.', '!', '?', '…'])
                    && next.is_none_or(char::is_whitespace)
            }
            _ => false,
        };
        if closes {
            found.extend(trimmed(text, start..end));
            start = end;
        }
    }
    found.extend(trimmed(text, start..text.len()));
    found
}

fn words(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let base = text.as_ptr().addr();
    let within = |word: &str| {
        let start = word.as_ptr().addr() - base;
        start..start + word.len()
    };
    text[range].split_whitespace().map(within).collect()
}

fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    let length = part.trim().len();
    (length > 0).then_some(start..start + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A token for each word and each sign that ends a sentence.
    fn tokens(text: &str) -> usize {
        text.split_whitespace().count() + text.matches(['.', '!', '?']).count()
    }

    fn cut(text: &str, max_tokens: usize, overlap_tokens: usize) -> Vec<&str> {
        let passages = Passages { max_tokens, overlap_tokens, max_passages: 1000 };
        let ranges = passages.cut(text, tokens).unwrap();
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn passages_are_whole_sentences_where_they_fit() {
        let text = " One two. Three four five. Six! Version 1.5 holds (so.) Seven \n\nEight";
        assert_eq!(
            cut(text, 8, 0),
            ["One two. Three four five.", "Six! Version 1.5 holds (so.)", "Seven \n\nEight"]
        );
        assert_eq!(cut("", 7, 0), [""; 0]);
        assert_eq!(cut(" \n ", 7, 0), [""; 0]);
    }

    #[test]
    fn korean_sentences_are_sentences() {
        let text = "눈동자가 서로 다르다. 귀는 정상이다! 이도 고르다.";
        assert_eq!(cut(text, 4, 0), ["눈동자가 서로 다르다.", "귀는 정상이다!", "이도 고르다."]);
    }

    #[test]
    fn a_passage_repeats_whole_units_of_the_one_before() {
        let text = "A one. B two. C three. D four.";
        assert_eq!(cut(text, 6, 3), ["A one. B two.", "B two. C three.", "C three. D four."]);
        assert_eq!(cut(text, 6, 2), ["A one. B two.", "C three. D four."], "nothing that short");
    }

    #[test]
    fn a_long_sentence_is_cut_at_words_and_a_long_word_at_characters() {
        assert_eq!(cut("a b c d e.", 2, 1), ["a b", "b c", "c d", "e."]);
        let bytes = |text: &str| text.len();
        let passages = Passages { max_tokens: 7, overlap_tokens: 0, max_passages: 9 };
        let text = "가나다라마";
        assert_eq!(passages.cut(text, bytes).unwrap(), [0..6, 6..12, 12..15]);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let bytes = |text: &str| text.len();
        let passages = Passages { max_tokens: 2, overlap_tokens: 0, max_passages: 2 };
        assert_eq!(
            passages.cut("ab 가", bytes),
            Err(CutError::TooNarrow { at: 3, tokens: 3, limit: 2 })
        );
        assert_eq!(passages.cut("ab cd ef", bytes), Err(CutError::TooMany { limit: 2 }));
        let passages = Passages { overlap_tokens: 2, ..passages };
        assert_eq!(passages.cut("a", bytes), Err(CutError::Overlap { overlap: 2, limit: 2 }));
    }

    proptest! {
        #[test]
        fn every_word_is_in_a_passage_and_every_passage_fits(
            text in "([a-z가-힣]{1,9}[ .!?\n]{0,2}){0,60}",
            max_tokens in 2_usize..20,
            overlap in 0_usize..10,
        ) {
            let overlap_tokens = overlap.min(max_tokens - 1);
            let passages = Passages { max_tokens, overlap_tokens, max_passages: 10_000 };
            let ranges = passages.cut(&text, tokens).unwrap();
            let mut covered = vec![false; text.len()];
            for (index, range) in ranges.iter().enumerate() {
                prop_assert!(tokens(&text[range.clone()]) <= max_tokens);
                covered[range.clone()].fill(true);
                if index > 0 {
                    let before = &ranges[index - 1];
                    prop_assert!(range.start > before.start && range.end > before.end);
                    let shared = range.start.min(before.end)..before.end;
                    prop_assert!(tokens(&text[shared]) <= overlap_tokens);
                }
            }
            for (at, sign) in text.char_indices() {
                prop_assert!(covered[at] || sign.is_whitespace(), "byte {at} is in no passage");
            }
        }
    }
}
