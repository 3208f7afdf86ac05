//! The witnesses that look at pictures: the whole of them, and the parts that a detector finds.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::asked::Asked;
use super::likeness::{Directions, Likeness};
use super::result::{Citation, Place, Source, Stance, Testimony, Witness};
use crate::claims::Kind;
use crate::serving::clip::ClipService;
use crate::serving::{Catalog, ServingError, Terms};
use crate::verification::{Detected, MARGIN_RATIO, embed_crop};
use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;

/// Citations of one testimony.
pub(super) const CITATIONS: usize = 8;

/// A picture, or a part of one, as a CLIP sees it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Where it is.
    pub(super) place: Place,
    /// Unit vector, `[E]`.
    pub(super) vector: Vec<f32>,
}

/// What the whole pictures say. The one that tells most about the claim is believed.
pub(super) fn whole(
    asked: &Asked,
    directions: &Directions,
    seen: &[&Seen],
    least: f32,
) -> Testimony {
    spoken(Witness::Pixels, asked, directions, (seen, least))
}

/// What the parts say: the part that is most about the claim is believed.
pub(super) fn parts(
    asked: &Asked,
    directions: &Directions,
    seen: &[&Seen],
    least: f32,
) -> Testimony {
    if seen.is_empty() {
        return Testimony::silent(Witness::Regions, "the detector found no part to look at");
    }
    spoken(Witness::Regions, asked, directions, (seen, least))
}

fn spoken(
    witness: Witness,
    asked: &Asked,
    directions: &Directions,
    (seen, least): (&[&Seen], f32),
) -> Testimony {
    if let Some(why) = unreadable(asked) {
        return Testimony::silent(witness, why);
    }
    let mut looks: Vec<(f32, f32, &Seen)> = seen
        .iter()
        .filter_map(|&seen| {
            let likeness = directions.compare(&seen.vector);
            let support = support(&likeness)?;
            // Of parts, the one that the claim or its contradictions are about.
            let of_part = witness == Witness::Regions;
            Some((if of_part { likeness.topical } else { support.abs() }, support, seen))
        })
        .collect();
    looks.sort_by(|one, other| other.0.total_cmp(&one.0));
    let Some(&(_, believed, _)) = looks.first() else {
        let why = "nothing contradicts the claim that it could be compared with, and it fits no \
                   better than saying nothing";
        return Testimony::silent(witness, why);
    };
    let citations = looks.iter().take(CITATIONS).map(|&(_, support, seen)| Citation {
        source: Source::Picture(seen.place.clone()),
        stance: Stance::of(support, least),
        support,
    });
    Testimony::spoken(witness, believed, least, citations.collect())
}

/// Against contradictions where there are any. Against null prompts alone a picture can speak for a
/// claim only: that it fits badly tells of the model as well as of the claim.
pub(super) fn support(likeness: &Likeness) -> Option<f32> {
    likeness.lean.or_else(|| (likeness.above_nulls > 0.0).then_some(likeness.above_nulls))
}

/// Why a CLIP cannot judge a claim; the figures behind it stand in [`claims`](crate::claims).
pub(super) fn unreadable(asked: &Asked) -> Option<&'static str> {
    match asked.claim.kind {
        Kind::Presence | Kind::Attribute | Kind::Part => None,
        Kind::Count { .. } => Some("CLIP does not count"),
        Kind::Spatial { .. } => Some("CLIP does not see where things lie to each other"),
        Kind::Negation { .. } => Some("CLIP does not read denials"),
        Kind::Opinion => Some("nothing that can be looked at"),
    }
}

/// The parts of one picture, the most confident first, at most `most`.
pub(super) async fn look_at_parts(
    (catalog, clip): (&Catalog, &ClipService),
    (image, place): (&Arc<Rgb8>, &Place),
    (boxes, most): (&[Detected], usize),
    terms: Terms,
) -> Result<Vec<Seen>, ServingError> {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let waiting = boxes.iter().take(most).cloned().map(|found| async move {
        let rect: Rect = found.rect.expanded(MARGIN_RATIO).clipped(width, height);
        let seen = embed_crop(catalog, clip, (image, rect), terms).await?;
        let place = Place { rect: Some(found.rect), label: found.label, ..place.clone() };
        Ok(Seen { place, vector: seen.vector })
    });
    stream::iter(waiting).buffered(clip.max_batch()).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Config;

    fn asked(answer: &str) -> Asked {
        Asked::all(answer, &Config::default()).unwrap().remove(0)
    }

    fn directions(contradicted: bool) -> Directions {
        let against = if contradicted { vec![vec![0.0, 1.0, 0.0]] } else { Vec::new() };
        Directions { claim: vec![1.0, 0.0, 0.0], against, nulls: vec![vec![0.0, 0.0, 1.0]] }
    }

    fn seen(image: usize, vector: [f32; 3]) -> Seen {
        Seen { place: Place { image, ..Place::default() }, vector: vector.to_vec() }
    }

    #[test]
    fn the_picture_that_tells_most_is_believed() {
        let looks = [seen(0, [0.71, 0.70, 0.0]), seen(1, [0.6, 0.8, 0.0])];
        let said =
            whole(&asked("The teeth are uneven."), &directions(true), &looks.each_ref(), 0.5);
        assert_eq!(said.stance, Stance::Against);
        assert!((said.support + 20.0).abs() < 1e-3, "{said:?}");
        let Source::Picture(place) = &said.citations[0].source else { panic!() };
        assert_eq!(place.image, 1);
    }

    #[test]
    fn of_parts_the_one_that_is_about_the_claim_is_believed() {
        let looks = [seen(0, [0.1, 0.3, 0.9]), seen(1, [0.8, 0.6, 0.0])];
        let said =
            parts(&asked("The teeth are uneven."), &directions(true), &looks.each_ref(), 0.5);
        assert_eq!(said.stance, Stance::For);
        assert_eq!(parts(&asked("A dog."), &directions(true), &[], 0.5).stance, Stance::Silent);
    }

    #[test]
    fn without_a_contradiction_a_picture_speaks_for_a_claim_or_not_at_all() {
        let claim = asked("There is a dog.");
        let good = whole(&claim, &directions(false), &[&seen(0, [0.9, 0.0, 0.3])], 0.5);
        assert_eq!(good.stance, Stance::For);
        let bad = whole(&claim, &directions(false), &[&seen(0, [0.1, 0.0, 0.9])], 0.5);
        assert!(!bad.spoke(), "{bad:?}");
    }

    #[test]
    fn what_clip_does_not_read_is_not_scored() {
        for claim in ["Two eyes are visible.", "The face has no glasses.", "It is lovely."] {
            let said = whole(&asked(claim), &directions(true), &[&seen(0, [1.0, 0.0, 0.0])], 0.5);
            assert_eq!((said.spoke(), said.support), (false, 0.0), "{claim}");
        }
    }
}
