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

#[cfg(test)]
mod tests {
    use super::*;

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
