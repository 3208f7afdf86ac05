//! Heatmaps over the wire: every method, their options, and what is known of each map.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tonic::Code;
use veriframe::explain::Method;
use veriframe::proto::v1;
use veriframe::proto::v1::HeatmapMethod;
use veriframe::server::Config;
use veriframe::serving::{Catalog, HeatmapConfig, ModelSource, Options};

use crate::support::{
    Client, GRID, TestServer, assert_refused, encoded, floats, good, png, similarity, texts,
    write_clip,
};

/// Every method of the wire.
fn methods() -> Vec<HeatmapMethod> {
    (1..).map_while(|number| HeatmapMethod::try_from(number).ok()).collect()
}

fn query(methods: &[HeatmapMethod]) -> v1::HeatmapQuery {
    v1::HeatmapQuery {
        prompts: texts(&["a face with uneven teeth", "a photo of a face"]),
        methods: methods.iter().map(|&method| method.into()).collect(),
        ..Default::default()
    }
}

async fn explain(client: &mut Client, query: v1::HeatmapQuery) -> Vec<v1::Heatmap> {
    let request = v1::ExplainRequest { image: encoded(png(1)), heatmaps: Some(query) };
    client.explain(request).await.unwrap().into_inner().heatmaps.unwrap().heatmaps
}

