//! The last computed result of a stream, and which frames it may answer. Pure.

use std::sync::Arc;
use std::time::Instant;

use super::config::{FrameTerms, ReuseRules};
use crate::proto::v1;
use crate::vision::thumbnail::Thumbnail;

/// A frame as far as reuse is concerned.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) sequence: u64,
    pub(super) arrived: Instant,
    pub(super) thumbnail: Thumbnail,
    /// Under which configuration.
    pub(super) terms: Arc<FrameTerms>,
    /// Under which models: see [`Catalog::generation`](crate::serving::Catalog::generation).
    pub(super) models: u64,
}

/// What a stream remembers of the frame that it computed last.
#[derive(Debug, Default)]
pub(super) struct Memory {
    computed: Option<Computed>,
    /// The last frame that ended in an error: nothing from before it is reused.
    failed: Option<u64>,
}

#[derive(Debug)]
struct Computed {
    sight: Sight,
    response: v1::VerifyResponse,
    reused: usize,
}

impl Memory {
    /// A result that answers the frame, and the number of the frame it was computed for.
    pub(super) fn recall(
        &mut self,
        frame: &Sight,
        rules: &ReuseRules,
    ) -> Option<(u64, v1::VerifyResponse)> {
        let computed = self.computed.as_mut()?;
        let before = &computed.sight;
        // A frame that was decoded late may find a result of one after it.
        let fits = before.sequence < frame.sequence
            && Arc::ptr_eq(&before.terms, &frame.terms)
            && before.models == frame.models
            && rules.frames.is_none_or(|limit| computed.reused < limit)
            && rules.age.is_none_or(|limit| {
                frame.arrived.saturating_duration_since(before.arrived) <= limit
            })
            && before.thumbnail.difference(&frame.thumbnail) <= rules.difference;
        if !fits {
            return None;
        }
        computed.reused += 1;
        Some((before.sequence, computed.response.clone()))
    }

    /// A frame was computed. Only the latest one is remembered.
    pub(super) fn computed(&mut self, sight: Sight, response: &v1::VerifyResponse) {
        let latest = self.computed.as_ref().map(|computed| computed.sight.sequence);
        if latest.max(self.failed).is_none_or(|latest| latest < sight.sequence) {
            self.computed = Some(Computed { sight, response: response.clone(), reused: 0 });
        }
    }

    /// A frame ended in an error.
    pub(super) fn failed(&mut self, sequence: u64) {
        self.failed = self.failed.max(Some(sequence));
        self.computed.take_if(|computed| computed.sight.sequence < sequence);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::limits::RequestLimits;
    use crate::server::stream::config::{Asked, Configurations};
    use crate::vision::image::Rgb8;

    struct Camera {
        memory: Memory,
        start: Instant,
        terms: Arc<FrameTerms>,
        models: u64,
    }

    impl Camera {
        fn new() -> Self {
            Self { memory: Memory::default(), start: Instant::now(), terms: terms(), models: 1 }
        }

        /// A grey frame, one each second.
        fn sight(&self, sequence: u64, grey: u8) -> Sight {
            let image = Rgb8::new(8, 8, vec![grey; 8 * 8 * 3]).unwrap();
            Sight {
                sequence,
                arrived: self.start + Duration::from_secs(sequence),
                thumbnail: Thumbnail::of(&image),
                terms: Arc::clone(&self.terms),
                models: self.models,
            }
        }

        fn computed(&mut self, sequence: u64, grey: u8) {
            let size = v1::ImageSize { width: sequence as u32, height: 0 };
            let response = v1::VerifyResponse { frame_size: Some(size), ..Default::default() };
            let sight = self.sight(sequence, grey);
            self.memory.computed(sight, &response);
        }

        /// The frame whose result answers this one.
        fn recall(&mut self, sequence: u64, grey: u8, rules: ReuseRules) -> Option<u64> {
            let sight = self.sight(sequence, grey);
            let (from, response) = self.memory.recall(&sight, &rules)?;
            assert_eq!(u64::from(response.frame_size.unwrap().width), from);
            Some(from)
        }
    }

    fn terms() -> Arc<FrameTerms> {
        let prompts = vec!["a".to_owned()];
        let similarity = Some(v1::SimilarityQuery { prompts, ..Default::default() });
        let config = v1::StreamConfig { similarity, ..Default::default() };
        let asked = Asked::convert(config, &RequestLimits::default()).unwrap();
        Arc::clone(Configurations::new(asked, 1).holds())
    }

    const ANY: ReuseRules = ReuseRules { difference: 0.02, age: None, frames: None };

    #[test]
    fn a_slow_drift_is_noticed() {
        let mut camera = Camera::new();
        assert_eq!(camera.recall(0, 100, ANY), None);
        camera.computed(0, 100);
        // Each differs from the one before by 2 of 255, less than the limit.
        let reused: Vec<_> = (1..=4).map(|at| camera.recall(at, 100 + 2 * at as u8, ANY)).collect();
        assert_eq!(reused, [Some(0), Some(0), None, None]);
        camera.computed(4, 108);
        assert_eq!(camera.recall(5, 110, ANY), Some(4));
    }

    #[test]
    fn a_result_is_reused_for_so_long_and_so_often_as_the_rules_say() {
        let mut camera = Camera::new();
        let rules = ReuseRules { age: Some(Duration::from_secs(3)), ..ANY };
        camera.computed(0, 9);
        assert_eq!(camera.recall(3, 9, rules), Some(0));
        assert_eq!(camera.recall(4, 9, rules), None);
        let rules = ReuseRules { frames: Some(2), ..ANY };
        camera.computed(5, 9);
        let reused: Vec<_> = (6..9).map(|at| camera.recall(at, 9, rules)).collect();
        assert_eq!(reused, [Some(5), Some(5), None]);
    }

    #[test]
    fn nothing_is_reused_across_an_error_a_configuration_or_other_models() {
        let mut camera = Camera::new();
        camera.computed(1, 9);
        camera.memory.failed(3);
        assert_eq!(camera.recall(4, 9, ANY), None);
        camera.computed(2, 9);
        assert_eq!(camera.recall(4, 9, ANY), None, "it was computed late, from before the error");
        camera.computed(5, 9);
        camera.memory.failed(4);
        assert_eq!(camera.recall(6, 9, ANY), Some(5), "the error was before it");
        camera.terms = terms();
        assert_eq!(camera.recall(7, 9, ANY), None);
        camera.computed(8, 9);
        assert_eq!(camera.recall(9, 9, ANY), Some(8));
        camera.models += 1;
        assert_eq!(camera.recall(10, 9, ANY), None, "the models are others");
    }

    #[test]
    fn only_the_latest_result_before_a_frame_is_reused() {
        let mut camera = Camera::new();
        camera.computed(5, 9);
        camera.computed(3, 200);
        assert_eq!(camera.recall(4, 9, ANY), None, "frame 5 is after it");
        assert_eq!(camera.recall(6, 9, ANY), Some(5));
        assert_eq!(camera.recall(7, 200, ANY), None);
    }
}
