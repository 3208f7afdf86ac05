//! Cuts an English sentence into the clauses that can stand as claims.
//!
//! The sentence is read from left to right. At each comma, semicolon and conjunction the part to the
//! right is cut off where it can stand: as a clause of its own, with the subject of the clause before
//! it, or as one more thing that its verb or "with" has. Where it cannot, nothing is cut.

use std::ops::Range;

use super::english::{Found, Verb, number, verb};
use super::token::{Token, tokens};
use super::words::{
    ADVERBS, COLOURS, DETERMINERS, PREPOSITIONS, SUBORDINATORS, is_adjective, is_plural,
};
use super::{Piece, clean, sentence};

const CONJUNCTIONS: &[&str] =
    &["and", "but", "while", "whereas", "although", "though", "yet", "plus", "&"];
/// Openings that make all of a sentence the speaker's opinion: cut off, the rest would lose it.
const OPINION: &[&str] = &[
    "i think",
    "i believe",
    "i guess",
    "i suspect",
    "i suppose",
    "it seems",
    "it appears",
    "maybe",
    "perhaps",
    "probably",
    "possibly",
    "in my opinion",
    "it looks like",
    "i assume",
    "i feel",
    "it is possible",
    "it is likely",
    "it might be",
    "we believe",
    "we think",
    "presumably",
];

/// What a part to the right shares with the clause it is cut from.
struct Frame {
    /// "The face".
    subject: String,
    /// What stands before an object: "The face has", "a face with", or nothing in a bare list.
    prefix: String,
    shape: Shape,
    /// Index of the first word of the last object.
    object: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// "there is X".
    There,
    /// "S is ADJECTIVE".
    Be,
    /// "S has X".
    Have,
    /// "S with X", no verb.
    With,
    /// A noun phrase.
    Phrase,
    /// A clause with another verb.
    Other,
}

struct Splitter<'a> {
    source: &'a str,
    tokens: Vec<Token<'a>>,
    frame: Frame,
    /// Index of the first word of the piece that is open, and the text carried to it.
    start: usize,
    carried: String,
    /// How many words of the open piece the carried text takes the place of.
    replaced: usize,
    /// Index of the last word of the sentence that is a verb.
    last_verb: Option<usize>,
    pieces: Vec<Piece>,
}

/// The pieces of one sentence, their spans from its start.
pub(super) fn split(source: &str) -> Vec<Piece> {
    let tokens = tokens(source);
    let opening = super::english::padded(&tokens);
    let opens_with =
        |words: &str| opening[1..].strip_prefix(words).is_some_and(|rest| rest.starts_with(' '));
    if OPINION.iter().any(|words| opens_with(words)) {
        return vec![Piece { span: 0..source.len(), text: clean(source) }];
    }
    let opens = |token: &Token<'_>| {
        matches!(token.lower.as_str(), "and" | "but" | "while" | "whereas" | "although" | "though")
    };
    let start = tokens.iter().take_while(|token| opens(token)).count().min(tokens.len());
    let frame = frame(source, &tokens, start..run_after(&tokens, start), None);
    let (carried, replaced, pieces) = (String::new(), 0, Vec::new());
    let last_verb = super::english::last_verb(&tokens);
    let mut splitter =
        Splitter { source, tokens, frame, start, carried, replaced, last_verb, pieces };
    splitter.read();
    splitter.pieces
}

