//! The witnesses that read: passages found by a claim, and passages of pictures of the same thing.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::asked::{Asked, affirmed};
use super::config::Config;
use super::likeness::{Directions, HUNDREDTHS, mean};
use super::pixels::CITATIONS;
use super::request::EvidenceScope;
use super::result::{Citation, Source, Stance, Testimony, Witness};
use crate::claims::{Claim, Kind, Limits, Polarity, polarity, split};
use crate::evidence::{Field, Filter, Item, Place, Test, Value};
use crate::retrieval::{Found, Library, RetrievalError, Wanted};
use crate::serving::clip::{ClipService, TextEmbedding};
use crate::serving::{Lease, ServingError, Terms};

/// What a number or place counts that a passage states as such: as a lean of 0.2 in cosine, which no
/// wording of the same fact falls short of.
const STATED: f32 = 20.0;
/// How much of an item's text is read where a picture found it.
const READ_BYTES: usize = 16 << 10;

/// Reads one collection for one answer.
pub(super) struct Reader<'a> {
    pub(super) library: &'a Library,
    pub(super) scope: &'a EvidenceScope,
    pub(super) config: &'a Config,
    /// The model that embedded the collection.
    pub(super) clip: Lease<ClipService>,
    pub(super) terms: Terms,
}

/// One statement of an item's text.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    claim: Claim,
    item: Arc<Item>,
    /// In the item's text.
    bytes: Range<usize>,
    /// By what the item was found.
    score: f32,
    /// Unit vector of what it affirms, `[E]`.
    vector: Arc<[f32]>,
}

