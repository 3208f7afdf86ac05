//! Which pixels made a box, over the wire: the same maps as from the net itself, on their boxes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use tch::{Device, Kind, Tensor};
use veriframe::evaluation::localisation::{Map, Placement, Site};
use veriframe::explain::{BoxTarget, Method, box_map};
use veriframe::models::yolo::{BatchNorm, Yolo, YoloCheckpoint};
use veriframe::proto::v1;
use veriframe::proto::v1::HeatmapMethod::{EigenCam, GradCam};
use veriframe::proto::v1::box_heatmap::Content;
use veriframe::proto::v1::frame_result::Outcome;
use veriframe::proto::v1::verify_stream_request::Message as Sent;
use veriframe::proto::v1::verify_stream_response::Message;
use veriframe::proto::v1::{HeatmapEncoding, HeatmapQuality, HeatmapResolution};
use veriframe::scenes::{FaceSpec, HELD_OUT, draw};
use veriframe::server::{Config, RequestLimits};
use veriframe::serving::{Catalog, ModelSource, Options};
use veriframe::vision::boxes::Rect;
use veriframe::vision::image::Rgb8;
use veriframe::vision::letterbox::{Padding, letterbox};

use crate::support::{
    Client, SIZE, TestServer, assert_refused, detection, encoded, floats, good, png, raw,
};

/// A query for maps by these methods.
fn by(methods: &[v1::HeatmapMethod]) -> v1::BoxHeatmapQuery {
    let methods = methods.iter().map(|&method| method.into()).collect();
    v1::BoxHeatmapQuery { methods, ..Default::default() }
}

/// A few boxes of random weights, with these maps.
fn with(heatmaps: v1::BoxHeatmapQuery) -> Option<v1::DetectionQuery> {
    Some(v1::DetectionQuery { heatmaps: Some(heatmaps), ..detection().unwrap() })
}

async fn detect(
    client: &mut Client,
    image: Option<v1::Image>,
    detection: Option<v1::DetectionQuery>,
) -> v1::DetectResponse {
    client.detect(v1::DetectRequest { image, detection }).await.unwrap().into_inner()
}

fn found(answer: v1::DetectResponse) -> Vec<v1::Detection> {
    answer.detection.unwrap().detections
}

/// Values and their shape.
fn sheet(map: &v1::BoxHeatmap) -> (Vec<f32>, [usize; 2]) {
    let Some(Content::Tensor(tensor)) = &map.content else { panic!("{map:?}") };
    let shape = [tensor.shape[0] as usize, tensor.shape[1] as usize];
    let values = floats(tensor);
    assert_eq!(values.len(), shape[0] * shape[1]);
    (values, shape)
}

fn rect(edges: Option<v1::BoundingBox>) -> Rect {
    let v1::BoundingBox { x1, y1, x2, y2 } = edges.unwrap();
    Rect::new(x1, y1, x2, y2)
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/yolo/face-parts.safetensors")
}

async fn demo_server() -> TestServer {
    let sources = [ModelSource { name: "yolo".to_owned(), path: demo() }];
    let start = move || Catalog::start(&sources, &Options::default()).unwrap();
    let catalog = tokio::task::spawn_blocking(start).await.unwrap();
    TestServer::serving(Config::default(), Arc::new(catalog)).await
}

fn sent(image: &Rgb8) -> Option<v1::Image> {
    raw(v1::RawImage {
        format: v1::PixelFormat::Rgb8.into(),
        width: image.width(),
        height: image.height(),
        stride: 0,
        data: image.pixels().to_vec().into(),
    })
}

/// A held-out face of 224 px in the middle of a grey frame of `width` × 224.
fn face(seed: u64, width: u32) -> Rgb8 {
    let face = draw(&FaceSpec::sample(HELD_OUT + seed), 224).image;
    let mut frame = Rgb8::filled(width, 224, [90, 110, 130]);
    let (left, row) = ((width - 224) as usize / 2 * 3, 224 * 3);
    let lines = frame.pixels_mut().chunks_exact_mut(width as usize * 3);
    for (line, from) in lines.zip(face.pixels().chunks_exact(row)) {
        line[left..left + row].copy_from_slice(from);
    }
    frame
}

