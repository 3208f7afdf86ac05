//! The witness that finds things: whether they are there, how many, and how they lie; pure.
//!
//! It judges only what its classes cover: a claim that also says something else ("round glasses") it
//! can refute, where there are no glasses, but not confirm.

use super::asked::{Asked, affirmed};
use super::lexicon::Lexicon;
use super::result::{Citation, Place, Source, Stance, Testimony, Witness};
use crate::claims::{Comparison, Kind, Relation};
use crate::verification::Detected;
use crate::vision::boxes::Rect;

/// A box of this confidence is there beyond doubt: what depends on boxes below it is not judged.
const SURE: f32 = 0.5;
/// How much of the larger size two centres must differ by to lie left, right, above or below.
const APART: f32 = 0.1;

/// What a detector found in one picture.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Which picture.
    pub(super) place: Place,
    /// Its width and height in pixels.
    pub(super) size: (u32, u32),
    /// Boxes, most confident first; also those that are too weak to count.
    pub(super) boxes: Vec<Detected>,
}

/// What a claim says to a detector.
struct Judge<'a> {
    lexicon: &'a Lexicon,
    /// Boxes below this confidence are not there.
    least: f32,
}

/// A judgement on one picture: support (above 0 for), and the boxes that decide.
type Judged<'a> = (f32, Vec<&'a Detected>);

/// What the boxes of all pictures say: a picture that shows it speaks for the claim; against it speak
/// only all of them.
pub(super) fn testify(asked: &Asked, lexicon: &Lexicon, found: &[&Found], least: f32) -> Testimony {
    let judge = Judge { lexicon, least };
    let mut judged = Vec::new();
    for &one in found {
        match judge.claim(&asked.claim.kind, affirmed(&asked.claim), one) {
            Ok((support, boxes)) => judged.push((support, boxes, one)),
            Err(why) => return Testimony::silent(Witness::Detector, why),
        }
    }
    let Some((support, boxes, one)) = judged.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)) else {
        return Testimony::silent(Witness::Detector, "there is no picture");
    };
    let stance = Stance::of(support, f32::MIN_POSITIVE);
    let citation = |found: &Detected| {
        let (rect, label) = (Some(found.rect), found.label.clone());
        let place = Place { rect, label, ..one.place.clone() };
        Citation { source: Source::Picture(place), stance, support: found.confidence }
    };
    let mut citations: Vec<Citation> =
        boxes.into_iter().take(super::pixels::CITATIONS).map(citation).collect();
    if citations.is_empty() {
        let source = Source::Picture(one.place.clone());
        citations.push(Citation { source, stance, support });
    }
    Testimony::spoken(Witness::Detector, support, f32::MIN_POSITIVE, citations)
}

