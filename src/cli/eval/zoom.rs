//! `veriframe eval zoom`: whether heatmaps point better where the model looks closer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::{FIRST, stop_on_ctrl_c};
use crate::cli::options::{ModelArgs, catalog};
use crate::cli::output;
use crate::config::Settings;
use crate::evaluation::localisation::{Map, Placement, Site};
use crate::explain::{Method, Recipe};
use crate::scenes::{Cue, FaceSpec, Language, Part, Scene, draw, prompt};
use crate::serving::{Catalog, Terms};
use crate::verification::{
    Heatmap, Heatmaps, Payload, VerifyRequest, Zoom, ZoomPlace, verify_image,
};
use crate::vision::image::Rgb8;

/// Side of the drawn pictures in pixels, as for `veriframe eval`.
const SIDE_PX: u32 = 224;
/// Colour of the frame around them, RGB.
const FRAME: [u8; 3] = [128; 3];

/// Measure whether heatmaps point better with closer looks, on generated faces that were never
/// trained on, as they are or small in a larger frame: without a zoom, and with looks at the
/// detector's boxes of the part in question, of the face, of every part, and at windows. Beside the
/// placement of the heat stands in how many faces the look that fits the prompt best tells the face
/// with the cue from the same face without it: what a look cannot tell, its map cannot show.
///
/// Examples:
///   veriframe eval zoom
///   veriframe eval zoom --frame 3 --looks face,windows
///   veriframe eval zoom --scales 1,2,4 --methods legrad
///   veriframe eval zoom --json --out zoom.json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct ZoomArgs {
    /// How many faces; each is drawn with and without each of the four cues.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    faces: u64,
    /// How many faces to leave out before the first.
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Heatmap methods.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "grad_eclip")]
    methods: Vec<Method>,
    /// Where looks are taken.
    #[arg(long, value_name = "WHERE", value_delimiter = ',',
          default_values = ["part", "face", "parts", "windows"])]
    looks: Vec<Looking>,
    /// Sides of the looks' pictures, as multiples of the model's own.
    #[arg(long, value_name = "TIMES", value_delimiter = ',', default_values = ["1", "2"],
          value_parser = clap::value_parser!(u32).range(1..=4))]
    scales: Vec<u32>,
    /// Boxes are widened on every side by this share of their size.
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    margin: f32,
    /// Put each picture into a grey frame this many times as wide and high, somewhere.
    #[arg(long, value_name = "TIMES", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=8))]
    frame: u32,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Also write the JSON to a file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

/// Where looks are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Looking {
    /// At the part that the cue is in.
    Part,
    /// At the face.
    Face,
    /// At every part.
    Parts,
    /// In windows.
    Windows,
}

impl Looking {
    fn name(self) -> &'static str {
        match self {
            Self::Part => "its part",
            Self::Face => "face",
            Self::Parts => "all parts",
            Self::Windows => "windows",
        }
    }

    fn place(self, cue: Cue) -> ZoomPlace {
        let classes = match self {
            Self::Part => vec![part_of(cue)],
            Self::Face => vec![Part::Face],
            Self::Parts => Vec::new(),
            Self::Windows => {
                return ZoomPlace::Window { side_ratio: 0.5, overlap_ratio: 0.25 };
            }
        };
        let classes = classes.into_iter().map(|part| part.name().to_owned()).collect();
        ZoomPlace::Detected { model: None, classes, min_confidence: 0.25 }
    }
}

/// The part that shows the cue, as the detector knows it.
fn part_of(cue: Cue) -> Part {
    match cue {
        Cue::MismatchedPupilReflections => Part::Eye,
        Cue::MisshapenEar => Part::Ear,
        Cue::UnevenTeeth => Part::Mouth,
        Cue::BlendingSeam => Part::Face,
    }
}

/// A face in its frame.
struct Framed {
    image: Arc<Rgb8>,
    /// Which pixels show the cue, row-major.
    site: Vec<bool>,
}