impl Reader<'_> {
    /// Statements of the passages nearest to a claim, to its contradictions, and to both with the
    /// question. Of an item with a picture only where that shows the same thing as one of `pictures`
    /// (unit vectors, `[E]`), if there are any.
    pub(super) async fn found_by_claim(
        &self,
        directions: &Directions,
        question: Option<&[f32]>,
        pictures: &[Vec<f32>],
    ) -> Result<Vec<Statement>, RetrievalError> {
        let mut queries = vec![directions.claim.clone()];
        queries.extend(mean(directions.against.iter().map(Vec::as_slice)));
        queries.extend(question.and_then(|question| mean([question, &directions.claim])));
        let mut hits: HashMap<(String, usize), Found> = HashMap::new();
        for query in queries {
            let filter = self.scope.filter.clone();
            for found in self.nearest(query, "text", filter, self.chunks()).await? {
                let Place::Text { start, .. } = found.hit.place else { continue };
                let key = (found.hit.item.id.clone(), start);
                let known = hits.get(&key).map_or(f32::NEG_INFINITY, |known| known.hit.score);
                if found.hit.score > known {
                    hits.insert(key, found);
                }
            }
        }
        let mut hits: Vec<Found> = hits.into_values().collect();
        if !pictures.is_empty() {
            let others = self.of_other_things(&hits, pictures).await?;
            hits.retain(|found| !others.contains(&found.hit.item.id));
        }
        let passages = hits.iter().filter_map(|found| {
            let Place::Text { start, .. } = found.hit.place else { return None };
            Some((&found.hit.item, start, found.text.as_deref()?, found.hit.score))
        });
        self.statements(passages.collect()).await
    }

    /// Statements of the items whose pictures show the same thing as one of `pictures`.
    pub(super) async fn found_by_pictures(
        &self,
        pictures: &[Vec<f32>],
    ) -> Result<Vec<Statement>, RetrievalError> {
        let mut best: HashMap<String, (Arc<Item>, f32)> = HashMap::new();
        for picture in pictures {
            let filter = self.scope.filter.clone();
            for found in self.nearest(picture.clone(), "image", filter, self.chunks()).await? {
                let (item, score) = (found.hit.item, found.hit.score);
                let known = best.get(&item.id).map_or(f32::NEG_INFINITY, |known| known.1);
                if score >= self.least_same() && score > known {
                    best.insert(item.id.clone(), (item, score));
                }
            }
        }
        let items = best.values().filter_map(|(item, score)| {
            let text = item.text.as_deref()?;
            Some((item, 0, &text[..text.floor_char_boundary(READ_BYTES)], *score))
        });
        self.statements(items.collect()).await
    }

    fn least_same(&self) -> f32 {
        self.scope.min_same_cosine.unwrap_or(self.config.min_same_cosine as f32)
    }

    /// Chunks read for each way of looking.
    fn chunks(&self) -> usize {
        self.scope.limit.unwrap_or(self.config.evidence_chunks)
    }

    async fn nearest(
        &self,
        vector: Vec<f32>,
        kind: &'static str,
        filter: Option<Filter>,
        limit: usize,
    ) -> Result<Vec<Found>, RetrievalError> {
        let wanted = Wanted {
            filter,
            kinds: vec![kind],
            limit,
            offset: 0,
            min_score: -1.0,
            by_item: false,
            exact: false,
        };
        let collection = &self.scope.collection;
        self.library.nearest(collection, vector, &wanted, self.terms).await
    }

    /// Ids of the items whose pictures show something else.
    async fn of_other_things(
        &self,
        hits: &[Found],
        pictures: &[Vec<f32>],
    ) -> Result<HashSet<String>, RetrievalError> {
        let pictured = hits.iter().filter(|found| found.hit.item.image.is_some());
        let mut others: HashSet<String> = pictured.map(|found| found.hit.item.id.clone()).collect();
        if others.is_empty() {
            return Ok(others);
        }
        let ids: Vec<Value> = others.iter().cloned().map(Value::Text).collect();
        // Each of them must be looked at, and a filter holds only so many, the kind being one.
        let most = self.library.store().limits().max_tests.saturating_sub(1).max(1);
        for some in ids.chunks(most) {
            let filter = Filter::Test(Field::Id, Test::In(some.to_vec()));
            for picture in pictures {
                let filter = Some(filter.clone());
                for found in self.nearest(picture.clone(), "image", filter, some.len()).await? {
                    if found.hit.score >= self.least_same() {
                        others.remove(&found.hit.item.id);
                    }
                }
            }
        }
        Ok(others)
    }

    /// What passages state: `(item, first byte of the passage, passage, score)`.
    async fn statements(
        &self,
        passages: Vec<(&Arc<Item>, usize, &str, f32)>,
    ) -> Result<Vec<Statement>, RetrievalError> {
        let limits = Limits { max_bytes: usize::MAX, max_claims: usize::MAX, ..Limits::default() };
        let mut read = Vec::new();
        let mut known = HashSet::new();
        for (item, start, passage, score) in passages {
            let claims = split(passage, &limits);
            let claims =
                claims.map_err(|error| ServingError::invalid("text", error.to_string()))?;
            let checkable = claims.into_iter().filter(|claim| claim.kind != Kind::Opinion);
            for claim in checkable.take(self.config.max_statements) {
                let bytes = claim.span.start + start..claim.span.end + start;
                // Passages overlap: what stands in two is one statement.
                if known.insert((item.id.clone(), bytes.start)) {
                    read.push((claim, Arc::clone(item), bytes, score));
                }
            }
        }
        let texts: Vec<String> =
            read.iter().map(|(claim, ..)| affirmed(claim).to_owned()).collect();
        let embedded = self.clip.embed_texts(&texts, self.terms).await?;
        let statement = |((claim, item, bytes, score), text): (_, TextEmbedding)| Statement {
            claim,
            item,
            bytes,
            score,
            vector: text.vector,
        };
        Ok(read.into_iter().zip(embedded).map(statement).collect())
    }
}

/// What statements say about a claim: the strongest for it and the strongest against it together.
pub(super) fn testify(
    witness: Witness,
    asked: &Asked,
    directions: &Directions,
    statements: &[Statement],
    config: &Config,
) -> Testimony {
    if asked.claim.kind == Kind::Opinion {
        return Testimony::silent(witness, "nothing that can be checked");
    }
    if statements.is_empty() {
        return Testimony::silent(witness, "no passage was found");
    }
    let mut said: Vec<(f32, &Statement)> = statements
        .iter()
        .filter_map(|statement| Some((weigh(asked, directions, statement, config)?, statement)))
        .collect();
    said.sort_by(|one, other| other.0.abs().total_cmp(&one.0.abs()));
    if said.is_empty() {
        return Testimony::silent(witness, "no passage that was found is about this");
    }
    let strongest =
        |sign: f32| said.iter().map(|(support, _)| support * sign).fold(0.0, f32::max) * sign;
    let support = strongest(1.0) + strongest(-1.0);
    let cited = said.iter().filter(|(support, _)| support.abs() >= config.min_support as f32);
    let citations = cited.take(CITATIONS).map(|(support, statement)| Citation {
        source: statement.source(),
        stance: Stance::of(*support, config.min_support as f32),
        support: *support,
    });
    Testimony::spoken(witness, support, config.min_support as f32, citations.collect())
}

