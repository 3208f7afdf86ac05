//! Answers about the questioned picture, claim by claim with its truth.

use std::ops::Range;

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::super::{FaceSpec, Fact, Language, Topic, hair_statements};
use super::evidence::Item;
use super::{chosen, said, wording};

/// Claims of an answer, at least and at most.
const CLAIMS: std::ops::RangeInclusive<usize> = 3..=5;
/// The probability that an answer has a number, a place and an opinion, each.
const EXTRA: f64 = 0.25;
/// The probability that the colour of the hair is told together with how it falls.
const WHOLE_HAIR: f64 = 0.25;
/// The probability that a false answer has two false claims.
const TWICE_FALSE: f64 = 0.35;
/// The probability that two sentences become one, where they can.
const JOINED: f64 = 0.35;

/// What a claim is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum About {
    /// A fact of the face.
    Topic(Topic),
    /// The colour of the hair and how it falls.
    Hair,
    /// A number of parts.
    Count,
    /// Which part is above another.
    Place,
    /// Nothing that can be checked.
    Opinion,
}

impl About {
    /// The name in reports and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Topic(topic) => topic.name(),
            Self::Hair => "hair",
            Self::Count => "count",
            Self::Place => "place",
            Self::Opinion => "opinion",
        }
    }

    /// The topics of which evidence could tell.
    pub fn topics(self) -> Vec<Topic> {
        match self {
            Self::Topic(topic) => vec![topic],
            Self::Hair => vec![Topic::HairColour, Topic::HairStyle],
            Self::Count | Self::Place | Self::Opinion => Vec::new(),
        }
    }
}

/// Whether a claim is so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Truth {
    /// It is.
    True,
    /// It is not.
    False,
    /// Nobody can tell.
    Uncheckable,
}

impl Truth {
    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Uncheckable => "uncheckable",
        }
    }
}

/// One claim of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LabelledClaim {
    /// Its bytes in the answer, without closing punctuation and conjunctions between claims.
    pub span: Range<usize>,
    /// Whether it is so.
    pub truth: Truth,
    /// What it is about.
    pub about: About,
    /// Ids of the items whose text states it or its contradiction.
    pub evidence: Vec<String>,
}

/// What a system answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// "0417-true" or "0417-false".
    pub id: String,
    /// Of question and answer.
    pub language: Language,
    /// What was asked.
    pub question: String,
    /// The answer.
    pub text: String,
    /// Its claims, in order.
    pub claims: Vec<LabelledClaim>,
}

impl Answer {
    /// Whether no claim of it is false.
    pub fn is_true(&self) -> bool {
        self.claims.iter().all(|claim| claim.truth != Truth::False)
    }

    /// With the items that speak to each claim.
    #[must_use]
    pub(super) fn with_evidence(mut self, items: &[Item]) -> Self {
        for claim in &mut self.claims {
            let topics = claim.about.topics();
            let speaks = |item: &&Item| topics.iter().any(|&topic| item.speaks_to(topic));
            claim.evidence = items.iter().filter(speaks).map(|item| item.id.clone()).collect();
        }
        self
    }
}

/// A statement before it stands in its answer.
struct Statement {
    about: About,
    truth: Truth,
    text: String,
}

/// An answer about a picture, without evidence: all true, or with one or two claims that are not.
pub(super) fn compose(
    (case, language): (&str, Language),
    spec: &FaceSpec,
    is_true: bool,
    rng: &mut ChaCha8Rng,
) -> Answer {
    let abouts = chosen_abouts(rng);
    let checkable = |at: &usize| abouts[*at] != About::Opinion;
    let mut wrong: Vec<usize> = (0..abouts.len()).filter(checkable).collect();
    wrong.shuffle(rng);
    let twice = rng.random_bool(TWICE_FALSE);
    wrong.truncate(if is_true { 0 } else { 1 + usize::from(twice) });
    let statements: Vec<Statement> = abouts
        .iter()
        .enumerate()
        .map(|(at, &about)| statement(about, spec, (language, !wrong.contains(&at)), rng))
        .collect();
    let question = wording::question(language, rng);
    let (text, claims) = written(&statements, language, rng);
    let truth = if is_true { Truth::True } else { Truth::False };
    Answer { id: format!("{case}-{}", truth.name()), language, question, text, claims }
}

