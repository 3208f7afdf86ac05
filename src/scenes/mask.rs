//! Which pixels belong to something.

use crate::vision::boxes::Rect;

/// One flag a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    width: u32,
    height: u32,
    values: Vec<bool>,
}

impl Mask {
    /// Takes `[H, W]` row-major flags.
    pub(super) fn new(width: u32, height: u32, values: Vec<bool>) -> Self {
        debug_assert_eq!(values.len(), (width * height) as usize, "one flag a pixel");
        Self { width, height, values }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The flags, `[H, W]` row-major.
    pub fn values(&self) -> &[bool] {
        &self.values
    }

    /// The flag at a pixel; false outside the mask.
    pub fn get(&self, x: u32, y: u32) -> bool {
        x < self.width && y < self.height && self.values[(y * self.width + x) as usize]
    }

    /// How many pixels are set.
    pub fn area_px(&self) -> usize {
        self.values.iter().filter(|&&set| set).count()
    }

    /// The smallest box that holds every set pixel.
    pub fn bounds(&self) -> Option<Rect> {
        let mut bounds: Option<Rect> = None;
        for (index, _) in self.values.iter().enumerate().filter(|(_, set)| **set) {
            let (x, y) = ((index as u32 % self.width) as f32, (index as u32 / self.width) as f32);
            let pixel = Rect::new(x, y, x + 1.0, y + 1.0);
            bounds = Some(bounds.map_or(pixel, |bounds| bounds.union_box(&pixel)));
        }
        bounds
    }

    /// The share of each cell of a `grid`×`grid` raster that is set, row-major, 0 to 1.
    pub fn fraction_of_cell(&self, grid: u32) -> Vec<f32> {
        let mut set = vec![0u32; (grid * grid) as usize];
        let mut all = set.clone();
        for (index, &value) in self.values.iter().enumerate() {
            let (x, y) = (index as u32 % self.width, index as u32 / self.width);
            let cell = (y * grid / self.height) * grid + x * grid / self.width;
            all[cell as usize] += 1;
            set[cell as usize] += u32::from(value);
        }
        set.iter().zip(&all).map(|(&set, &all)| set as f32 / all.max(1) as f32).collect()
    }
}
