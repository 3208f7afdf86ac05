//! What stands ready for one answer: its claims, the models and passages they are put to.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::asked::Asked;
use super::config::Config;
use super::detector::{self, Found};
use super::judge::Scales;
use super::lexicon::Lexicon;
use super::likeness::Directions;
use super::passages::{self, Reader, Statement};
use super::pixels::{self, Seen};
use super::request::{AnswerRequest, EvidenceScope};
use super::result::{Place, Testimony, Witness};
use crate::calibration::Kind as CalibrationKind;
use crate::evidence;
use crate::retrieval::{Library, RetrievalError};
use crate::serving::clip::{ClipService, StageTiming};
use crate::serving::yolo::DetectorService;
use crate::serving::{Catalog, Lease, ServingError, Terms, blocking};
use crate::verification::{Detected, detected};
use crate::vision::boxes::NmsOptions;
use crate::vision::image::{Limits, Rgb8};

/// What answers are checked with.
#[derive(Clone, Copy)]
pub struct Backend<'a> {
    /// The models.
    pub catalog: &'a Catalog,
    /// The evidence, where the server keeps any.
    pub library: Option<&'a Library>,
    /// How answers are checked.
    pub config: &'a Config,
    /// What pictures may be.
    pub image_limits: &'a Limits,
}

/// One answer's claims and all that they are put to.
pub(super) struct Session<'a> {
    pub(super) backend: Backend<'a>,
    pub(super) terms: Terms,
    pub(super) asked: Vec<Asked>,
    /// The model that looks at pictures, where there are any.
    pub(super) eyes: Option<Lease<ClipService>>,
    pub(super) detector: Option<Lease<DetectorService>>,
    pub(super) scales: Scales,
    request: AnswerRequest,
    reader: Option<Lease<ClipService>>,
    lexicon: Lexicon,
    /// By claim: its directions for the eyes and for the reader, and whether its end was not read.
    directions: Vec<ByModel>,
    question: Option<Vec<f32>>,
}

#[derive(Clone, Debug, Default)]
struct ByModel {
    eyes: Option<Arc<Directions>>,
    reader: Option<Arc<Directions>>,
    truncated: bool,
}

/// What was seen in one picture or frame.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    whole: Option<Seen>,
    parts: Option<Vec<Seen>>,
    found: Option<Found>,
    /// Its unit vector in the collection's space.
    pub(super) for_evidence: Option<Vec<f32>>,
    pub(super) stages: Vec<StageTiming>,
}

/// A number that a request may not exceed.
pub(super) fn at_most(field: &str, value: usize, most: usize) -> Result<(), ServingError> {
    if value <= most {
        return Ok(());
    }
    Err(ServingError::invalid(field, format!("is {value}, limit {most}")))
}

impl<'a> Session<'a> {
    /// Splits the answer and embeds its claims; `pictured` where pictures or frames will come.
    ///
    /// # Errors
    /// As [`verify_answer`](super::verify_answer).
    pub(super) async fn open(
        backend: Backend<'a>,
        mut request: AnswerRequest,
        pictured: bool,
        terms: Terms,
    ) -> Result<Self, RetrievalError> {
        let config = backend.config;
        let (bytes, limit) = (request.question.len(), config.max_question_bytes);
        if bytes > limit {
            let reason = format!("is {bytes} bytes, limit {limit}");
            return Err(ServingError::invalid("question", reason).into());
        }
        let (text, own) = (std::mem::take(&mut request.answer), config.clone());
        let slot = backend.catalog.cpu_slot(terms).await?;
        let asked = blocking(slot, move || Asked::all(&text, &own)).await??;
        let reader = match &request.evidence {
            Some(scope) => Some(Self::reader_of(backend, scope).await?),
            None => None,
        };
        let eyes = match (&request.model, &reader, pictured) {
            (Some(name), ..) => Some(backend.catalog.clip(Some(name))?),
            (None, _, false) => None,
            (None, Some(reader), true) => Some(reader.clone()),
            (None, None, true) => Some(backend.catalog.clip(None)?),
        };
        let detector = Self::detector_of(backend.catalog, &request, pictured)?;
        let classes = detector.as_ref().map(|detector| detector.classes().to_vec());
        let calibrated = reader.as_ref().or(eyes.as_ref());
        let calibration = calibrated.and_then(|clip| clip.calibration(CalibrationKind::Claims));
        let mut session = Self {
            scales: Scales::new(calibration.cloned()),
            lexicon: Lexicon::new(&classes.unwrap_or_default(), &config.class_terms),
            directions: Vec::new(),
            question: None,
            backend,
            terms,
            asked,
            eyes: eyes.filter(|_| pictured),
            detector,
            reader,
            request,
        };
        session.embed_claims().await?;
        Ok(session)
    }

