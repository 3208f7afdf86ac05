//! Heatmaps by any method: the model `clip_heatmap` and its parameters.

use std::path::Path;
use std::sync::Arc;

use tonic::Code;
use veriframe::explain::Method;
use veriframe::proto::inference as wire;
use veriframe::proto::inference::infer_parameter::ParameterChoice;
use veriframe::proto::v1;
use veriframe::server::Config;
use veriframe::serving::{Catalog, HeatmapConfig, ModelSource, Options};

use super::{assert_near, client, floats, output, request, strings, with, words};
use crate::support::{self, Client, GRID, TestServer, assert_refused, encoded, png, texts};

const PROMPTS: [&str; 2] = ["a face with uneven teeth", "a photo of a face"];

fn text(text: &str) -> ParameterChoice {
    ParameterChoice::StringParam(text.to_owned())
}

/// Maps of the first pictures against both prompts.
fn maps_of(model: &str, pictures: u32) -> wire::ModelInferRequest {
    let pictures: Vec<Vec<u8>> = (0..pictures).map(png).collect();
    request(model, vec![strings("IMAGE", &pictures), strings("TEXT", &PROMPTS)])
}

/// Those of the method's that the request's parameters name.
fn by(method: &str, pictures: u32) -> wire::ModelInferRequest {
    with(maps_of("clip_heatmap", pictures), "method", text(method))
}

fn told(response: &wire::ModelInferResponse, name: &str) -> ParameterChoice {
    response.parameters[name].parameter_choice.clone().unwrap()
}

/// The same from the verification service.
async fn explained(client: &mut Client, method: Method, picture: u32) -> Vec<v1::Heatmap> {
    let name = format!("HEATMAP_METHOD_{}", method.name().to_uppercase());
    let method = v1::HeatmapMethod::from_str_name(&name).unwrap();
    let heatmaps = v1::HeatmapQuery {
        prompts: texts(&PROMPTS),
        methods: vec![method.into()],
        ..Default::default()
    };
    let request = v1::ExplainRequest { image: encoded(png(picture)), heatmaps: Some(heatmaps) };
    client.explain(request).await.unwrap().into_inner().heatmaps.unwrap().heatmaps
}

