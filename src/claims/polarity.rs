//! Whether what a passage says stands for a claim or against it.

use super::likeness::{Match, attributes};
use super::quantity::{Numbers, Thing};
use super::{Claim, Kind, Language, Relation};

/// On which side of a claim a statement stands, if both are about the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Polarity {
    /// It says what the claim says, or more.
    SameSide,
    /// Both cannot be so.
    OppositeSide,
    /// It leaves the claim open, or tells of something else.
    Unrelated,
}

/// The side of `claim` on which `statement` stands.
///
/// | claim | statement | |
/// |---|---|---|
/// | a count | a count of the same | same side where all its numbers are the claim's, opposite where none is |
/// | a count | that the counted is there, or is not | as the counts "at least 1" and 0 |
/// | a place | a place of the same two | by the relation; of "a left of b", "b right of a" is the same |
/// | neither | neither | by the denials of both and the opposites among their attributes |
///
/// A denial of X stands against X. An attribute stands against its opposite, in forms of one
/// language; "not even" stands for "uneven", but "not red" leaves "blond" open. Counted and placed
/// things are the same if their words are, in any order of case, number and article; other texts are
/// taken to be about the same, and the caller judges by embeddings whether they are. Counts and
/// places of different languages, other kinds beside a count or a place, the left beside the right of
/// something, and what cannot be checked ([`Kind::Opinion`]) are [`Polarity::Unrelated`].
///
/// Time is linear in both texts: a claim's text is at most two
/// [`SENTENCE_BYTES`](super::SENTENCE_BYTES) unless it cannot be checked.
pub fn polarity(claim: &Claim, statement: &Claim) -> Polarity {
    let (one, other) = (Side::of(claim), Side::of(statement));
    if matches!(one.kind, Kind::Opinion) || matches!(other.kind, Kind::Opinion) {
        return Polarity::Unrelated;
    }
    let one_language = one.language == other.language;
    match (one.kind, other.kind) {
        (Kind::Count { .. }, _) | (_, Kind::Count { .. }) if one_language => numbers(&one, &other),
        (Kind::Count { .. } | Kind::Spatial { .. }, _)
        | (_, Kind::Count { .. } | Kind::Spatial { .. })
            if !one_language =>
        {
            Polarity::Unrelated
        }
        (Kind::Spatial { a, relation, b }, Kind::Spatial { a: c, relation: told, b: d }) => {
            let thing = |text: &str| Thing::of(text, one.language);
            let things = [a, b, c, d].map(|text| thing(text));
            judged(places(&things, *relation, *told), &one, &other)
        }
        (Kind::Spatial { .. }, _) | (_, Kind::Spatial { .. }) => Polarity::Unrelated,
        _ if one_language => judged(attributes(one.text, other.text, one.language), &one, &other),
        _ => judged(Match::Alike, &one, &other),
    }
}

/// What a claim affirms, and whether it denies that.
struct Side<'a> {
    text: &'a str,
    kind: &'a Kind,
    language: Language,
    denied: bool,
}

impl<'a> Side<'a> {
    fn of(claim: &'a Claim) -> Self {
        let (text, kind, denied) = if let Kind::Negation { affirmed, inner } = &claim.kind {
            (affirmed.as_str(), &**inner, true)
        } else {
            (claim.text.as_str(), &claim.kind, false)
        };
        Self { text, kind, language: claim.language, denied }
    }

    /// How many of what there are; none where the text tells of more than that something is there.
    fn numbers(&self) -> Option<(Thing, Numbers)> {
        let (thing, numbers) = match self.kind {
            Kind::Count { what, comparison, n } => {
                (Thing::of(what, self.language), Numbers::of(*comparison, *n))
            }
            Kind::Presence | Kind::Part => {
                (Thing::there(self.text, self.language)?, Numbers::some())
            }
            Kind::Attribute | Kind::Spatial { .. } | Kind::Negation { .. } | Kind::Opinion => {
                return None;
            }
        };
        Some((thing, if self.denied { numbers.complement() } else { numbers }))
    }
}

fn numbers(claim: &Side<'_>, statement: &Side<'_>) -> Polarity {
    let (Some((what, claimed)), Some((told, stated))) = (claim.numbers(), statement.numbers())
    else {
        return Polarity::Unrelated;
    };
    if what != told {
        return Polarity::Unrelated;
    }
    let (inside, outside) = claimed.holds(&stated);
    match (inside, outside) {
        (true, false) => Polarity::SameSide,
        (false, true) => Polarity::OppositeSide,
        _ => Polarity::Unrelated,
    }
}