impl Judge<'_> {
    fn claim<'a>(&self, kind: &Kind, text: &str, found: &'a Found) -> Result<Judged<'a>, String> {
        match kind {
            Kind::Presence | Kind::Part => self.presence(text, found),
            Kind::Count { what, comparison, n } => self.count(what, (*comparison, *n), found),
            Kind::Spatial { a, relation, b } => self.spatial((a, b), *relation, found),
            Kind::Negation { affirmed, inner } => {
                let (support, boxes) = self.claim(inner, affirmed, found)?;
                Ok((-support, boxes))
            }
            Kind::Attribute => Err("boxes tell no attributes".to_owned()),
            Kind::Opinion => Err("nothing that can be looked at".to_owned()),
        }
    }

    fn presence<'a>(&self, text: &str, found: &'a Found) -> Result<Judged<'a>, String> {
        let named = self.lexicon.named(text);
        if named.classes.is_empty() {
            return Err("the detector knows none of what the claim names".to_owned());
        }
        let best = |class: &usize| found.boxes.iter().find(|found| found.class == *class);
        let missing = named.classes.iter().map(|class| best(class).map_or(0.0, |b| b.confidence));
        let weakest = missing.fold(1.0, f32::min);
        if weakest < self.least {
            return Ok((weakest - 1.0, Vec::new()));
        }
        if !named.is_all {
            let reason = "the detector finds the thing, but does not know all that the claim says";
            return Err(reason.to_owned());
        }
        Ok((weakest, named.classes.iter().filter_map(best).collect()))
    }

    /// The number of boxes, where it does not depend on doubtful ones.
    fn count<'a>(
        &self,
        what: &str,
        (comparison, n): (Comparison, u32),
        found: &'a Found,
    ) -> Result<Judged<'a>, String> {
        let class = self.one_class(what)?;
        let of_class: Vec<&Detected> =
            found.boxes.iter().filter(|b| b.class == class && b.confidence >= self.least).collect();
        let sure = of_class.iter().filter(|found| found.confidence >= SURE).count();
        let holds = |count: usize| compares(count as u32, comparison, n);
        if holds(sure) != holds(of_class.len()) {
            return Err(format!(
                "it depends on doubtful boxes: {sure} are sure, {} are there in all",
                of_class.len()
            ));
        }
        let weakest = of_class.last().map_or(1.0 - self.least, |found| found.confidence.max(SURE));
        Ok((if holds(sure) { weakest } else { -weakest }, of_class))
    }

    fn spatial<'a>(
        &self,
        (a, b): (&str, &str),
        relation: Relation,
        found: &'a Found,
    ) -> Result<Judged<'a>, String> {
        if matches!(relation, Relation::NextTo | Relation::InFrontOf | Relation::Behind) {
            return Err("boxes tell neither depth nor what is near".to_owned());
        }
        let ones = self.boxes(a, found)?;
        if b == "image" {
            let (width, height) = (found.size.0 as f32, found.size.1 as f32);
            let frame = Rect::new(0.0, 0.0, width, height);
            let held = ones.iter().map(|one| lies(one.rect, relation, frame));
            return agreed(&held.collect::<Vec<_>>(), ones.clone());
        }
        let others = self.boxes(b, found)?;
        let pairs = ones.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
        let held: Vec<Option<bool>> =
            pairs.map(|(one, other)| lies(one.rect, relation, other.rect)).collect();
        agreed(&held, ones.iter().chain(&others).copied().collect())
    }

    /// Sure boxes of the one class that a phrase names.
    fn boxes<'a>(&self, phrase: &str, found: &'a Found) -> Result<Vec<&'a Detected>, String> {
        let class = self.one_class(phrase)?;
        let sure = found.boxes.iter().filter(|b| b.class == class && b.confidence >= SURE);
        let sure: Vec<&Detected> = sure.collect();
        if sure.is_empty() {
            return Err(format!("the detector is sure of no {phrase}"));
        }
        Ok(sure)
    }

    fn one_class(&self, phrase: &str) -> Result<usize, String> {
        let named = self.lexicon.named(phrase);
        match (named.classes.as_slice(), named.is_all) {
            ([class], true) => Ok(*class),
            _ => Err(format!("the detector has no class for '{phrase}'")),
        }
    }
}

fn compares(count: u32, comparison: Comparison, n: u32) -> bool {
    match comparison {
        Comparison::Equal => count == n,
        Comparison::AtLeast => count >= n,
        Comparison::AtMost => count <= n,
        Comparison::MoreThan => count > n,
        Comparison::FewerThan => count < n,
        // A tenth of the number, and one at least.
        Comparison::About => count.abs_diff(n) <= (n / 10).max(1),
    }
}

/// Whether one box lies so to another; none where it is too close to tell.
fn lies(one: Rect, relation: Relation, other: Rect) -> Option<bool> {
    let centre = |rect: Rect| (f32::midpoint(rect.x1, rect.x2), f32::midpoint(rect.y1, rect.y2));
    let ((x, y), (other_x, other_y)) = (centre(one), centre(other));
    let apart =
        |distance: f32, size: f32| (distance.abs() > APART * size).then_some(distance > 0.0);
    let (width, height) = (one.width().max(other.width()), one.height().max(other.height()));
    match relation {
        Relation::LeftOf => apart(other_x - x, width),
        Relation::RightOf => apart(x - other_x, width),
        Relation::Above => apart(other_y - y, height),
        Relation::Below => apart(y - other_y, height),
        Relation::Inside | Relation::On => {
            let share = one.intersection(&other).area() / one.area().max(f32::MIN_POSITIVE);
            if share > 0.8 { Some(true) } else { (share < 0.2).then_some(false) }
        }
        Relation::NextTo | Relation::InFrontOf | Relation::Behind => None,
    }
}

