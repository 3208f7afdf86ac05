//! What was measured of explanations as one page: the tables, and pictures with every map.

use anyhow::Context;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::tables::{lead, shown, tables};
use crate::evaluation::explanation::{ExplanationReport, MapRecord, Metric, SceneRecord};
use crate::report::{Body, Figure, Picture, Report, Section, Table};
use crate::scenes::{FaceSpec, Language, Mask, draw};
use crate::vision::image::{Limits, Rgb8, decode};
use crate::vision::overlay::{Heat, overlay};

/// A page without network must carry its pictures; at this quality they stay small and clear.
const JPEG_QUALITY: u8 = 88;
/// The outline of the true site: a colour that neither faces nor heat have.
const OUTLINE: [u8; 3] = [255, 0, 255];
/// What is said below each map.
const BELOW: [(&str, Metric); 4] = [
    ("energy", Metric::Energy),
    ("insertion", Metric::InsertionMargin),
    ("deletion", Metric::DeletionMargin),
    ("ROAD", Metric::RoadMargin),
];

/// The page, with the pictures of these records drawn again at `side_px`.
pub(super) fn page<'a>(
    report: &ExplanationReport,
    records: impl Iterator<Item = &'a SceneRecord>,
    side_px: u32,
) -> anyhow::Result<Report> {
    let mut sections: Vec<Section> = tables(report)
        .into_iter()
        .map(|table| Section {
            title: table.title,
            note: table.note,
            body: Body::Table(Table { head: table.head, rows: table.rows }),
        })
        .collect();
    for record in records {
        sections.extend(pictures(record, side_px)?);
    }
    let best = report.ranking.first();
    let figure = |value: String, label: &str| Figure { value, label: label.to_owned() };
    Ok(Report {
        title: "veriframe eval explain".to_owned(),
        lead: lead(report),
        figures: vec![
            figure(report.scenes.to_string(), "pictures"),
            figure(report.ranking.len().to_string(), "methods"),
            figure(best.map_or("none", |rank| rank.source).to_owned(), "first in the order"),
        ],
        sections,
    })
}

/// One section for each language: the picture with its site outlined, then every map over it.
fn pictures(record: &SceneRecord, side_px: u32) -> anyhow::Result<Vec<Section>> {
    let scene = draw(&FaceSpec::sample(record.seed).with_cue(record.cue, true), side_px);
    let site = scene.site(record.cue);
    let plain = jpeg(&outlined(scene.image.clone(), site))?;
    let section = |(language, prompt): &(Language, String)| {
        let mut pictures = vec![Picture::jpeg(
            &plain,
            "the picture".to_owned(),
            vec!["outlined: where the cue is".to_owned()],
        )];
        for map in record.maps.iter().filter(|map| map.language == *language) {
            pictures.push(picture(map, &scene.image, site)?);
        }
        Ok(Section {
            title: format!("{}: \u{201c}{prompt}\u{201d}", record.cue.name().replace('_', " ")),
            note: format!("Face {}, prompt in {}.", record.seed, language.code()),
            body: Body::Pictures(pictures),
        })
    };
    record.prompts.iter().map(section).collect()
}

fn picture(record: &MapRecord, image: &Rgb8, site: &Mask) -> anyhow::Result<Picture> {
    let map = &record.map;
    let heat = Heat { values: &map.values, grid: map.grid, area: map.area };
    let drawn = decode(&overlay(image, &heat, &[]), &Limits::default())?;
    let hit = match record.figures.value(Metric::Pointing) {
        Some(hit) if hit > 0.5 => "hottest point: inside",
        _ => "hottest point: outside",
    };
    let values = BELOW.iter().filter_map(|(name, metric)| {
        let value = record.figures.value(*metric)?;
        Some(format!("{name} {}", shown(*metric, value)))
    });
    let details = std::iter::once(hit.to_owned()).chain(values).collect();
    Ok(Picture::jpeg(&jpeg(&outlined(drawn, site))?, record.source.to_owned(), details))
}

/// The picture with the site's edge drawn: those of its pixels that have a neighbour outside.
fn outlined(mut picture: Rgb8, site: &Mask) -> Rgb8 {
    let width = site.width();
    let is_edge = |x: u32, y: u32| {
        let around = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
        site.get(x, y) && around.iter().any(|&(x, y)| !site.get(x, y))
    };
    for (index, pixel) in picture.pixels_mut().chunks_exact_mut(3).enumerate() {
        if is_edge(index as u32 % width, index as u32 / width) {
            pixel.copy_from_slice(&OUTLINE);
        }
    }
    picture
}

fn jpeg(picture: &Rgb8) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .write_image(picture.pixels(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .context("cannot encode a picture")?;
    Ok(bytes)
}