fn values(map: &v1::Heatmap) -> Vec<f32> {
    let Some(v1::heatmap::Content::Tensor(tensor)) = &map.content else { panic!("{map:?}") };
    support::floats(tensor)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_gives_what_the_verification_service_gives() {
    let server = TestServer::start().await;
    let (mut client, mut own) = (client(&server).await, server.client().await);
    for method in Method::ALL {
        let response = client.model_infer(by(method.name(), 2)).await.unwrap().into_inner();
        let side = GRID as i64;
        assert_eq!(output(&response, "HEATMAP").0, [2, 2, side, side], "{method}");
        assert_eq!(told(&response, "method"), text(method.name()));
        let modified = ParameterChoice::BoolParam(method.modifies_network());
        assert_eq!(told(&response, "modified_network"), modified, "{method}");
        let mut of_service = Vec::new();
        for picture in 0..2 {
            of_service.extend(explained(&mut own, method, picture).await);
        }
        let maps = floats(&response, "HEATMAP");
        for (map, expected) in maps.chunks_exact(GRID * GRID).zip(&of_service) {
            assert_near(map, &values(expected));
        }
        let quality = |map: &v1::Heatmap| {
            map.quality().as_str_name().strip_prefix("HEATMAP_QUALITY_").unwrap().to_owned()
        };
        let qualities: Vec<String> = of_service.iter().map(quality).collect();
        assert_eq!(words(&response, "QUALITY"), qualities, "{method}");
        // The tiny model has no calibration.
        assert_eq!(output(&response, "HIT_PROBABILITY").0, [2, 2], "{method}");
        assert!(floats(&response, "HIT_PROBABILITY").iter().all(|told| told.is_nan()));
        if !method.is_text_conditioned() {
            assert_eq!(qualities, ["NOT_SPECIFIC"; 4], "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_method_is_the_default_one_and_reads_its_own_layers_until_told_otherwise() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let usual = client.model_infer(maps_of("clip_heatmap", 1)).await.unwrap().into_inner();
    assert_eq!(told(&usual, "method"), text("grad_eclip"));
    assert_eq!(told(&usual, "layers"), text("1"));
    let fixed = client.model_infer(maps_of("clip_grad_eclip", 1)).await.unwrap().into_inner();
    assert_near(&floats(&usual, "HEATMAP"), &floats(&fixed, "HEATMAP"));
    assert_eq!(told(&fixed, "method"), text("grad_eclip"));

    let all = client.model_infer(by("legrad", 1)).await.unwrap().into_inner();
    assert_eq!(told(&all, "layers"), text("0,1"));
    for layers in [text("0"), ParameterChoice::Int64Param(0)] {
        let one = with(by("legrad", 1), "layers", layers);
        let one = client.model_infer(one).await.unwrap().into_inner();
        assert_eq!(told(&one, "layers"), text("0"));
        let (one, all) = (floats(&one, "HEATMAP"), floats(&all, "HEATMAP"));
        assert!(one.iter().zip(&all).any(|(one, all)| (one - all).abs() > 1e-6), "{one:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chance_of_a_hit_is_told_where_the_model_is_calibrated() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/clip");
    let sources = [ModelSource { name: "clip".to_owned(), path: folder }];
    let start = move || Catalog::start(&sources, &Options::default()).unwrap();
    let catalog = tokio::task::spawn_blocking(start).await.unwrap();
    let server = TestServer::serving(Config::default(), Arc::new(catalog)).await;
    let response = client(&server).await.model_infer(by("grad_eclip", 1)).await.unwrap();
    let expected = explained(&mut server.client().await, Method::GradEclip, 0).await;
    let expected: Vec<f32> = expected.iter().map(|map| map.hit_probability.unwrap()).collect();
    assert_near(&floats(&response.into_inner(), "HIT_PROBABILITY"), &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_method_can_do_is_refused_with_what_can() {
    let heatmaps = HeatmapConfig { max_passes: 3, ..HeatmapConfig::default() };
    let options = Options { heatmaps, ..Options::default() };
    let server = TestServer::with_options(Config::default(), options).await;
    let mut client = client(&server).await;
    let mut check = async |ask: wire::ModelInferRequest, field: &str, part: &str| {
        let status = client.model_infer(ask).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_refused(&status, field, part);
    };
    let known: Vec<&str> = Method::ALL.map(Method::name).to_vec();
    let unknown = format!("'grad_cam++' is unknown, known are {}", known.join(", "));
    check(by("grad_cam++", 1), "parameters.method", &unknown).await;
    let long = by(&"x".repeat(1000), 1);
    check(long, "parameters.method", &format!("method '{}' is unknown", "x".repeat(64))).await;
    let number = with(maps_of("clip_heatmap", 1), "method", ParameterChoice::Int64Param(1));
    check(number, "parameters.method", "must be a text").await;

    let layers = |method, layers| with(by(method, 1), "layers", text(layers));
    let far = "layer 7, the model has layers 0 to 1";
    check(layers("legrad", "0,7"), "parameters.layers", far).await;
    check(layers("legrad", "1,1"), "parameters.layers", "layer 1 is named twice").await;
    let fixed = "grad_eclip has no choice of layers, those that have are";
    check(layers("grad_eclip", "0"), "parameters.layers", fixed).await;
    check(layers("legrad", "last"), "parameters.layers", "whole numbers with commas").await;
    let many = vec!["0"; 257].join(",");
    check(layers("legrad", &many), "parameters.layers", "has 257 numbers, limit 256").await;

    // A forward pass for each channel and prompt is too much, one for each prompt is not.
    let dear = "takes about 64 forward passes, limit 3; a prompt takes: score_cam 32";
    check(by("score_cam", 1), "parameters.method", dear).await;
    let named = with(maps_of("clip_grad_eclip", 1), "method", text("legrad"));
    check(named, "parameters", "'method' is unknown; known are priority").await;
    client.model_infer(by("legrad", 2)).await.unwrap();
}
