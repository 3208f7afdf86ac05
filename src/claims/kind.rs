//! What a claim claims.

use serde::{Deserialize, Serialize};

/// What has to be looked at to check a claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Something is there, perhaps doing something: "a dog", "a man is riding a bicycle".
    Presence,
    /// Something is of a kind: "the eyes are blue", "uneven teeth".
    Attribute,
    /// Something has or wears something: "a face with uneven teeth", "the man wears a hat".
    Part,
    /// A number of things. CLIP cannot judge it; a detector that knows `what` can.
    Count {
        /// What is counted, with all that restricts it: "dogs", "dogs running on grass".
        what: String,
        /// How the number is meant.
        comparison: Comparison,
        /// The number.
        n: u32,
    },
    /// Where one thing is beside another. CLIP cannot judge it; a detector that knows both can.
    Spatial {
        /// The thing whose place is told, with its article.
        a: String,
        /// Where it is, seen from the camera.
        relation: Relation,
        /// The other thing; "image" where a place in the picture is told.
        b: String,
    },
    /// That something is not so. CLIP cannot judge it; a detector can tell absence.
    Negation {
        /// What is denied, as a text without the denial: "the face has a beard".
        affirmed: String,
        /// The kind of what is denied; never a negation.
        inner: Box<Kind>,
    },
    /// Not checkable on pixels: opinion, hedge, future, question, greeting, talk about the speaker,
    /// a name, a measure, a language without rules. [`Rule`] tells which.
    Opinion,
}

impl Kind {
    /// The kind without what it holds.
    pub fn name(&self) -> KindName {
        match self {
            Self::Presence => KindName::Presence,
            Self::Attribute => KindName::Attribute,
            Self::Part => KindName::Part,
            Self::Count { .. } => KindName::Count,
            Self::Spatial { .. } => KindName::Spatial,
            Self::Negation { .. } => KindName::Negation,
            Self::Opinion => KindName::Opinion,
        }
    }
}

/// A [`Kind`] without what it holds, as configuration and tables name it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KindName {
    /// [`Kind::Presence`].
    Presence,
    /// [`Kind::Attribute`].
    Attribute,
    /// [`Kind::Part`].
    Part,
    /// [`Kind::Count`].
    Count,
    /// [`Kind::Spatial`].
    Spatial,
    /// [`Kind::Negation`].
    Negation,
    /// [`Kind::Opinion`].
    Opinion,
}

/// How a number is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// Just as many.
    Equal,
    /// As many or more; "several" and "many" are at least 2.
    AtLeast,
    /// As many or fewer.
    AtMost,
    /// More than the number.
    MoreThan,
    /// Fewer than the number.
    FewerThan,
    /// Roughly as many.
    About,
}

/// Where one thing is beside another, seen from the camera.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Relation {
    /// Further left.
    LeftOf,
    /// Further right.
    RightOf,
    /// Higher.
    Above,
    /// Lower.
    Below,
    /// Within its outline.
    Inside,
    /// On it: touching it from above, or on its surface.
    On,
    /// Beside or near it.
    NextTo,
    /// Nearer to the camera.
    InFrontOf,
    /// Further from the camera.
    Behind,
}

/// Which rule decided a claim's kind, for an audit.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rule {
    /// It ends as a question.
    Question,
    /// A greeting or thanks.
    Greeting,
    /// It is about the speaker or the hearer, or asks for something.
    Meta,
    /// "probably", "seems to", "것 같다".
    Hedge,
    /// It tells of the future.
    Future,
    /// It judges: "beautiful", "unfortunately".
    Judgement,
    /// It says who somebody is.
    Identity,
    /// No rules for its language.
    UnknownLanguage,
    /// Longer than [`SENTENCE_BYTES`](super::SENTENCE_BYTES).
    TooLong,
    /// It denies more than once.
    DoubleNegation,
    /// It has a number that counts no things: an age, a year, a measure, a share.
    OtherNumber,
    /// It relates things in a way that is no [`Relation`]: "between", "bigger than".
    OtherRelation,
    /// A word that denies.
    NegationWord,
    /// A number word or numeral before what it counts.
    NumberWord,
    /// A word of place between two things.
    RelationWord,
    /// A verb of having or wearing.
    HavePattern,
    /// "with", "있는".
    WithPhrase,
    /// A form of "be" or "look", or a Korean adjective, tells the attribute.
    Predicate,
    /// A word of the attribute table beside a noun.
    AttributeWord,
    /// "there is", "is visible", "보인다".
    Existence,
    /// A verb tells what something does.
    Action,
    /// Words without a verb, none of them in another table.
    Phrase,
}
