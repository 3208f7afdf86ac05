//! Runs every model once on every path, so that the first caller waits no longer than the next.

use std::sync::Arc;

use crate::explain::Method;
use crate::serving::{Catalog, ServingError};
use crate::verification::{Detection, Heatmaps, Similarity, VerifyRequest, verify_image};
use crate::vision::image::Rgb8;

const SIDE_PX: u32 = 320;

/// Asks every model for everything it can do, of a grey picture.
pub(super) async fn warm(catalog: &Catalog) -> Result<(), ServingError> {
    let grey = Rgb8::new(SIDE_PX, SIDE_PX, vec![128; (SIDE_PX * SIDE_PX * 3) as usize])
        .map_err(|error| ServingError::invalid("image", error.to_string()))?;
    let grey = Arc::new(grey);
    let clips = catalog.clips().map(|clip| {
        let similarity = Similarity {
            model: Some(clip.identity().name.clone()),
            prompts: vec!["a photo".to_owned()],
            nulls: None,
        };
        let heatmaps = Heatmaps { methods: Method::ALL.to_vec(), ..Heatmaps::default() };
        VerifyRequest {
            similarity: Some(similarity),
            heatmaps: Some(heatmaps),
            ..VerifyRequest::default()
        }
    });
    let detectors = catalog.detectors().map(|detector| {
        let model = Some(detector.identity().name.clone());
        VerifyRequest {
            detection: Some(Detection { model, ..Detection::default() }),
            ..VerifyRequest::default()
        }
    });
    for request in clips.chain(detectors).collect::<Vec<_>>() {
        verify_image(catalog, Arc::clone(&grey), &request, None).await?;
    }
    Ok(())
}
