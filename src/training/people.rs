//! Batches of faces for the evidence model: two pictures of each person, and a passage about each
//! picture.

use tokenizers::Tokenizer;

use rand::Rng;

use super::faces::{self, DRAWN_PX, FaceFormat, Faces};
use super::statements::passage;
use super::{TrainingError, tokenizer};
use crate::scenes::{FaceSpec, Fact, HELD_OUT, draw};

/// Pictures with their truth and their passages; B = 2 K of them, picture i and picture i + K show
/// the same person.
#[derive(Debug)]
pub struct People {
    /// The pictures; their captions are the passages.
    pub faces: Faces,
    /// What each was drawn from.
    pub specs: Vec<FaceSpec>,
    /// What each passage states.
    pub stated: Vec<Vec<Fact>>,
}

/// Two pictures of the person that `seed` draws.
pub fn two_pictures(seed: u64, other: u64) -> [FaceSpec; 2] {
    let person = FaceSpec::sample(seed);
    let again = person.in_picture(&FaceSpec::sample(other));
    [person, again]
}

/// The batch of one step; without pictures its faces are empty but for the passages.
pub fn batch(
    format: &FaceFormat,
    texts: &Tokenizer,
    (seed, step): (u64, u64),
    with_pictures: bool,
) -> Result<People, TrainingError> {
    let mut chance = faces::chance(seed, step);
    let mut seen = || chance.random_range(0..HELD_OUT);
    let pairs: Vec<[FaceSpec; 2]> =
        (0..format.pairs).map(|_| two_pictures(seen(), seen())).collect();
    let specs: Vec<FaceSpec> =
        [0, 1].iter().flat_map(|&at| pairs.iter().map(move |pair| pair[at].clone())).collect();
    let mut faces = Faces::new(format);
    for spec in specs.iter().filter(|_| with_pictures) {
        faces.push(&draw(spec, DRAWN_PX))?;
    }
    let (passages, stated): (Vec<String>, Vec<Vec<Fact>>) =
        specs.iter().map(|spec| passage(spec, &mut chance)).unzip();
    faces.captions = tokenizer::encode(texts, &passages)?;
    Ok(People { faces, specs, stated })
}

impl People {
    /// One batch of several; the first half is all their first halves.
    pub fn joined(batches: &[&Self]) -> Self {
        let mut joined = Self {
            faces: Faces {
                side_px: batches.first().map_or(0, |first| first.faces.side_px),
                grid: batches.first().map_or(0, |first| first.faces.grid),
                pixels: vec![],
                sites: vec![],
                present: vec![],
                captions: vec![],
            },
            specs: vec![],
            stated: vec![],
        };
        for half in [0, 1] {
            for batch in batches {
                let faces = &mut joined.faces;
                faces.pixels.extend(halved(&batch.faces.pixels, half));
                faces.sites.extend(halved(&batch.faces.sites, half));
                faces.present.extend(halved(&batch.faces.present, half));
                faces.captions.extend_from_slice(halved(&batch.faces.captions, half));
                joined.specs.extend_from_slice(halved(&batch.specs, half));
                joined.stated.extend_from_slice(halved(&batch.stated, half));
            }
        }
        joined
    }
}

/// The first or the second half.
fn halved<T>(all: &[T], half: usize) -> &[T] {
    let (first, second) = all.split_at(all.len() / 2);
    [first, second][half]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_batches_keep_their_halves_apart() {
        let format = FaceFormat { pairs: 2, side_px: 16, grid: 2 };
        let texts = tokenizer::learn(&["The hair is black".to_owned()], 10).unwrap();
        let [one, other] = [3, 4].map(|step| batch(&format, &texts, (1, step), true).unwrap());
        let joined = People::joined(&[&one, &other]);
        let order: Vec<&FaceSpec> =
            [&one.specs[..2], &other.specs[..2], &one.specs[2..]].into_iter().flatten().collect();
        assert!(joined.specs.iter().take(6).eq(order));
        assert_eq!(joined.faces.captions[2], other.faces.captions[0]);
        let (sites, present) = joined.faces.truth_tensors(tch::Device::Cpu);
        assert_eq!((sites.size(), present.size()), (vec![8, 4, 4], vec![8, 4]));
        assert_eq!(joined.faces.pixels.len(), 8 * 3 * 16 * 16);
        assert_eq!(joined.faces.present[8..12], other.faces.present[..4]);
    }

    #[test]
    fn the_second_half_shows_the_same_people_elsewhere() {
        let format = FaceFormat { pairs: 3, side_px: 32, grid: 4 };
        let texts = tokenizer::learn(&["The hair is black".to_owned()], 10).unwrap();
        let people = batch(&format, &texts, (1, 2), true).unwrap();
        let (first, second) = people.specs.split_at(3);
        for (one, other) in first.iter().zip(second) {
            assert!(one.is_same_person(other));
            assert_ne!(one.pose, other.pose);
        }
        assert_eq!(people.faces.captions.len(), 6);
        assert_eq!(people.faces.pixels.len(), 6 * 3 * 32 * 32);
        let again = batch(&format, &texts, (1, 2), false).unwrap();
        assert_eq!(again.specs, people.specs);
        assert_eq!(again.stated, people.stated);
        assert!(again.faces.pixels.is_empty());
    }
}