/// Positive values of what [`box_map`] says of a detection of `image`, by rows.
fn directly(net: &Yolo, image: &Rgb8, side: u32, found: &v1::Detection, method: Method) -> Tensor {
    let (boxed, fit) = letterbox(image, side, Padding::Minimal { stride: 32 });
    let size = [i64::from(boxed.height()), i64::from(boxed.width()), 3];
    let pixels = Tensor::from_slice(boxed.pixels()).view(size).permute([2, 0, 1]).unsqueeze(0);
    let pixels = pixels.to_kind(Kind::Float) / 255.0;
    let rect = fit.transform().to_model(rect(found.r#box));
    let target = BoxTarget { rect, class: found.class_index as usize };
    box_map(net, &pixels, &target, method).unwrap().map.clamp_min(0.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_are_those_of_the_net_without_the_grey_around_the_frame() {
    let server = demo_server().await;
    let mut client = server.client().await;
    let checkpoint = YoloCheckpoint::open(&demo()).unwrap();
    let net = checkpoint.build(Device::Cpu, Kind::Float, BatchNorm::Fused).unwrap();
    // 160 × 160 by 350 × 224 px: 102 rows of the picture between two of 13 rows of grey.
    for (width, grey) in [(224, false), (350, true)] {
        let image = face(5, width);
        let heatmaps = Some(by(&[GradCam, EigenCam]));
        let query = Some(v1::DetectionQuery { heatmaps, ..Default::default() });
        let detections = found(detect(&mut client, sent(&image), query).await);
        // A box that the frame cuts is no longer that of its candidate, by which `box_map` finds it.
        let whole = |found: &&v1::Detection| {
            let rect = rect(found.r#box);
            rect.x1 > 0.0 && rect.y1 > 0.0 && rect.x2 < width as f32 && rect.y2 < 224.0
        };
        let detections: Vec<&v1::Detection> = detections.iter().filter(whole).collect();
        assert!(detections.len() >= 3, "{}", detections.len());
        let mut cut = false;
        for found in detections {
            let [cam, eigen] = found.heatmaps.as_slice() else { panic!("{found:?}") };
            for (map, method) in [(cam, Method::GradCam), (eigen, Method::EigenCam)] {
                let whole = directly(&net, &image, checkpoint.input_px, found, method);
                let (values, [rows, columns]) = sheet(map);
                let stride = map.stride_px as f32;
                let (area, transform) = (rect(map.area), map.transform.unwrap());
                let top = (area.y1 * transform.scale_y + transform.offset_y) / stride;
                let left = (area.x1 * transform.scale_x + transform.offset_x) / stride;
                assert!((top - top.round()).abs() < 1e-3 && left.abs() < 1e-3, "{top} {left}");
                let part = whole.narrow(0, top.round() as i64, rows as i64);
                assert_eq!(part.size(), [rows as i64, columns as i64]);
                let wire = Tensor::from_slice(&values).view([rows as i64, columns as i64]);
                let scale = whole.max().double_value(&[]);
                let off = (wire - &part).abs().max().double_value(&[]) / scale;
                assert!(off < 1e-5, "{method} of {} is off by {off}", found.label);
                cut |= rows < whole.size()[0] as usize;
                let cell = stride / transform.scale_y;
                let beyond = [-area.x1, -area.y1, area.x2 - width as f32, area.y2 - 224.0];
                assert!(beyond.iter().all(|px| (-1e-3..cell).contains(px)), "{area:?}");
                let number = map.stride_px.ilog2() - 3;
                assert_eq!(map.layer, format!("model.{}", 15 + 3 * number));
            }
        }
        assert_eq!(cut, grey, "rows of grey are left out, where there are any");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eigen_cam_is_one_map_a_level_and_grad_cam_one_a_box() {
    let server = demo_server().await;
    let mut client = server.client().await;
    let heatmaps = Some(by(&[GradCam, EigenCam]));
    let query = Some(v1::DetectionQuery { heatmaps, ..Default::default() });
    let detections = found(detect(&mut client, sent(&face(5, 224)), query).await);
    let mut levels: BTreeMap<u32, Vec<&v1::Detection>> = BTreeMap::new();
    for found in &detections {
        assert_eq!(found.heatmaps[1].quality(), HeatmapQuality::NotSpecific);
        levels.entry(found.heatmaps[0].stride_px).or_default().push(found);
    }
    let shared = levels.values().find(|level| level.len() > 1);
    let [one, other, ..] = shared.unwrap().as_slice() else { panic!("{detections:?}") };
    let map = |found: &v1::Detection, at: usize| sheet(&found.heatmaps[at]);
    assert_ne!(map(one, 0), map(other, 0));
    assert_eq!(map(one, 1), map(other, 1));
}

/// How maps of one class by one method met boxes.
#[derive(Default)]
struct Pointing {
    maps: usize,
    on_own: usize,
    own_energy: f64,
    others: usize,
    on_others: usize,
    others_energy: f64,
}

/// How a map meets a box of a picture of 224 × 224.
fn meet(map: &v1::BoxHeatmap, rect: &Rect) -> Placement {
    let (values, [rows, columns]) = sheet(map);
    let inside = |at: usize| {
        let (x, y) = ((at % 224) as f32 + 0.5, (at / 224) as f32 + 0.5);
        (rect.x1..rect.x2).contains(&x) && (rect.y1..rect.y2).contains(&y)
    };
    let mask: Vec<bool> = (0..224 * 224).map(inside).collect();
    let map = Map { values, grid: (rows, columns), area: self::rect(map.area) };
    Placement::measure(&map, &Site { width: 224, height: 224, mask: &mask }).unwrap()
}

/// Prints pointing and energy, on the own box and on boxes of other classes, by class and method.
#[tokio::test(flavor = "multi_thread")]
async fn heat_lies_on_its_own_box_and_not_on_another() {
    let server = demo_server().await;
    let mut client = server.client().await;
    let mut all: BTreeMap<(String, v1::HeatmapMethod), Pointing> = BTreeMap::new();
    for seed in 0..40 {
        let heatmaps = Some(by(&[GradCam, EigenCam]));
        let query = Some(v1::DetectionQuery { heatmaps, ..Default::default() });
        let detections = found(detect(&mut client, sent(&face(seed, 224)), query).await);
        for found in &detections {
            for map in &found.heatmaps {
                let of = all.entry((found.label.clone(), map.method())).or_default();
                let own = meet(map, &rect(found.r#box));
                of.maps += 1;
                of.on_own += usize::from(own.hit);
                of.own_energy += own.energy_ratio;
                for other in detections.iter().filter(|other| other.label != found.label) {
                    let other = meet(map, &rect(other.r#box));
                    of.others += 1;
                    of.on_others += usize::from(other.hit);
                    of.others_energy += other.energy_ratio;
                }
            }
        }
    }
    for ((label, method), of) in &all {
        let share = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        println!(
            "| {label} | `{}` | {} | {:.1} % | {:.1} % | {:.1} × | {:.1} × |",
            method.as_str_name(),
            of.maps,
            share(of.on_own, of.maps),
            share(of.on_others, of.others),
            of.own_energy / of.maps as f64,
            of.others_energy / of.others.max(1) as f64,
        );
    }
    for label in ["mouth", "eye"] {
        let of = &all[&(label.to_owned(), GradCam)];
        assert!(of.maps >= 36, "{label}: {}", of.maps);
        let hits = (of.on_own * of.others, of.on_others * of.maps);
        assert!(hits.0 > hits.1, "{label}: {hits:?}");
        let energies = (of.own_energy / of.maps as f64, of.others_energy / of.others as f64);
        assert!(energies.0 > energies.1, "{label}: {energies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_surest_boxes_get_maps_and_nothing_else_changes() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let plain = detect(&mut client, encoded(png(0)), detection()).await;
    let explain = |answer: &v1::DetectResponse| answer.timing.unwrap().explain.unwrap();
    assert_eq!(explain(&plain), prost_types::Duration::default());
    let query = with(v1::BoxHeatmapQuery { max_boxes: Some(2), ..by(&[]) });
    let mapped = detect(&mut client, encoded(png(0)), query.clone()).await;
    assert_ne!(explain(&mapped), prost_types::Duration::default());
    let (plain, mapped) = (found(plain), found(mapped));
    assert!(plain.len() > 2, "{plain:?}");
    let counts: Vec<usize> = mapped.iter().map(|found| found.heatmaps.len()).collect();
    let expected = (0..plain.len()).map(|at| usize::from(at < 2));
    assert_eq!(counts, expected.collect::<Vec<_>>());
    assert_eq!(mapped[0].heatmaps[0].method(), GradCam, "the default");
    let bare = |found: &v1::Detection| v1::Detection { heatmaps: Vec::new(), ..found.clone() };
    assert_eq!(mapped.iter().map(bare).collect::<Vec<_>>(), plain);

    let regions = Some(v1::RegionQuery::default());
    let request = v1::VerifyRequest { detection: query, regions, ..good() };
    let answer = client.verify(request).await.unwrap().into_inner();
    assert_eq!(answer.detection.unwrap().detections, mapped);
    let regions = answer.regions.unwrap().regions;
    assert!(regions.iter().all(|region| region.detection.as_ref().unwrap().heatmaps.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_come_in_every_size_and_encoding() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let ask = |resolution: HeatmapResolution, encoding: HeatmapEncoding| {
        let (resolution, encoding) = (resolution.into(), encoding.into());
        with(v1::BoxHeatmapQuery { resolution, encoding, ..by(&[GradCam, EigenCam]) })
    };
    let mut maps = Vec::new();
    for (resolution, encoding) in [
        (HeatmapResolution::Grid, HeatmapEncoding::F32),
        (HeatmapResolution::Image, HeatmapEncoding::F32),
        (HeatmapResolution::Image, HeatmapEncoding::U8),
        (HeatmapResolution::Grid, HeatmapEncoding::PngOverlay),
    ] {
        let query = ask(resolution, encoding);
        maps.push(found(detect(&mut client, encoded(png(0)), query).await)[0].heatmaps.clone());
    }
    let [grids, images, bytes, drawn] = [0, 1, 2, 3].map(|at| &maps[at]);
    assert!(maps.iter().all(|maps| maps.len() == 2));
    for (((grid, image), bytes), drawn) in grids.iter().zip(images).zip(bytes).zip(drawn) {
        assert_eq!(grid.statistics, image.statistics);
        assert_eq!((grid.quality(), grid.area), (drawn.quality(), drawn.area));
        let (values, _) = sheet(grid);
        let most = |values: &[f32]| values.iter().copied().fold(0.0, f32::max);
        assert!((most(&values) - grid.statistics.unwrap().max.max(0.0)).abs() < 1e-6);
        let (pixels, shape) = sheet(image);
        assert_eq!(shape, [SIZE.1 as usize, SIZE.0 as usize]);
        assert!(most(&pixels) <= most(&values) + 1e-6);
        let Some(Content::Tensor(tensor)) = &bytes.content else { panic!("{bytes:?}") };
        assert_eq!(tensor.data_type(), v1::DataType::U8);
        for (&byte, pixel) in tensor.data.iter().zip(&pixels) {
            let value = bytes.low + f32::from(byte) / 255.0 * (bytes.high - bytes.low);
            let step = (bytes.high - bytes.low) / 255.0;
            assert!((value - pixel).abs() <= 0.51 * step + 1e-6, "{value} {pixel}");
        }
        let Some(Content::Png(png)) = &drawn.content else { panic!("{drawn:?}") };
        let picture = image::load_from_memory(png).unwrap();
        assert_eq!((picture.width(), picture.height()), SIZE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_too_far_is_refused_by_name() {
    let limits = RequestLimits {
        max_heatmap_boxes: 3,
        max_heatmap_bytes: 48 * 36 * 3 * 2,
        ..RequestLimits::default()
    };
    let server = TestServer::with(Config { request_limits: limits, ..Config::default() }).await;
    let mut client = server.client().await;
    let few = |max_boxes| v1::BoxHeatmapQuery { max_boxes: Some(max_boxes), ..by(&[GradCam]) };
    let png_of = |max_boxes| v1::BoxHeatmapQuery {
        encoding: HeatmapEncoding::PngOverlay.into(),
        ..few(max_boxes)
    };
    for (query, field, part) in [
        (
            by(&[GradCam, v1::HeatmapMethod::Legrad]),
            "detection.heatmaps.methods[1]",
            "legrad cannot explain boxes, methods that can are grad_cam, eigen_cam",
        ),
        (few(4), "detection.heatmaps.max_boxes", "is 4, must be 1 to 3"),
        (png_of(3), "detection.heatmaps", "3 maps of 48x36 px weigh 15552 bytes, limit 10368"),
    ] {
        let request = v1::DetectRequest { image: encoded(png(0)), detection: with(query) };
        assert_refused(&client.detect(request).await.unwrap_err(), field, part);
    }
    let answer = detect(&mut client, encoded(png(0)), with(png_of(2))).await;
    assert_eq!(found(answer)[1].heatmaps.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_made_its_boxes_and_refuses_what_a_call_refuses() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let query = with(by(&[GradCam, EigenCam]));
    let expected = found(detect(&mut client, encoded(png(0)), query.clone()).await);
    let messages = |detection| {
        let config = v1::StreamConfig { detection, ..Default::default() };
        let frame = v1::Frame { sequence: 1, presentation_time: None, image: encoded(png(0)) };
        let sent = [Sent::Config(config), Sent::Frame(frame)];
        sent.map(|message| v1::VerifyStreamRequest { message: Some(message) })
    };
    let answers = client.verify_stream(futures::stream::iter(messages(query))).await.unwrap();
    let first = answers.into_inner().next().await.unwrap().unwrap().message.unwrap();
    let Message::Result(result) = first else { panic!("{first:?}") };
    let Some(Outcome::Ok(answer)) = result.outcome else { panic!("{result:?}") };
    assert_eq!(answer.detection.unwrap().detections, expected);

    let wrong = messages(with(by(&[v1::HeatmapMethod::Game])));
    let refused = match client.verify_stream(futures::stream::iter(wrong)).await {
        Err(status) => status,
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
    };
    assert_refused(&refused, "config.detection.heatmaps.methods[0]", "methods that can are");
}