    async fn reader_of(
        backend: Backend<'_>,
        scope: &EvidenceScope,
    ) -> Result<Lease<ClipService>, RetrievalError> {
        let config = backend.config;
        if let Some(limit) = scope.limit {
            at_most("limit", limit, config.max_evidence_chunks)?;
        }
        let library = backend.library.ok_or(evidence::Error::Off)?;
        library.model(&scope.collection).await
    }

    /// The detector that is named, or the default one if there is any; none where nobody is heard
    /// who needs one.
    fn detector_of(
        catalog: &Catalog,
        request: &AnswerRequest,
        pictured: bool,
    ) -> Result<Option<Lease<DetectorService>>, ServingError> {
        let wanted = request.hears(Witness::Detector) || request.hears(Witness::Regions);
        let detector = match catalog.detector(request.detector.as_deref()) {
            Err(ServingError::NotFound { .. }) if request.detector.is_none() => None,
            other => Some(other?),
        };
        Ok(detector.filter(|_| wanted && pictured))
    }

    async fn embed_claims(&mut self) -> Result<(), ServingError> {
        let (eyes, reader, terms) = (self.eyes.as_deref(), self.reader.as_deref(), self.terms);
        let same = eyes.zip(reader).is_some_and(|(a, b)| a.identity() == b.identity());
        let asked = &self.asked;
        let embedded = (0..asked.len()).map(|at| async move {
            let asked = &asked[at];
            let mut directions = ByModel::default();
            if let Some(eyes) = eyes {
                let (own, truncated) = asked.directions(eyes, terms).await?;
                (directions.eyes, directions.truncated) = (Some(own), truncated);
            }
            if same {
                directions.reader.clone_from(&directions.eyes);
            } else if let Some(reader) = reader {
                let (own, truncated) = asked.directions(reader, terms).await?;
                directions.reader = Some(own);
                directions.truncated |= truncated;
            }
            Ok::<ByModel, ServingError>(directions)
        });
        let at_once = self.backend.config.parallel_claims;
        self.directions = stream::iter(embedded).buffered(at_once).try_collect().await?;
        if let (Some(reader), false) = (reader, self.request.question.trim().is_empty()) {
            let question = [self.request.question.clone()];
            let embedded = reader.embed_texts(&question, terms).await?;
            self.question = embedded.first().map(|question| question.vector.to_vec());
        }
        Ok(())
    }

    /// The model that embedded the collection.
    pub(super) fn reading(&self) -> Option<&Lease<ClipService>> {
        self.reader.as_ref()
    }

    /// Whether a witness is heard, and has what it needs.
    pub(super) fn hears(&self, witness: Witness) -> bool {
        self.request.hears(witness)
            && match witness {
                Witness::Pixels => self.eyes.is_some(),
                Witness::Regions => self.eyes.is_some() && self.detector.is_some(),
                Witness::Detector => self.detector.is_some(),
                Witness::Text => self.reader.is_some(),
                Witness::Images => self.reader.is_some() && self.eyes.is_some(),
            }
    }

    pub(super) fn truncated(&self, at: usize) -> bool {
        self.directions.get(at).is_some_and(|directions| directions.truncated)
    }

    /// Looks at one picture with every model that is needed.
    pub(super) async fn look(&self, image: Arc<Rgb8>, place: Place) -> Result<Sight, ServingError> {
        let mut sight =
            Sight { whole: None, parts: None, found: None, for_evidence: None, stages: Vec::new() };
        if let Some(eyes) = &self.eyes {
            let reads = self.hears(Witness::Text) || self.hears(Witness::Images);
            let one_model =
                self.reader.as_ref().is_some_and(|reader| reader.identity() == eyes.identity());
            if self.hears(Witness::Pixels) || (reads && one_model) {
                let seen = eyes.embed_image(Arc::clone(&image), None, self.terms).await?;
                sight.stages.push(seen.timing);
                if one_model {
                    sight.for_evidence = Some(seen.vector.clone());
                }
                sight.whole = Some(Seen { place: place.clone(), vector: seen.vector });
            }
            if let (Some(reader), true) = (&self.reader, reads && !one_model) {
                let seen = reader.embed_image(Arc::clone(&image), None, self.terms).await?;
                sight.stages.push(seen.timing);
                sight.for_evidence = Some(seen.vector);
            }
        }
        if let Some(detector) = &self.detector {
            self.find(detector, (&image, &place), &mut sight).await?;
        }
        Ok(sight)
    }