/// What the claims are about, each thing once, at least two of them facts of the face.
fn chosen_abouts(rng: &mut ChaCha8Rng) -> Vec<About> {
    let count = rng.random_range(CLAIMS);
    let mut extras = vec![About::Count, About::Place, About::Opinion];
    extras.retain(|_| rng.random_bool(EXTRA));
    extras.shuffle(rng);
    extras.truncate(count - 2);
    let mut facts: Vec<About> = Topic::ALL.into_iter().map(About::Topic).collect();
    if rng.random_bool(WHOLE_HAIR) {
        facts.retain(|about| !matches!(about, About::Topic(Topic::HairColour | Topic::HairStyle)));
        facts.push(About::Hair);
    }
    facts.shuffle(rng);
    facts.truncate(count - extras.len());
    facts.extend(extras);
    facts.shuffle(rng);
    facts
}

fn statement(
    about: About,
    spec: &FaceSpec,
    (language, is_true): (Language, bool),
    rng: &mut ChaCha8Rng,
) -> Statement {
    let truth = if is_true { Truth::True } else { Truth::False };
    let fact_of = |topic: Topic| Fact::of(spec).into_iter().find(|fact| fact.topic == topic);
    let wrong_value = |fact: Fact, rng: &mut ChaCha8Rng| {
        let others: Vec<Fact> = fact.others().collect();
        others.choose(rng).copied().unwrap_or(fact)
    };
    let text = match about {
        About::Topic(topic) => {
            let fact = fact_of(topic).expect("every topic has a fact");
            let fact = if is_true { fact } else { wrong_value(fact, rng) };
            said(fact, language, rng)
        }
        About::Hair => {
            let mut facts = [Topic::HairColour, Topic::HairStyle]
                .map(|topic| fact_of(topic).expect("every topic has a fact"));
            if !is_true {
                let at = rng.random_range(0..2);
                facts[at] = wrong_value(facts[at], rng);
            }
            chosen(&hair_statements(facts[0].value, facts[1].value, language), rng)
        }
        About::Count => wording::count(language, is_true, rng),
        About::Place => wording::place(language, is_true, rng),
        About::Opinion => wording::opinion(language, rng),
    };
    let truth = if about == About::Opinion { Truth::Uncheckable } else { truth };
    Statement { about, truth, text }
}

/// The answer's text, and where each statement stands in it.
fn written(
    statements: &[Statement],
    language: Language,
    rng: &mut ChaCha8Rng,
) -> (String, Vec<LabelledClaim>) {
    let mut text = String::new();
    let mut claims = Vec::new();
    let mut put = |text: &mut String, statement: &Statement, words: &str| {
        let start = text.len();
        text.push_str(words);
        let (truth, about) = (statement.truth, statement.about);
        claims.push(LabelledClaim { span: start..text.len(), truth, about, evidence: Vec::new() });
    };
    let mut at = 0;
    while at < statements.len() {
        if at > 0 {
            text.push(' ');
        }
        let this = &statements[at];
        let next = statements.get(at + 1).filter(|next| fit(this, next));
        let pair = next
            .filter(|_| rng.random_bool(JOINED))
            .and_then(|next| Some((next, wording::joined(&this.text, &next.text, language, rng)?)));
        if let Some((next, joined)) = pair {
            put(&mut text, this, &joined.first);
            text.push_str(joined.between);
            put(&mut text, next, &joined.second);
            at += 2;
        } else {
            put(&mut text, this, &this.text);
            at += 1;
        }
        text.push('.');
    }
    (text, claims)
}

/// Whether two statements may stand in one sentence: opinions would make all of it one, and "has
/// short hair and black hair" nobody says.
fn fit(first: &Statement, second: &Statement) -> bool {
    let hair = |about: About| {
        matches!(about, About::Topic(Topic::HairColour | Topic::HairStyle) | About::Hair)
    };
    let opinion = [first, second].iter().any(|one| one.about == About::Opinion);
    let both_hair = hair(first.about) && hair(second.about);
    !opinion && !both_hair
}