impl Framed {
    fn new(scene: &Scene, cue: Cue, times: u32) -> Self {
        let (side, whole) = (SIDE_PX as usize, (SIDE_PX * times) as usize);
        let mut image = Rgb8::filled(SIDE_PX * times, SIDE_PX * times, FRAME);
        let mut site = vec![false; whole * whole];
        // Any spread that the seed settles.
        let free = u64::from(SIDE_PX * (times - 1)) + 1;
        let (left, top) = (scene.spec.seed * 7919 % free, scene.spec.seed * 104_729 % free);
        for row in 0..side {
            let to = (top as usize + row) * whole + left as usize;
            let pixels = &scene.image.pixels()[row * side * 3..][..side * 3];
            image.pixels_mut()[to * 3..][..side * 3].copy_from_slice(pixels);
            site[to..to + side].copy_from_slice(&scene.site(cue).values()[row * side..][..side]);
        }
        Self { image: Arc::new(image), site }
    }
}

/// One face with and without one cue.
struct Case {
    with: Framed,
    without: Framed,
    cue: Cue,
    /// One in each language.
    claims: [String; 2],
}

/// Maps of one kind.
#[derive(Debug, Default, Serialize)]
struct Row {
    cue: &'static str,
    method: &'static str,
    /// Where looks were taken; "no zoom" for none.
    looks: &'static str,
    /// Their side as a multiple of the model's own.
    grid_scale: u32,
    /// Number of maps, of both languages.
    maps: usize,
    /// Share of maps whose hottest pixel is inside the site.
    pointing: f64,
    /// Share of maps whose hottest cell touches the site.
    pointing_cell: f64,
    /// Mean energy inside the site, as a multiple of a uniform map's.
    energy_ratio: f64,
    /// Mean number of looks.
    looks_each: f64,
    /// Share of faces whose best contrast is greater with the cue than without it.
    told: f64,
}

impl Row {
    fn add(&mut self, placed: Placement, looks: usize, told: bool) {
        self.maps += 1;
        let share = |flag: bool| f64::from(u8::from(flag));
        let figures = [
            (&mut self.pointing, share(placed.hit)),
            (&mut self.pointing_cell, share(placed.cell_hit)),
            (&mut self.energy_ratio, placed.energy_ratio),
            (&mut self.looks_each, looks as f64),
            (&mut self.told, share(told)),
        ];
        for (mean, value) in figures {
            *mean += (value - *mean) / self.maps as f64;
        }
    }
}

