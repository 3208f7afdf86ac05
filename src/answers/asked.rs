//! Claims on their way to the models: what is looked for, and what it is compared with.

use std::sync::Arc;

use super::config::Config;
use super::likeness::{Directions, mean};
use crate::claims::{Claim, Formation, Kind, contrasts, split};
use crate::retrieval::RetrievalError;
use crate::serving::clip::ClipService;
use crate::serving::{ServingError, Terms};

/// A claim with the texts that stand for it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The claim.
    pub(super) claim: Claim,
    /// What is compared: of a denial, what it denies.
    pub(super) affirmed: String,
    /// Prompts of `affirmed`, at least one; their embeddings are averaged.
    prompts: Vec<String>,
    /// Texts that hold where `affirmed` does not.
    pub(super) contradictions: Vec<String>,
}

impl Asked {
    /// Splits an answer.
    ///
    /// # Errors
    /// Where it is too long, or claims nothing or too much.
    pub(super) fn all(answer: &str, config: &Config) -> Result<Vec<Self>, RetrievalError> {
        let claims = split(answer, &config.limits());
        let claims = claims.map_err(|error| ServingError::invalid("answer", error.to_string()))?;
        if claims.is_empty() {
            let reason = "says nothing: it must have at least one letter";
            return Err(ServingError::invalid("answer", reason).into());
        }
        let templates = config.templates();
        let asked = |claim: Claim| {
            let affirmed = affirmed(&claim).to_owned();
            let kind = claim.kind.name();
            Self {
                prompts: templates.prompts(&affirmed, claim.language, kind),
                contradictions: contradictions(&claim, config),
                affirmed,
                claim,
            }
        };
        Ok(claims.into_iter().map(asked).collect())
    }

    /// Whether a picture or passage as a whole can be compared with it: not of numbers, places and
    /// opinions, which embeddings do not read.
    pub(super) fn is_comparable(&self) -> bool {
        let kind = &self.claim.kind;
        let kind = if let Kind::Negation { inner, .. } = kind { inner } else { kind };
        matches!(kind, Kind::Presence | Kind::Attribute | Kind::Part)
    }

    /// Its place in a model's space, and whether it is longer than the model reads.
    pub(super) async fn directions(
        &self,
        clip: &ClipService,
        terms: Terms,
    ) -> Result<(Arc<Directions>, bool), ServingError> {
        let nulls = clip.null_prompts().to_vec();
        let (prompts, against, nulls) = tokio::try_join!(
            clip.embed_texts(&self.prompts, terms),
            clip.embed_texts(&self.contradictions, terms),
            clip.embed_texts(&nulls, terms),
        )?;
        let truncated = prompts.iter().any(|prompt| prompt.truncated);
        let claim = mean(prompts.iter().map(|prompt| &*prompt.vector)).ok_or_else(|| {
            let reason = "its prompts cancel each other out".to_owned();
            ServingError::Failed { model: clip.identity().name.clone(), reason }
        })?;
        let vectors = |texts: Vec<crate::serving::clip::TextEmbedding>| {
            texts.iter().map(|text| text.vector.to_vec()).collect::<Vec<Vec<f32>>>()
        };
        let directions = Directions { claim, against: vectors(against), nulls: vectors(nulls) };
        Ok((Arc::new(directions), truncated))
    }
}

/// What a claim says is so; of a denial, what it denies.
pub(super) fn affirmed(claim: &Claim) -> &str {
    if let Kind::Negation { affirmed, .. } = &claim.kind { affirmed } else { &claim.text }
}

/// Texts that would hold if what a claim affirms did not. Only opposites: a text with a "no" in it is
/// hardly told from one without.
pub fn contradictions(claim: &Claim, config: &Config) -> Vec<String> {
    let affirmed = affirmed(claim);
    let formed = contrasts(affirmed, claim.language, 2 * config.max_contradictions);
    let opposite = formed.into_iter().filter(|one| matches!(one.formation, Formation::Opposite(_)));
    opposite.map(|one| one.text).take(config.max_contradictions).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answer: &str) -> Vec<Asked> {
        Asked::all(answer, &Config::default()).unwrap()
    }

    #[test]
    fn a_denial_is_compared_by_what_it_denies() {
        let asked = asked("The person does not have blue eyes.");
        assert_eq!(asked[0].affirmed, "The person has blue eyes");
        assert!(asked[0].contradictions.contains(&"The person has brown eyes".to_owned()));
        assert!(asked[0].is_comparable());
    }

    #[test]
    fn a_complement_is_no_contradiction() {
        let asked = asked("The face has a beard.");
        assert_eq!(asked[0].contradictions, Vec::<String>::new());
    }

    #[test]
    fn numbers_and_opinions_are_not_compared_as_texts() {
        let asked = asked("Two eyes are visible. What a lovely picture!");
        assert!(asked.iter().all(|one| !one.is_comparable()), "{asked:?}");
    }

    #[test]
    fn an_answer_without_a_claim_is_refused() {
        for answer in ["", " \n", "…"] {
            let error = Asked::all(answer, &Config::default()).unwrap_err().to_string();
            assert!(error.contains("answer: says nothing"), "{error}");
        }
        let config = Config { max_answer_bytes: 10, ..Config::default() };
        let error = Asked::all("far too long an answer", &config).unwrap_err().to_string();
        assert_eq!(error, "answer: answer is 22 bytes, limit 10");
    }
}