/// Index of the next separator from `at` on, or the number of words.
fn run_after(tokens: &[Token<'_>], at: usize) -> usize {
    (at..tokens.len()).find(|&at| separates(tokens, at)).unwrap_or(tokens.len())
}

fn separates(tokens: &[Token<'_>], at: usize) -> bool {
    let lower = tokens[at].lower.as_str();
    matches!(lower, "," | ";" | "，" | "；" | "、") || CONJUNCTIONS.contains(&lower)
}

fn frame(source: &str, tokens: &[Token<'_>], words: Range<usize>, carried: Option<&str>) -> Frame {
    let (start, end) = (words.start, words.end);
    let between = |from: usize, to: usize| text(source, tokens, from..to);
    let join = |found: &Found| {
        let subject = carried.map_or_else(|| between(start, start + found.first), str::to_owned);
        let verb = between(start + found.first, start + found.end);
        let object = start + found.end;
        let there = matches!(subject.to_lowercase().as_str(), "there" | "here");
        let shape = match found.verb {
            Verb::Be if there => Shape::There,
            Verb::Be | Verb::Look => Shape::Be,
            Verb::Have => Shape::Have,
            Verb::Other => Shape::Other,
        };
        let verb = verb.replace(" not", "");
        Frame { prefix: format!("{subject} {verb}"), subject, shape, object }
    };
    if let Some(found) = verb(&tokens[start..end]) {
        return join(&found);
    }
    let with = (start + 1..end).find(|&at| matches!(tokens[at].lower.as_str(), "with" | "wearing"));
    if let Some(at) = with {
        let (subject, prefix) = (between(start, at), between(start, at + 1));
        return Frame { subject, prefix, shape: Shape::With, object: at + 1 };
    }
    let subject = between(start, end);
    Frame { subject, prefix: String::new(), shape: Shape::Phrase, object: start }
}

/// The source of some words, with single spaces.
fn text(source: &str, tokens: &[Token<'_>], words: Range<usize>) -> String {
    if words.is_empty() {
        return String::new();
    }
    clean(&source[tokens[words.start].span.start..tokens[words.end - 1].span.end])
}

/// How a part is cut off.
enum Cut {
    /// With this text before its own, and this frame for what comes after it.
    Carry(String, Frame),
    /// As a relative clause whose pronoun this text takes the place of.
    Relative(String, Frame),
    /// As one more object of the frame that is open.
    Object(String),
}

impl Splitter<'_> {
    fn read(&mut self) {
        let mut at = run_after(&self.tokens, self.start);
        while at < self.tokens.len() {
            let right = (at..self.tokens.len())
                .find(|&at| !separates(&self.tokens, at))
                .unwrap_or(self.tokens.len());
            let end = run_after(&self.tokens, right);
            if right < end && at > self.start {
                self.cut(at, right, end);
            }
            at = end;
        }
        self.close(self.tokens.len());
    }

    fn cut(&mut self, run: usize, right: usize, end: usize) {
        match self.judge(run, right, end) {
            Some(Cut::Carry(carried, frame)) => {
                self.close(run);
                (self.carried, self.frame, self.start) = (carried, frame, right);
                self.replaced = 0;
            }
            Some(Cut::Relative(carried, frame)) => {
                self.close(run);
                (self.carried, self.frame, self.start) = (carried, frame, right);
                self.replaced = 1;
            }
            Some(Cut::Object(carried)) => {
                self.close(run);
                (self.carried, self.start, self.frame.object) = (carried, right, right);
                self.replaced = 0;
            }
            None => {}
        }
    }

    /// Ends the open piece before word `end`.
    fn close(&mut self, end: usize) {
        if self.start >= end {
            return;
        }
        let span = self.tokens[self.start].span.start..self.tokens[end - 1].span.end;
        let span = sentence::trimmed(self.source, span);
        let own = text(self.source, &self.tokens, self.start + self.replaced..end);
        let text = if self.carried.is_empty() { own } else { format!("{} {own}", self.carried) };
        if !span.is_empty() {
            self.pieces.push(Piece { span, text });
        }
    }

    fn judge(&self, run: usize, right: usize, end: usize) -> Option<Cut> {
        let word = |at: usize| self.tokens.get(at).map_or("", |token| token.lower.as_str());
        let conjunction = (run..right).any(|at| CONJUNCTIONS.contains(&word(at)));
        let hard = (run..right).any(|at| matches!(word(at), ";" | "；"));
        let first = word(right);
        let clause = !matches!(self.frame.shape, Shape::Phrase | Shape::With);
        let opening = word(self.start);
        if SUBORDINATORS.contains(&opening) || (self.is_opening(run) && !hard) {
            return None;
        }
        let found = verb(&self.tokens[right..end]);
        if matches!(first, "which" | "who") && !conjunction {
            return self.relative(run, right, end, found);
        }
        if let Some(found) = found {
            let stands = found.first > 0 && !SUBORDINATORS.contains(&first);
            if stands && (clause || hard) && !is_ing(first) {
                let frame = frame(self.source, &self.tokens, right..end, None);
                return Some(Cut::Carry(String::new(), frame));
            }
            let shared = found.first == 0 && conjunction && self.frame.shape != Shape::There;
            if shared && (clause || self.frame.shape == Shape::With) {
                let subject = self.frame.subject.clone();
                let frame = frame(self.source, &self.tokens, right..end, Some(&subject));
                return Some(Cut::Carry(subject, frame));
            }
            return None;
        }
        if matches!(first, "with" | "without" | "wearing") && right + 1 < end {
            return self.with(right);
        }
        if hard {
            let frame = frame(self.source, &self.tokens, right..end, None);
            return Some(Cut::Carry(String::new(), frame));
        }
        self.object(run, right..end, conjunction)
    }

    /// Whether what is open up to `run` only leads into the sentence: "In the photo", "However".
    fn is_opening(&self, run: usize) -> bool {
        let first = self.tokens[self.start].lower.as_str();
        let leads = PREPOSITIONS.contains(&first) || ADVERBS.contains(&first) || is_ing(first);
        let adverb = first.ends_with("ly") && run == self.start + 1;
        let verbless = matches!(self.frame.shape, Shape::Phrase | Shape::With);
        self.carried.is_empty() && verbless && (leads || adverb)
    }

    /// ", which is red": told of the noun phrase before it.
    fn relative(&self, run: usize, right: usize, end: usize, found: Option<Found>) -> Option<Cut> {
        let found = found?;
        let goes_on = self.tokens.get(end).is_some_and(|token| token.raw == ",")
            && verb(&self.tokens[end + 1..self.tokens.len().min(end + 3)])
                .is_some_and(|found| found.first == 0);
        if found.first != 1 || goes_on {
            return None;
        }
        let object = if self.frame.shape == Shape::Phrase { self.start } else { self.frame.object };
        let subject = text(self.source, &self.tokens, object..run);
        if subject.is_empty() || self.frame.shape == Shape::Be {
            return None;
        }
        let frame = frame(self.source, &self.tokens, right + 1..end, Some(&subject));
        Some(Cut::Relative(subject, frame))
    }

    /// ", with uneven teeth": one more thing the subject has.
    fn with(&self, right: usize) -> Option<Cut> {
        if matches!(self.frame.shape, Shape::There | Shape::Other) {
            return None;
        }
        let subject = self.frame.subject.clone();
        let prefix = format!("{subject} with");
        let frame =
            Frame { subject: subject.clone(), prefix, shape: Shape::With, object: right + 1 };
        Some(Cut::Carry(subject, frame))
    }

    /// "and a blending seam", ", blue eyes", "and yellow".
    fn object(&self, run: usize, right: Range<usize>, conjunction: bool) -> Option<Cut> {
        let left: Vec<&str> = self.words(self.frame.object..run);
        let words: Vec<&str> = self.words(right.clone());
        let (first, last) = (*words.first()?, *left.last()?);
        let noun_phrase = !PREPOSITIONS.contains(&first)
            && !ADVERBS.contains(&first)
            && (conjunction || !is_ing(first))
            && !first.ends_with("ly");
        if self.frame.shape == Shape::Be {
            return self.predicate(&left, &words);
        }
        let has_determiner =
            |words: &[&str]| DETERMINERS.contains(&words[0]) || number(words[0]).is_some();
        let (right_det, left_det) = (has_determiner(&words), has_determiner(&left));
        let bare = left.len() - usize::from(left_det);
        let first_noun = first == "no" || right_det || bare >= 2 || is_plural(last);
        if (!noun_phrase && first != "no") || is_adjective(last) || !first_noun {
            return None;
        }
        if left.contains(&"between") || is_relation_only(&words) {
            return None;
        }
        match self.frame.shape {
            Shape::Phrase if self.last_verb.is_some_and(|at| at >= right.start) => None,
            Shape::Phrase => Some(Cut::Object(String::new())),
            Shape::With if words[1..].contains(&"with") => {
                let frame = frame(self.source, &self.tokens, right, None);
                Some(Cut::Carry(String::new(), frame))
            }
            Shape::With | Shape::Have => Some(Cut::Object(self.frame.prefix.clone())),
            Shape::There => {
                let one = matches!(first, "a" | "an" | "one" | "another")
                    || (!right_det && !is_plural(words[words.len() - 1]));
                Some(Cut::Object(if one { "There is".into() } else { "There are".into() }))
            }
            Shape::Be | Shape::Other => None,
        }
    }

    /// "are uneven and yellow": both are told of the subject. "black and white" is one pattern.
    fn predicate(&self, left: &[&str], right: &[&str]) -> Option<Cut> {
        let place = |words: &[&str]| PREPOSITIONS.contains(&words[0]);
        let named = |words: &[&str]| DETERMINERS.contains(&words[0]);
        let right_bare = if right[0] == "not" && right.len() > 1 { &right[1..] } else { right };
        let colours = COLOURS.contains(&left[left.len() - 1]) && COLOURS.contains(&right[0]);
        let alike = place(left) == place(right_bare) && named(left) == named(right_bare);
        let short = place(right_bare) || named(right_bare) || right_bare.len() <= 4;
        (alike && short && !colours).then(|| Cut::Object(self.frame.prefix.clone()))
    }

    fn words(&self, range: Range<usize>) -> Vec<&str> {
        let range = range.start.min(range.end)..range.end;
        self.tokens[range].iter().filter(|t| t.is_word()).map(|t| t.lower.as_str()).collect()
    }
}

/// Whether words name a place and nothing in it: "left", "right side".
fn is_relation_only(words: &[&str]) -> bool {
    words.iter().all(|word| matches!(*word, "left" | "right" | "side" | "the" | "top" | "bottom"))
}

fn is_ing(word: &str) -> bool {
    word.len() > 5 && word.ends_with("ing")
}