/// Measures, shows, and writes.
pub(super) fn run(args: &ZoomArgs, settings: &Settings) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let stop = stop_on_ctrl_c(&runtime);
    let catalog = catalog(settings)?;
    let bench = Bench { runtime: &runtime, catalog: &catalog, args };
    let bar = output::progress(args.faces, "faces");
    let mut rows: Vec<Row> = Vec::new();
    let seeds = (FIRST + args.skip..).take(args.faces as usize);
    for seed in seeds.take_while(|_| !stop.load(Ordering::Relaxed)) {
        for cue in Cue::ALL {
            bench.add(seed, cue, &mut rows)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    // Those of one cue came together once a face: bring them back together.
    rows.sort_by_key(|row| Cue::ALL.iter().position(|cue| cue.name() == row.cue));
    let json = serde_json::to_string_pretty(&rows)?;
    if let Some(path) = &args.out {
        std::fs::write(path, &json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        output::say(json);
    } else {
        show(&rows);
    }
    Ok(())
}

struct Bench<'a> {
    runtime: &'a Runtime,
    catalog: &'a Catalog,
    args: &'a ZoomArgs,
}

impl Bench<'_> {
    /// Looks at one face with and without one cue, in every way.
    fn add(&self, seed: u64, cue: Cue, rows: &mut Vec<Row>) -> anyhow::Result<()> {
        let spec = FaceSpec::sample(seed);
        let drawn = |on: bool| {
            let scene = draw(&spec.with_cue(cue, on), SIDE_PX);
            Framed::new(&scene, cue, self.args.frame)
        };
        let (with, without) = (drawn(true), drawn(false));
        if !with.site.contains(&true) {
            return Ok(());
        }
        let claims = Language::ALL.map(|language| prompt(cue, true, language, seed));
        let case = Case { with, without, cue, claims };
        self.compare(&case, None, rows)?;
        for &looking in &self.args.looks {
            for &grid_scale in &self.args.scales {
                let margin_ratio = self.args.margin;
                let zoom = Zoom { margin_ratio, grid_scale, ..Zoom::at(looking.place(cue)) };
                self.compare(&case, Some((looking, zoom)), rows)?;
            }
        }
        Ok(())
    }

    fn compare(
        &self,
        case: &Case,
        zoom: Option<(Looking, Zoom)>,
        rows: &mut Vec<Row>,
    ) -> anyhow::Result<()> {
        let looks = zoom.as_ref().map_or("no zoom", |(looking, _)| looking.name());
        let zoom = zoom.map(|(_, zoom)| zoom);
        let grid_scale = zoom.as_ref().map_or(1, |zoom| zoom.grid_scale);
        let maps = self.maps(&case.with, &case.claims, zoom.clone())?;
        let others = self.maps(&case.without, &case.claims, zoom)?;
        let with = &case.with;
        let (width, height) = (with.image.width() as usize, with.image.height() as usize);
        let site = Site { width, height, mask: &with.site };
        for (map, other) in maps.iter().zip(&others) {
            let Some(placed) = Placement::measure(&shown(map)?, &site) else { continue };
            let kind = (case.cue.name(), map.figures.method.name(), looks, grid_scale);
            let same = |row: &Row| (row.cue, row.method, row.looks, row.grid_scale) == kind;
            let at = rows.iter().position(same).unwrap_or_else(|| {
                let (cue, method, looks, grid_scale) = kind;
                rows.push(Row { cue, method, looks, grid_scale, ..Row::default() });
                rows.len() - 1
            });
            rows[at].add(placed, map.looks.len(), best(map) > best(other));
        }
        Ok(())
    }

    fn maps(
        &self,
        framed: &Framed,
        claims: &[String],
        zoom: Option<Zoom>,
    ) -> anyhow::Result<Vec<Heatmap>> {
        let asked = Heatmaps {
            prompts: claims.to_vec(),
            recipes: self.args.methods.iter().copied().map(Recipe::of).collect(),
            zoom,
            ..Heatmaps::default()
        };
        let request = VerifyRequest { heatmaps: Some(asked), ..VerifyRequest::default() };
        let image = Arc::clone(&framed.image);
        let answer = verify_image(self.catalog, image, &request, Terms::default());
        Ok(self.runtime.block_on(answer)?.heatmaps.context("no heatmaps came")?.heatmaps)
    }
}

/// The greatest contrast of the closer looks; that of the whole frame where there are none.
fn best(map: &Heatmap) -> f32 {
    let looks = map.looks.iter().map(|look| look.contrast);
    looks.reduce(f32::max).unwrap_or(map.figures.margin)
}

fn shown(map: &Heatmap) -> anyhow::Result<Map> {
    let Payload::Tensor { shape, data, .. } = &map.payload else {
        anyhow::bail!("the map is no tensor");
    };
    let (bytes, _) = data.as_chunks::<{ size_of::<f32>() }>();
    let values = bytes.iter().copied().map(f32::from_le_bytes).collect();
    Ok(Map { values, grid: (shape[0], shape[1]), area: map.area })
}

fn show(rows: &[Row]) {
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    let line = |row: &Row| {
        vec![
            row.cue.to_owned(),
            row.method.to_owned(),
            row.looks.to_owned(),
            format!("×{}", row.grid_scale),
            row.maps.to_string(),
            percent(row.pointing),
            percent(row.pointing_cell),
            format!("{:.1}×", row.energy_ratio),
            format!("{:.1}", row.looks_each),
            percent(row.told),
        ]
    };
    let head = [
        "cue", "method", "looks at", "grid", "maps", "pointing", "in cell", "energy", "looks",
        "told",
    ];
    output::table(&head, &rows.iter().map(line).collect::<Vec<_>>());
}