fn values(map: &v1::Heatmap) -> Vec<f32> {
    let Some(v1::heatmap::Content::Tensor(tensor)) = &map.content else { panic!("{map:?}") };
    floats(tensor)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_makes_a_map_of_every_prompt() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let methods = methods();
    assert_eq!(methods.len(), Method::ALL.len());
    for &method in &methods {
        let maps = explain(&mut client, query(&[method])).await;
        assert_eq!(maps.len(), 2, "{method:?}");
        for map in &maps {
            assert_eq!(map.method(), method);
            let values = values(map);
            assert_eq!(values.len(), GRID * GRID, "{method:?}");
            assert!(values.iter().all(|value| value.is_finite()), "{method:?} {values:?}");
            assert!(map.layer.starts_with("vision_model.encoder.layers."), "{}", map.layer);
            assert!(map.claim.is_some() && map.checks.is_none() && map.hit_probability.is_none());
            let spread = map.effective_patches;
            assert!((0.0..=(GRID * GRID) as f32 + 0.01).contains(&spread), "{method:?} {spread}");
            assert!((0.0..=1.0).contains(&map.rival), "{method:?} {}", map.rival);
        }
        let blind = matches!(method, HeatmapMethod::EigenCam | HeatmapMethod::Rollout);
        assert_eq!(values(&maps[0]) == values(&maps[1]), blind, "{method:?}");
        let flagged = maps.iter().all(|map| map.quality() == v1::HeatmapQuality::NotSpecific);
        assert!(!blind || flagged, "{maps:?}");
        let located = method >= HeatmapMethod::MaskClip;
        assert_eq!(maps[0].modified_network, located, "{method:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_change_the_map_and_say_which_layers_were_read() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let with = |method, options| v1::HeatmapQuery { options: Some(options), ..query(&[method]) };
    let plain = v1::HeatmapOptions::default;
    let cam = HeatmapMethod::LayerCam;
    let usual = explain(&mut client, with(cam, plain())).await;
    assert_eq!(usual[0].layer, "vision_model.encoder.layers.1");
    for options in [
        v1::HeatmapOptions { layers: vec![0], ..plain() },
        v1::HeatmapOptions { layers: vec![1, 0], ..plain() },
        v1::HeatmapOptions { eigen_smoothing: true, ..plain() },
        v1::HeatmapOptions { augmentation_smoothing: true, ..plain() },
        v1::HeatmapOptions { refine: true, ..plain() },
    ] {
        let maps = explain(&mut client, with(cam, options.clone())).await;
        assert_ne!(values(&maps[0]), values(&usual[0]), "{options:?}");
        let expected = match options.layers.as_slice() {
            [0] => "vision_model.encoder.layers.0",
            [1, 0] => "vision_model.encoder.layers.0-1",
            _ => "vision_model.encoder.layers.1",
        };
        assert_eq!(maps[0].layer, expected);
    }
    let members = vec![HeatmapMethod::GradEclip.into(), HeatmapMethod::Game.into()];
    let options = v1::HeatmapOptions { members, ..plain() };
    let maps = explain(&mut client, with(HeatmapMethod::Ensemble, options)).await;
    assert!(!maps[0].modified_network, "both members read the net as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_come_where_they_are_asked_for_and_repeat() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let asked = [HeatmapMethod::GradEclip, HeatmapMethod::Legrad];
    let query = || v1::HeatmapQuery { check: true, ..query(&asked) };
    let maps = explain(&mut client, query()).await;
    assert_eq!(maps.len(), 4);
    for map in &maps {
        let checks = map.checks.as_ref().unwrap();
        assert!((0.0..=1.0).contains(&checks.faithfulness), "{checks:?}");
        assert!((-1.0..=1.0).contains(&checks.stability), "{checks:?}");
        assert!((-1.0..=1.0).contains(&checks.method_agreement), "{checks:?}");
        let by_layer = map.method() == HeatmapMethod::Legrad;
        assert_eq!(checks.layer_agreement.is_some(), by_layer, "{map:?}");
    }
    let again = explain(&mut client, query()).await;
    let checks = |maps: &[v1::Heatmap]| maps.iter().map(|map| map.checks).collect::<Vec<_>>();
    assert_eq!(checks(&again), checks(&maps));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_what_is_allowed() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let plain = v1::HeatmapOptions::default;
    let rollout = i32::from(HeatmapMethod::Rollout);
    for (method, options, field, part) in [
        (
            HeatmapMethod::GradCam,
            v1::HeatmapOptions { layers: vec![2], ..plain() },
            "heatmaps",
            "grad_cam cannot read layer 2, the model has layers 0 to 1",
        ),
        (
            HeatmapMethod::GradEclip,
            v1::HeatmapOptions { layers: vec![0], ..plain() },
            "heatmaps",
            "grad_eclip has no choice of layers, those that have are direct_effect, legrad",
        ),
        (
            HeatmapMethod::Game,
            v1::HeatmapOptions { eigen_smoothing: true, ..plain() },
            "heatmaps",
            "those that have are grad_cam, grad_cam_plus_plus",
        ),
        (
            HeatmapMethod::GradCam,
            v1::HeatmapOptions { members: vec![rollout], ..plain() },
            "heatmaps",
            "only ensemble has",
        ),
        (
            HeatmapMethod::Ensemble,
            v1::HeatmapOptions { members: vec![rollout, 77], ..plain() },
            "heatmaps.options.members[1]",
            "is 77",
        ),
    ] {
        let query = v1::HeatmapQuery { options: Some(options), ..query(&[method]) };
        let request = v1::ExplainRequest { image: encoded(png(1)), heatmaps: Some(query) };
        assert_refused(&client.explain(request).await.unwrap_err(), field, part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_maps_may_cost_is_bounded_for_calls_and_streams() {
    let heatmaps = HeatmapConfig { max_passes: 31, ..HeatmapConfig::default() };
    let options = Options { heatmaps, ..Options::default() };
    let server = TestServer::with_options(Config::default(), options).await;
    let mut client = server.client().await;
    let dear = query(&[HeatmapMethod::ScoreCam]);
    let request = v1::ExplainRequest { image: encoded(png(1)), heatmaps: Some(dear.clone()) };
    let refused = client.explain(request).await.unwrap_err();
    let expected = "takes about 64 forward passes, limit 31; a prompt takes: score_cam 32";
    assert_refused(&refused, "heatmaps", expected);

    let config = v1::StreamConfig { heatmaps: Some(dear), ..Default::default() };
    let message = v1::verify_stream_request::Message::Config(config);
    let first = v1::VerifyStreamRequest { message: Some(message) };
    let answer = client.verify_stream(futures::stream::iter([first])).await;
    let refused = match answer {
        Err(status) => status,
        Ok(responses) => responses.into_inner().message().await.unwrap_err(),
    };
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    assert!(refused.message().contains(expected), "{refused:?}");

    explain(&mut client, query(&[HeatmapMethod::Legrad])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn null_prompts_come_from_the_configuration() {
    let null_prompts = texts(&["", "nothing in particular", "사진"]);
    let heatmaps = HeatmapConfig { null_prompts: null_prompts.clone(), ..Default::default() };
    let options = Options { heatmaps, ..Options::default() };
    let server = TestServer::with_options(Config::default(), options).await;
    let request = v1::VerifyRequest { similarity: similarity(&["a face"]), ..good() };
    let answer = server.client().await.verify(request).await.unwrap().into_inner();
    assert_eq!(answer.similarity.unwrap().null_prompts, null_prompts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calibration_for_other_weights_is_not_used_and_a_broken_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write_clip(folder.path(), 7);
    let file = folder.path().join("heatmap_calibration.json");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/clip");
    fs::copy(demo.join("heatmap_calibration.json"), &file).unwrap();
    let source = ModelSource { name: "clip".to_owned(), path: folder.path().to_owned() };
    let sources = [source];
    let start = move || Catalog::start(&sources, &Options::default());
    let catalog = tokio::task::spawn_blocking(start.clone()).await.unwrap().unwrap();
    let server = TestServer::serving(Config::default(), Arc::new(catalog)).await;
    let maps = explain(&mut server.client().await, query(&[HeatmapMethod::GradEclip])).await;
    assert!(maps.iter().all(|map| map.hit_probability.is_none()), "{maps:?}");

    fs::write(&file, "{}").unwrap();
    let refused = tokio::task::spawn_blocking(start).await.unwrap().err().unwrap().to_string();
    assert!(refused.contains("heatmap_calibration.json: missing field"), "{refused}");
}
