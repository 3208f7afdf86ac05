//! Sizes of a `YOLOv8`.

use crate::models::weights::{Weights, WeightsError};

/// Input pixels per cell of each head level.
pub const STRIDES_PX: [i64; 3] = [8, 16, 32];
/// Bins of the distribution over one side's distance: 0 to 15 strides.
pub(super) const BINS: i64 = 16;
/// Channels of a head level that hold the four sides.
pub(super) const SIDE_CHANNELS: i64 = 4 * BINS;

/// Layers that hold chains of bottlenecks, and how many of these the largest nets have.
const CHAINS: [(i64, f64); 8] =
    [(2, 3.0), (4, 6.0), (6, 6.0), (8, 3.0), (12, 3.0), (15, 3.0), (18, 3.0), (21, 3.0)];

/// Longest chain that is looked for; the longest published one has 6.
const CHAIN_LIMIT: usize = 64;

/// The published sizes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum YoloSize {
    /// `YOLOv8n`, 3.2 M parameters.
    Nano,
    /// `YOLOv8s`, 11.2 M parameters.
    Small,
    /// `YOLOv8m`, 25.9 M parameters.
    Medium,
    /// `YOLOv8l`, 43.7 M parameters.
    Large,
    /// `YOLOv8x`, 68.2 M parameters.
    ExtraLarge,
}

/// Sizes of a net and what it tells apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct YoloConfig {
    /// Channels at strides 2, 4, 8, 16 and 32; even.
    pub widths: [i64; 5],
    /// Bottlenecks in the layers 2, 4, 6, 8, 12, 15, 18, 21.
    pub depths: [usize; 8],
    /// Channels of the head's branch for sides.
    pub box_width: i64,
    /// Channels of the head's branch for classes.
    pub class_width: i64,
    /// Names of the classes, by index.
    pub classes: Vec<String>,
}

impl YoloConfig {
    /// A net `width` times as wide and `depth` times as deep as the largest published one's base
    /// (64 to 1024 channels, chains of 3 and 6), with base widths cut at `max_channels`.
    pub fn new(width: f64, depth: f64, max_channels: i64, classes: Vec<String>) -> Self {
        let scaled = |base: i64| {
            let channels = base.min(max_channels) as f64 * width;
            ((channels / 8.0).ceil() as i64 * 8).max(8)
        };
        let widths = [64, 128, 256, 512, 1024].map(scaled);
        Self {
            widths,
            depths: CHAINS.map(|(_, base)| (base * depth).round().max(1.0) as usize),
            box_width: (widths[2] / 4).max(SIDE_CHANNELS),
            class_width: widths[2].max((classes.len() as i64).min(100)),
            classes,
        }
    }

    /// One of the published nets.
    pub fn published(size: YoloSize, classes: Vec<String>) -> Self {
        let (width, depth, max_channels) = match size {
            YoloSize::Nano => (0.25, 0.33, 1024),
            YoloSize::Small => (0.5, 0.33, 1024),
            YoloSize::Medium => (0.75, 0.67, 768),
            YoloSize::Large => (1.0, 1.0, 512),
            YoloSize::ExtraLarge => (1.25, 1.0, 512),
        };
        Self::new(width, depth, max_channels, classes)
    }

    /// The sizes of a checkpoint of any size, from its tensors' shapes.
    pub fn infer(weights: &Weights, classes: Vec<String>) -> Result<Self, WeightsError> {
        let outputs = |key: &str| -> Result<i64, WeightsError> {
            Ok(weights.shape(key)?.first().copied().unwrap_or(0))
        };
        let found = outputs("model.22.cv3.0.2.bias")?;
        if found != classes.len() as i64 {
            return Err(WeightsError::Format {
                file: weights.file().to_owned(),
                reason: format!("tells {found} classes apart but names {}", classes.len()),
            });
        }
        let mut widths = [0; 5];
        for (width, layer) in widths.iter_mut().zip([0, 1, 3, 5, 7]) {
            *width = outputs(&format!("model.{layer}.conv.weight"))?;
        }
        let depths = CHAINS.map(|(layer, _)| {
            let has = |i: &usize| weights.has(&format!("model.{layer}.m.{i}.cv1.conv.weight"));
            (0..CHAIN_LIMIT).take_while(has).count()
        });
        let box_width = outputs("model.22.cv2.0.0.conv.weight")?;
        let class_width = outputs("model.22.cv3.0.0.conv.weight")?;
        Ok(Self { widths, depths, box_width, class_width, classes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_sizes_have_the_published_widths() {
        let classes = || (0..80).map(|i| i.to_string()).collect();
        let nano = YoloConfig::published(YoloSize::Nano, classes());
        assert_eq!(nano.widths, [16, 32, 64, 128, 256]);
        assert_eq!(nano.depths, [1, 2, 2, 1, 1, 1, 1, 1]);
        assert_eq!((nano.box_width, nano.class_width), (64, 80));
        let medium = YoloConfig::published(YoloSize::Medium, classes());
        assert_eq!(medium.widths, [48, 96, 192, 384, 576]);
        assert_eq!(medium.depths, [2, 4, 4, 2, 2, 2, 2, 2]);
        let largest = YoloConfig::published(YoloSize::ExtraLarge, classes());
        assert_eq!(largest.widths, [80, 160, 320, 640, 640]);
        assert_eq!((largest.box_width, largest.class_width), (80, 320));
    }
}