/// For where it holds of all, against where it holds of none.
fn agreed<'a>(held: &[Option<bool>], boxes: Vec<&'a Detected>) -> Result<Judged<'a>, String> {
    let weakest = boxes.iter().map(|found| found.confidence).fold(1.0, f32::min);
    if held.iter().all(|one| *one == Some(true)) {
        Ok((weakest, boxes))
    } else if held.iter().all(|one| *one == Some(false)) {
        Ok((-weakest, boxes))
    } else {
        Err("the boxes lie too close to tell, or not all alike".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::answers::Config;

    const CLASSES: [&str; 4] = ["eye", "nose", "mouth", "glasses"];

    /// Two eyes above a nose above a mouth; a doubtful third eye; no glasses.
    fn face() -> Found {
        let found = |class: usize, rect: [f32; 4], confidence: f32| Detected {
            rect: Rect::new(rect[0], rect[1], rect[2], rect[3]),
            class,
            label: CLASSES[class].to_owned(),
            confidence,
        };
        let boxes = vec![
            found(0, [20.0, 30.0, 40.0, 40.0], 0.9),
            found(0, [60.0, 30.0, 80.0, 40.0], 0.8),
            found(1, [45.0, 45.0, 55.0, 60.0], 0.8),
            found(2, [35.0, 70.0, 65.0, 80.0], 0.7),
            found(3, [10.0, 30.0, 90.0, 45.0], 0.1),
        ];
        Found { place: Place::default(), size: (100, 100), boxes }
    }

    fn said(claim: &str, found: &Found) -> (Stance, f32) {
        let asked = Asked::all(claim, &Config::default()).unwrap().remove(0);
        let lexicon = Lexicon::new(&CLASSES.map(str::to_owned), &BTreeMap::new());
        let said = testify(&asked, &lexicon, &[found], 0.25);
        (said.stance, said.support)
    }

    #[test]
    fn it_tells_what_is_there_how_many_and_how_they_lie() {
        for (claim, stance) in [
            ("The person is wearing glasses.", Stance::Against),
            ("The person is not wearing glasses.", Stance::For),
            ("안경을 쓰고 있다.", Stance::Against),
            ("A mouth is visible.", Stance::For),
            ("Two eyes are visible.", Stance::For),
            ("There are three eyes.", Stance::Against),
            ("눈이 두 개 보인다.", Stance::For),
            ("The nose is above the mouth.", Stance::For),
            ("The mouth is above the nose.", Stance::Against),
            ("코가 입 위에 있다.", Stance::For),
        ] {
            assert_eq!(said(claim, &face()).0, stance, "{claim}");
        }
        assert!((said("The person is wearing glasses.", &face()).1 + 0.9).abs() < 1e-6);
    }

    #[test]
    fn what_it_does_not_know_it_does_not_judge() {
        for claim in [
            "The person wears a hat.",
            "The person has a wide mouth.",
            "The eyes are blue.",
            "Three hats are visible.",
            "The nose is next to the mouth.",
            "The eye is left of the nose.",
            "It is lovely.",
        ] {
            assert_eq!(said(claim, &face()).0, Stance::Silent, "{claim}");
        }
    }

    #[test]
    fn a_number_that_depends_on_doubtful_boxes_is_not_told() {
        let mut found = face();
        let mut third = found.boxes[0].clone();
        third.confidence = 0.3;
        found.boxes.push(third);
        assert_eq!(said("Two eyes are visible.", &found).0, Stance::Silent);
        assert_eq!(said("At least two eyes are visible.", &found).0, Stance::For);
    }

    #[test]
    fn round_glasses_are_refuted_without_glasses_and_never_confirmed() {
        assert_eq!(said("The person has round glasses.", &face()).0, Stance::Against);
        let mut found = face();
        found.boxes[4].confidence = 0.9;
        assert_eq!(said("The person has round glasses.", &found).0, Stance::Silent);
        assert_eq!(said("The person has glasses.", &found).0, Stance::For);
    }
}