/// How two places go together: of `a` beside `b`, and of `c` beside `d`.
fn places([a, b, c, d]: &[Thing; 4], claimed: Relation, told: Relation) -> Match {
    let told = if (a, b) == (c, d) {
        told
    } else if (a, b) == (d, c) {
        match converse(told) {
            Some(converse) => converse,
            // Of two things, at most one is on or in the other.
            None if claimed == told => return Match::Exclusive,
            None => return Match::Open,
        }
    } else {
        return Match::Open;
    };
    let opposite = matches!(
        (claimed, told),
        (Relation::On | Relation::Above, Relation::Below)
            | (Relation::Below, Relation::On | Relation::Above)
            | (Relation::LeftOf, Relation::RightOf)
            | (Relation::RightOf, Relation::LeftOf)
            | (Relation::InFrontOf, Relation::Behind)
            | (Relation::Behind, Relation::InFrontOf)
    );
    match (claimed == told, opposite) {
        (true, _) => Match::Alike,
        (_, true) => Match::Exclusive,
        _ => Match::Open,
    }
}

/// The relation of b to a where a has this one to b.
fn converse(relation: Relation) -> Option<Relation> {
    match relation {
        Relation::LeftOf => Some(Relation::RightOf),
        Relation::RightOf => Some(Relation::LeftOf),
        Relation::Above => Some(Relation::Below),
        Relation::Below => Some(Relation::Above),
        Relation::InFrontOf => Some(Relation::Behind),
        Relation::Behind => Some(Relation::InFrontOf),
        Relation::NextTo => Some(Relation::NextTo),
        Relation::Inside | Relation::On => None,
    }
}