/// How much a statement speaks for a claim (above 0) or against it; none where it is about
/// something else.
fn weigh(
    asked: &Asked,
    directions: &Directions,
    statement: &Statement,
    config: &Config,
) -> Option<f32> {
    let words = polarity(&asked.claim, &statement.claim);
    if words == Polarity::Unrelated {
        return None;
    }
    if !asked.is_comparable() {
        return Some(if words == Polarity::SameSide { STATED } else { -STATED });
    }
    let likeness = directions.compare(&statement.vector);
    let least = config.min_statement_cosine as f32;
    if likeness.topical < least {
        return None;
    }
    let lean = likeness.lean.unwrap_or(HUNDREDTHS * (likeness.claim - least));
    // What is embedded is what claim and statement affirm.
    let support = if denies(&asked.claim) == denies(&statement.claim) { lean } else { -lean };
    // Words that are known to be opposites count for more than a likeness.
    Some(if words == Polarity::OppositeSide { -support.abs() } else { support })
}

fn denies(claim: &Claim) -> bool {
    matches!(claim.kind, Kind::Negation { .. })
}

impl Statement {
    fn source(&self) -> Source {
        Source::Evidence {
            item_id: self.item.id.clone(),
            source: self.item.source.clone(),
            title: self.item.title.clone(),
            bytes: self.bytes.clone(),
            text: self
                .item
                .text
                .as_deref()
                .and_then(|text| text.get(self.bytes.clone()))
                .unwrap_or(&self.claim.text)
                .to_owned(),
            score: self.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A space with a direction for uneven and one for even teeth, and one for all else.
    fn directions() -> Directions {
        Directions {
            claim: vec![1.0, 0.0, 0.0],
            against: vec![vec![0.0, 1.0, 0.0]],
            nulls: vec![vec![0.0, 0.0, 1.0]],
        }
    }

    fn statement(text: &str, vector: [f32; 3]) -> Statement {
        let claim = split(text, &Limits::default()).unwrap().remove(0);
        let item = Item { id: text.into(), text: Some(text.into()), ..Item::default() };
        let bytes = claim.span.clone();
        Statement { claim, item: Arc::new(item), bytes, score: 0.9, vector: vector.into() }
    }

    fn said(claim: &str, statements: &[Statement]) -> Testimony {
        let config = Config::default();
        let asked = Asked::all(claim, &config).unwrap().remove(0);
        testify(Witness::Text, &asked, &directions(), statements, &config)
    }

    #[test]
    fn statements_speak_for_and_against_and_off_the_subject_not_at_all() {
        let same = statement("The teeth are jagged.", [0.98, 0.1, 0.0]);
        let opposite = statement("The teeth are straight.", [0.1, 0.98, 0.0]);
        let other = statement("The file was received by mail.", [0.1, 0.1, 0.98]);
        let claim = "The teeth are uneven.";
        assert_eq!(said(claim, std::slice::from_ref(&same)).stance, Stance::For);
        assert_eq!(said(claim, std::slice::from_ref(&opposite)).stance, Stance::Against);
        assert!(!said(claim, &[other]).spoke());
        let both = said(claim, &[same, opposite]);
        assert_eq!(both.stance, Stance::Silent, "sources that disagree cancel out: {both:?}");
        assert_eq!(both.citations.len(), 2);
    }

    #[test]
    fn a_denial_turns_the_side() {
        let denied = statement("The teeth are not uneven.", [0.98, 0.1, 0.0]);
        assert_eq!(
            said("The teeth are uneven.", std::slice::from_ref(&denied)).stance,
            Stance::Against
        );
        assert_eq!(said("The teeth are not uneven.", &[denied]).stance, Stance::For);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let two = statement("There are two people.", [0.0, 0.0, 1.0]);
        assert_eq!(
            said("There are three people.", std::slice::from_ref(&two)).stance,
            Stance::Against
        );
        assert_eq!(said("Two people are there.", &[two]).stance, Stance::For);
    }

    #[test]
    fn citations_name_the_bytes_of_the_statement() {
        let text = "Received in May. 치아가 고르다. The teeth are jagged.";
        let item = Item { id: "r".into(), text: Some(text.into()), ..Item::default() };
        let claim = split(text, &Limits::default()).unwrap().pop().unwrap();
        let bytes = claim.span.clone();
        let vector: Arc<[f32]> = [1.0, 0.0, 0.0].into();
        let one = Statement { claim, item: Arc::new(item), bytes, score: 0.9, vector };
        let said = said("The teeth are uneven.", &[one]);
        let Source::Evidence { text, bytes, .. } = &said.citations[0].source else { panic!() };
        assert_eq!(text, "The teeth are jagged");
        assert_eq!(bytes.end - bytes.start, text.len());
    }
}