    async fn find(
        &self,
        detector: &DetectorService,
        (image, place): (&Arc<Rgb8>, &Place),
        sight: &mut Sight,
    ) -> Result<(), ServingError> {
        let least = self.backend.config.min_box_confidence as f32;
        // Weaker boxes too: whether a thing is missing depends on how weak its best box is.
        let options = NmsOptions { min_confidence: least / 5.0, ..NmsOptions::default() };
        let found = detector.detect(Arc::clone(image), options, None, self.terms).await?;
        sight.stages.push(found.timing);
        let boxes = detected(detector, &found.boxes);
        if let (Some(eyes), true) = (&self.eyes, self.hears(Witness::Regions)) {
            let there: Vec<Detected> =
                boxes.iter().filter(|found| found.confidence >= least).cloned().collect();
            let parts = pixels::look_at_parts(
                (self.backend.catalog, eyes),
                (image, place),
                (&there, self.backend.config.max_regions),
                self.terms,
            );
            sight.parts = Some(parts.await?);
        }
        let size = (image.width(), image.height());
        sight.found = Some(Found { place: place.clone(), size, boxes });
        Ok(())
    }

    /// What the witnesses that look say of a claim.
    pub(super) fn visual(&self, at: usize, sights: &[Sight]) -> Vec<Testimony> {
        let (asked, least) = (&self.asked[at], self.backend.config.min_support as f32);
        let mut said = Vec::new();
        if sights.is_empty() {
            return said;
        }
        if let Some(directions) = &self.directions[at].eyes {
            if self.hears(Witness::Pixels) {
                let whole: Vec<&Seen> = sights.iter().filter_map(|s| s.whole.as_ref()).collect();
                said.push(pixels::whole(asked, directions, &whole, least));
            }
            if self.hears(Witness::Regions) {
                let parts = sights.iter().flat_map(|sight| sight.parts.iter().flatten());
                let parts: Vec<&Seen> = parts.collect();
                said.push(pixels::parts(asked, directions, &parts, least));
            }
        }
        if self.hears(Witness::Detector) {
            let found: Vec<&Found> = sights.iter().filter_map(|s| s.found.as_ref()).collect();
            let least = self.backend.config.min_box_confidence as f32;
            said.push(detector::testify(asked, &self.lexicon, &found, least));
        }
        said
    }

    fn passages(&self) -> Option<Reader<'_>> {
        Some(Reader {
            library: self.backend.library?,
            scope: self.request.evidence.as_ref()?,
            config: self.backend.config,
            clip: self.reader.clone()?,
            terms: self.terms,
        })
    }

    /// Statements that belong to pictures of the same thing; none where nobody asks for them.
    pub(super) async fn found_by_pictures(
        &self,
        pictures: &[Vec<f32>],
    ) -> Result<Option<Vec<Statement>>, RetrievalError> {
        match self.passages().filter(|_| self.hears(Witness::Images)) {
            None => Ok(None),
            Some(reader) => reader.found_by_pictures(pictures).await.map(Some),
        }
    }

    /// What passages say that the claim found.
    pub(super) async fn by_claim(
        &self,
        at: usize,
        pictures: &[Vec<f32>],
    ) -> Result<Option<Testimony>, RetrievalError> {
        let Some((reader, directions)) = self.passages().zip(self.directions[at].reader.as_ref())
        else {
            return Ok(None);
        };
        let question = self.question.as_deref();
        let statements = reader.found_by_claim(directions, question, pictures).await?;
        Ok(self.read(Witness::Text, at, &statements))
    }

    /// What statements say of a claim.
    pub(super) fn read(
        &self,
        witness: Witness,
        at: usize,
        statements: &[Statement],
    ) -> Option<Testimony> {
        let directions = self.directions[at].reader.as_ref()?;
        let config = self.backend.config;
        Some(passages::testify(witness, &self.asked[at], directions, statements, config))
    }
}