/// The side, once it is known how what both affirm goes together.
fn judged(found: Match, claim: &Side<'_>, statement: &Side<'_>) -> Polarity {
    match (found, claim.denied == statement.denied) {
        (Match::Alike, true) | (Match::Complementary, false) => Polarity::SameSide,
        (Match::Alike, false) | (Match::Complementary, true) => Polarity::OppositeSide,
        // "Blond" stands against "red" and for "not red"; "not red" leaves "blond" open.
        (Match::Exclusive, true) if !claim.denied => Polarity::OppositeSide,
        (Match::Exclusive, false) if claim.denied => Polarity::SameSide,
        (Match::Exclusive | Match::Open, _) => Polarity::Unrelated,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, split};
    use super::*;

    fn claim(text: &str) -> Claim {
        let claims = split(text, &Limits::default()).unwrap();
        assert_eq!(claims.len(), 1, "{text}: {claims:?}");
        claims[0].clone()
    }

    #[track_caller]
    fn check(expected: Polarity, table: &[[&str; 2]]) {
        for [one, other] in table {
            let (one, other) = (claim(one), claim(other));
            assert_eq!(polarity(&one, &other), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn denials_stand_against_what_they_deny() {
        check(
            Polarity::OppositeSide,
            &[
                ["The face has glasses", "The face has no glasses"],
                ["The person is not wearing glasses", "The person is wearing glasses"],
                ["There is a seam", "No seam is visible"],
                ["안경을 쓰고 있다", "안경을 쓰지 않았다"],
                ["이음매가 없다", "이음매가 보인다"],
                ["The face has glasses", "안경이 없다"],
            ],
        );
        check(
            Polarity::SameSide,
            &[
                ["The face has glasses", "The person wears glasses"],
                ["There is no seam", "No seam is visible"],
                ["이음매가 없다", "합성 경계선이 보이지 않는다"],
                ["안경을 쓰고 있다", "The person is wearing glasses"],
            ],
        );
    }

    #[test]
    fn opposite_attributes_stand_against_each_other() {
        check(
            Polarity::OppositeSide,
            &[
                ["The teeth are uneven", "The face has even teeth"],
                ["The teeth are straight", "The teeth are crooked"],
                ["The hair is blond", "The person has red hair"],
                ["The person has black hair", "The hair is blonde"],
                ["a blond woman", "The woman has black hair"],
                ["The pupils show different reflections", "The pupils show the same reflections"],
                ["The teeth are not even", "The teeth are even"],
                ["치아가 들쭉날쭉하다", "가지런한 치아가 있다"],
                ["치아가 고르지 않다", "치아가 고르다"],
                ["머리 색은 금발이다", "검은 머리를 하고 있다"],
                ["배경은 파란색이다", "초록색 배경이다"],
                ["머리가 짧다", "긴 머리를 하고 있다"],
                ["머리가 곱슬이다", "생머리를 하고 있다"],
                ["동공 반사가 서로 다르다", "동공 반사가 서로 같다"],
            ],
        );
        check(
            Polarity::SameSide,
            &[
                ["The teeth are uneven", "The teeth are not even"],
                ["The hair is not blond", "The hair is red"],
                ["The hair is grey", "The person has gray hair"],
                ["치아가 고르지 않다", "들쭉날쭉한 치아가 있다"],
                ["머리 색은 검은색이다", "머리가 까맣다"],
            ],
        );
        check(
            Polarity::Unrelated,
            &[
                ["The hair is blond", "The hair is not red"],
                ["The hair is not blond", "The hair is not red"],
                ["The left ear is misshapen", "The right ear is misshapen"],
                ["왼쪽 귀가 일그러져 있다", "오른쪽 귀가 일그러져 있다"],
            ],
        );
    }

    #[test]
    fn counts_stand_by_their_numbers() {
        check(
            Polarity::SameSide,
            &[
                ["There are two dogs", "Two dogs are visible"],
                ["There are at least two dogs", "There are three dogs"],
                ["There are not two dogs", "There are three dogs"],
                ["There are at most two dogs", "There are no dogs"],
                ["개 두 마리가 있다", "두 마리의 개가 보인다"],
                ["여러 사람이 있다", "사람이 세 명 있다"],
            ],
        );
        check(
            Polarity::OppositeSide,
            &[
                ["There are two dogs", "There are three dogs"],
                ["There are two dogs", "There is no dog"],
                ["There are more than five cars", "There are five cars"],
                ["The face has two ears", "The face has no ears"],
                ["개 두 마리가 있다", "개 세 마리가 있다"],
                ["사람이 두 명 있다", "사람이 없다"],
            ],
        );
        check(
            Polarity::Unrelated,
            &[
                ["There are two dogs", "There are two cats"],
                ["There are three dogs", "There are at least two dogs"],
                ["There are two dogs", "There is a dog"],
                ["There are two dogs", "The dog is brown"],
                ["There are two dogs", "개 두 마리가 있다"],
                ["개 두 마리가 있다", "고양이 두 마리가 있다"],
            ],
        );
    }

    #[test]
    fn places_stand_by_their_relation() {
        check(
            Polarity::SameSide,
            &[
                ["The dog is left of the cat", "A dog is to the left of a cat"],
                ["The dog is left of the cat", "The cat is to the right of the dog"],
                ["The lamp is next to the bed", "The bed is next to the lamp"],
                ["The dog is not left of the cat", "The dog is to the right of the cat"],
                ["개가 고양이 왼쪽에 있다", "고양이가 개 오른쪽에 있다"],
                ["소파 위에 고양이가 있다", "고양이가 소파 위에 있다"],
            ],
        );
        check(
            Polarity::OppositeSide,
            &[
                ["The dog is left of the cat", "The dog is to the right of the cat"],
                ["The dog is left of the cat", "The cat is to the left of the dog"],
                ["The dog is left of the cat", "The dog is not left of the cat"],
                ["The ball is inside the box", "The box is inside the ball"],
                ["The cup is on the table", "The cup is under the table"],
                ["The dog is on the left", "The dog is on the right"],
                ["개가 고양이 왼쪽에 있다", "개가 고양이 오른쪽에 있다"],
                ["고양이가 소파 위에 있다", "고양이가 소파 아래에 있다"],
            ],
        );
        check(
            Polarity::Unrelated,
            &[
                ["The dog is left of the cat", "The dog is left of the bed"],
                ["The dog is left of the cat", "The dog is next to the cat"],
                ["The dog is left of the cat", "The dog is not right of the cat"],
                ["The dog is left of the cat", "The dog is brown"],
                ["The dog is left of the cat", "개가 고양이 왼쪽에 있다"],
            ],
        );
    }

    #[test]
    fn what_cannot_be_checked_stands_nowhere() {
        check(
            Polarity::Unrelated,
            &[
                ["The teeth are uneven", "The teeth are probably uneven"],
                ["This looks like a nice picture", "The teeth are uneven"],
                ["얼굴이 합성된 것 같다", "이음매가 있다"],
            ],
        );
    }
}
