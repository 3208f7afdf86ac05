//! Closer looks over the wire: what the map is put together from, and what is refused.

use futures::StreamExt;
use image::{ExtendedColorType, ImageEncoder};
use veriframe::proto::v1;
use veriframe::proto::v1::frame_result::Outcome;
use veriframe::proto::v1::heatmap_zoom::Where;
use veriframe::proto::v1::verify_stream_request::Message as Sent;
use veriframe::proto::v1::verify_stream_response::Message;
use veriframe::server::{Config, RequestLimits};

use crate::support::{
    CLASSES, Client, GRID, SIZE, TestServer, assert_refused, encoded, floats, pixels, png, texts,
};

/// A prompt that the tiny model was given words for.
const PROMPT: &str = "a face with uneven teeth";

fn query(zoom: Option<v1::HeatmapZoom>) -> v1::HeatmapQuery {
    let methods = [v1::HeatmapMethod::GradEclip, v1::HeatmapMethod::DirectEffect];
    v1::HeatmapQuery {
        prompts: texts(&[PROMPT, "a photo of a face"]),
        methods: methods.map(Into::into).to_vec(),
        zoom,
        ..Default::default()
    }
}

fn zoom(place: Where) -> v1::HeatmapZoom {
    let (margin_ratio, max_looks, grid_scale) = (Some(0.0), None, None);
    v1::HeatmapZoom { r#where: Some(place), margin_ratio, max_looks, grid_scale }
}

fn regions(boxes: &[[f32; 4]]) -> Where {
    let edges = |&[x1, y1, x2, y2]: &[f32; 4]| v1::BoundingBox { x1, y1, x2, y2 };
    Where::Regions(v1::ZoomRegions { boxes: boxes.iter().map(edges).collect() })
}

fn detected(classes: &[&str], min_confidence: f32) -> Where {
    let (classes, min_confidence) = (texts(classes), Some(min_confidence));
    Where::Detected(v1::ZoomDetected { model: None, classes, min_confidence })
}

fn window(side_ratio: f32, overlap_ratio: f32) -> Where {
    let (side_ratio, overlap_ratio) = (Some(side_ratio), Some(overlap_ratio));
    Where::Window(v1::ZoomWindow { side_ratio, overlap_ratio })
}

fn request(bytes: Vec<u8>, heatmaps: v1::HeatmapQuery) -> v1::ExplainRequest {
    v1::ExplainRequest { image: encoded(bytes), heatmaps: Some(heatmaps) }
}

async fn explain(client: &mut Client, query: v1::HeatmapQuery) -> Vec<v1::Heatmap> {
    let answer = client.explain(request(png(1), query)).await.unwrap();
    answer.into_inner().heatmaps.unwrap().heatmaps
}

/// Values and their shape.
fn sheet(map: &v1::Heatmap) -> (Vec<f32>, [usize; 2]) {
    let Some(v1::heatmap::Content::Tensor(tensor)) = &map.content else { panic!("{map:?}") };
    let shape = [tensor.shape[0] as usize, tensor.shape[1] as usize];
    let values = floats(tensor);
    assert_eq!(values.len(), shape[0] * shape[1]);
    (values, shape)
}

/// A square of the test picture as a PNG file.
fn cut_out(left: usize, top: usize, side: usize) -> Vec<u8> {
    let all = pixels(1);
    let width = SIZE.0 as usize;
    let rows =
        (top..top + side).map(|y| &all[(y * width + left) * 3..(y * width + left + side) * 3]);
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(
            &rows.collect::<Vec<_>>().concat(),
            side as u32,
            side as u32,
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-3 * a.abs().max(b.abs()).max(1e-3)
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_a_look_stands_what_the_part_says_as_a_picture_of_its_own() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let whole = explain(&mut client, query(None)).await;
    // Its patches are 4 px, as the cells of the common grid.
    let near = explain(&mut client, query(Some(zoom(regions(&[[8.0, 12.0, 24.0, 28.0]]))))).await;
    let alone = client.explain(request(cut_out(8, 12, 16), query(None))).await.unwrap();
    let alone = alone.into_inner().heatmaps.unwrap().heatmaps;
    assert_eq!((whole.len(), near.len(), alone.len()), (4, 4, 4));
    for ((near, whole), alone) in near.iter().zip(&whole).zip(&alone) {
        let (values, shape) = sheet(near);
        assert_eq!(shape, [9, 12]);
        let frame = v1::BoundingBox { x1: 0.0, y1: 0.0, x2: 48.0, y2: 36.0 };
        assert_eq!(near.area, Some(frame));
        let [look] = near.looks.as_slice() else { panic!("{near:?}") };
        assert_eq!(look.r#box, Some(v1::BoundingBox { x1: 8.0, y1: 12.0, x2: 24.0, y2: 28.0 }));
        assert!(close(look.contrast, alone.contrast), "{} {}", look.contrast, alone.contrast);
        assert!(look.label.is_empty() && whole.looks.is_empty());
        let (own, _) = sheet(alone);
        for (at, &expected) in own.iter().enumerate() {
            let got = values[(3 + at / GRID) * 12 + 2 + at % GRID];
            assert!(close(got, expected), "patch {at}: {got} {expected}");
        }
        // The overview saw the middle 36 of 48 px, and the look none of the corners.
        assert_eq!((values[0], values[11], values[8 * 12]), (0.0, 0.0, 0.0));
        assert!(close(near.contrast, whole.contrast), "{} {}", near.contrast, whole.contrast);
        let (claim, of_whole) = (near.claim.unwrap(), whole.claim.unwrap());
        assert!((claim - of_whole).abs() < 1e-2, "{claim} {of_whole}");
        let statistics = near.statistics.unwrap();
        let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!(close(statistics.max, greatest), "{statistics:?} {greatest}");
        assert_ne!(near.quality(), v1::HeatmapQuality::Constant);
        assert!(near.accounting.is_none() && near.hit_probability.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finer_grid_has_more_cells_and_other_values() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let at = |grid_scale| v1::HeatmapZoom {
        grid_scale: Some(grid_scale),
        ..zoom(regions(&[[8.0, 12.0, 24.0, 28.0], [24.0, 0.0, 40.0, 16.0]]))
    };
    let coarse = explain(&mut client, query(Some(at(1)))).await;
    for (scale, shape) in [(2, [18, 24]), (4, [36, 48])] {
        let fine = explain(&mut client, query(Some(at(scale)))).await;
        for (fine, coarse) in fine.iter().zip(&coarse) {
            assert_eq!(sheet(fine).1, shape);
            assert_eq!(fine.looks.len(), 2);
            let (fine, coarse) = (fine.looks[0].contrast, coarse.looks[0].contrast);
            assert!((fine - coarse).abs() > 1e-6, "another input: {fine} {coarse}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_cover_the_frame_and_every_encoding_has_them() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let near = explain(&mut client, query(Some(zoom(window(0.5, 0.25))))).await;
    for map in &near {
        assert_eq!(map.looks.len(), 12, "four across, three down");
        let side = |look: &v1::HeatmapLook| look.r#box.map(|edges| edges.x2 - edges.x1);
        assert!(map.looks.iter().all(|look| side(look) == Some(18.0)), "{:?}", map.looks);
        let (values, _) = sheet(map);
        assert!(values.iter().all(|value| value.is_finite()));
        let signed = map.method() == v1::HeatmapMethod::DirectEffect;
        assert_eq!(values.iter().any(|&value| value < 0.0), signed, "{:?}", map.method());
    }
    let image = v1::HeatmapQuery {
        resolution: v1::HeatmapResolution::Image.into(),
        ..query(Some(zoom(window(0.5, 0.25))))
    };
    assert_eq!(sheet(&explain(&mut client, image).await[0]).1, [36, 48]);
    let png = v1::HeatmapQuery {
        encoding: v1::HeatmapEncoding::PngOverlay.into(),
        ..query(Some(zoom(window(0.5, 0.25))))
    };
    let drawn = explain(&mut client, png).await;
    let Some(v1::heatmap::Content::Png(bytes)) = &drawn[0].content else { panic!("{drawn:?}") };
    let picture = image::load_from_memory(bytes).unwrap();
    assert_eq!((picture.width(), picture.height()), SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn detected_boxes_are_looked_at_and_nothing_found_changes_nothing() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let some =
        |classes: &[&str]| v1::HeatmapZoom { max_looks: Some(3), ..zoom(detected(classes, 0.0)) };
    // Which class a random net prefers is a matter of chance.
    let found = explain(&mut client, query(Some(some(&[])))).await.remove(0).looks;
    let label = found[0].label.as_str();
    assert!(CLASSES.contains(&label) && found.len() <= 3, "{found:?}");
    for map in explain(&mut client, query(Some(some(&[label])))).await {
        assert!((1..=3).contains(&map.looks.len()), "{:?}", map.looks);
        for look in &map.looks {
            assert_eq!(look.label, label);
            let edges = look.r#box.unwrap();
            let (wide, high) = (edges.x2 - edges.x1, edges.y2 - edges.y1);
            assert!(close(wide, high) && wide >= 16.0, "{edges:?} is no square");
            let within = |low: f32, high: f32, side: u32| low >= 0.0 && high <= side as f32;
            assert!(within(edges.x1, edges.x2, SIZE.0) && within(edges.y1, edges.y2, SIZE.1));
        }
    }
    let none = explain(&mut client, query(Some(zoom(detected(&[], 1.0))))).await;
    let whole = explain(&mut client, query(None)).await;
    for (none, whole) in none.iter().zip(&whole) {
        assert!(none.looks.is_empty());
        assert_eq!((sheet(none), none.area), (sheet(whole), whole.area));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_too_far_is_refused_by_name() {
    let limits = RequestLimits { max_looks: 20, ..RequestLimits::default() };
    let server = TestServer::with(Config { request_limits: limits, ..Config::default() }).await;
    let mut client = server.client().await;
    let fine = |grid_scale, place| v1::HeatmapZoom { grid_scale: Some(grid_scale), ..zoom(place) };
    let some = [[0.0, 0.0, 9.0, 9.0]];
    for (asked, field, part) in [
        (v1::HeatmapZoom::default(), "heatmaps.zoom", "is required: set detected"),
        (fine(5, regions(&some)), "heatmaps.zoom.grid_scale", "is 5, must be 1 to 4"),
        (
            v1::HeatmapZoom { max_looks: Some(21), ..zoom(regions(&some)) },
            "heatmaps.zoom.max_looks",
            "is 21, must be 1 to 20",
        ),
        (
            v1::HeatmapZoom { margin_ratio: Some(1.5), ..zoom(regions(&some)) },
            "heatmaps.zoom.margin_ratio",
            "must be 0 to 1",
        ),
        (
            zoom(regions(&[some[0], [50.0, 0.0, 60.0, 9.0]])),
            "heatmaps.zoom.regions.boxes[1]",
            "outside the frame of 48x36 px",
        ),
        (
            zoom(detected(&["nose"], 0.3)),
            "heatmaps.zoom.detected.classes[0]",
            "it knows eye, ear, mouth",
        ),
        (
            zoom(window(0.5, 0.9)),
            "heatmaps.zoom.max_looks",
            "windows cover a frame of 48x36 px, limit 16",
        ),
    ] {
        let refused = client.explain(request(png(1), query(Some(asked)))).await.unwrap_err();
        assert_refused(&refused, field, part);
    }
}

fn streamed(heatmaps: v1::HeatmapQuery) -> Vec<v1::VerifyStreamRequest> {
    let config = v1::StreamConfig { heatmaps: Some(heatmaps), ..Default::default() };
    let frame = v1::Frame { sequence: 1, presentation_time: None, image: encoded(png(1)) };
    [Sent::Config(config), Sent::Frame(frame)]
        .map(|message| v1::VerifyStreamRequest { message: Some(message) })
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_count_as_passes_for_calls_and_streams() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let near = zoom(regions(&[[8.0, 12.0, 24.0, 28.0]]));
    let sent = streamed(query(Some(near.clone())));
    let mut answers = client.verify_stream(futures::stream::iter(sent)).await.unwrap().into_inner();
    let first = answers.next().await.unwrap().unwrap().message.unwrap();
    let Message::Result(result) = first else { panic!("{first:?}") };
    let Some(Outcome::Ok(answer)) = result.outcome else { panic!("{result:?}") };
    let got = answer.heatmaps.unwrap().heatmaps;
    let called = explain(&mut client, query(Some(near))).await;
    for (got, called) in got.iter().zip(&called) {
        assert_eq!((sheet(got).1, got.looks.len()), (sheet(called).1, 1));
        assert!(close(got.looks[0].contrast, called.looks[0].contrast));
    }

    // A look at four times the side is 16 passes, and LeGrad's backward pass as many a prompt.
    let dear = v1::HeatmapQuery {
        methods: vec![v1::HeatmapMethod::Legrad.into()],
        ..query(Some(v1::HeatmapZoom { grid_scale: Some(4), ..zoom(window(0.5, 0.25)) }))
    };
    let expected = "takes about 770 forward passes, limit 256: 16 looks of 48, and 2 for the whole";
    let refused = client.explain(request(png(1), dear.clone())).await.unwrap_err();
    assert_refused(&refused, "heatmaps.zoom", expected);
    let refused = match client.verify_stream(futures::stream::iter(streamed(dear))).await {
        Err(status) => status,
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
    };
    assert!(refused.message().contains(expected), "{refused:?}");
}
