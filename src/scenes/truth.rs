//! What a detector and a heatmap are measured against: part boxes and cue sites.

use tiny_skia::{Path, Transform};

use super::canvas::{Ink, bounds, cover};
use super::features as face;
use super::{Cue, FaceSpec, Mask, Part, hair};
use crate::vision::boxes::Rect;

/// Every part with its box in pixels.
pub(super) fn parts(spec: &FaceSpec, side_px: u32, transform: Transform) -> Vec<(Part, Rect)> {
    let boxed = |shapes: &[(&Path, Ink)]| bounds(side_px, transform, shapes);
    let mut parts = vec![(Part::Face, boxed(&[(&face::head(spec), Ink::Fill)]))];
    for side in [-1.0, 1.0] {
        let odd = spec.shows_on(Cue::MisshapenEar, side);
        let ear = if odd { face::odd_ear(spec, side).0 } else { face::ear(side) };
        let eye = [(&face::eye_white(side), Ink::Fill), (&face::lid(side), Ink::Line(0.05))];
        parts.push((Part::Eye, boxed(&eye)));
        parts.push((Part::Ear, boxed(&[(&ear, Ink::Line(face::EAR_EDGE))])));
    }
    parts.push((Part::Nose, boxed(&[(&face::nose(), Ink::Fill)])));
    parts.push((Part::Mouth, boxed(&[(&face::mouth(spec), Ink::Line(face::LIPS))])));
    if spec.glasses {
        let frame = Ink::Line(face::FRAME);
        let (left, right, arms) = (face::lens(-1.0), face::lens(1.0), face::arms());
        parts.push((Part::Glasses, boxed(&[(&left, frame), (&right, frame), (&arms, frame)])));
    }
    parts
}

/// For every cue, where it is, or would be if it is off.
pub(super) fn sites(spec: &FaceSpec, side_px: u32, transform: Transform) -> Vec<(Cue, Mask)> {
    Cue::ALL.into_iter().map(|cue| (cue, site(spec, cue, side_px, transform))).collect()
}

fn site(spec: &FaceSpec, cue: Cue, side_px: u32, transform: Transform) -> Mask {
    // Off, a one-sided cue could be on either side.
    let sides = [-1.0, 1.0].into_iter().filter(|&side| !spec.has(cue) || spec.shows_on(cue, side));
    let covered = |shapes: &[(&Path, Ink)]| cover(side_px, transform, shapes, &[]);
    match cue {
        Cue::MismatchedPupilReflections => {
            let eyes: Vec<Path> = sides.map(|side| face::reflecting(spec, side)).collect();
            covered(&eyes.iter().map(|eye| (eye, Ink::Fill)).collect::<Vec<_>>())
        }
        Cue::MisshapenEar => {
            let both = |side: f32| [face::ear(side), face::odd_ear(spec, side).0];
            let ears: Vec<Path> = sides.flat_map(both).collect();
            let edge = Ink::Line(face::EAR_EDGE);
            let shapes = ears.iter().flat_map(|ear| [(ear, Ink::Fill), (ear, edge)]);
            let shapes: Vec<_> = shapes.collect();
            cover(side_px, transform, &shapes, &[&face::head(spec), &hair::front(spec)])
        }
        Cue::UnevenTeeth => covered(&[(&face::mouth(spec), Ink::Fill)]),
        Cue::BlendingSeam => {
            let (line, strip) = face::seam(spec);
            covered(&[(&strip, Ink::Fill), (&line, Ink::Line(face::SEAM))])
        }
    }
}
