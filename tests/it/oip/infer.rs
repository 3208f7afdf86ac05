//! `ModelInfer`: every built-in model answers what the verification service answers.

use bytes::Bytes;
use veriframe::proto::inference as wire;
use veriframe::proto::inference::infer_parameter::ParameterChoice;
use veriframe::proto::inference::model_infer_request::InferRequestedOutputTensor;
use veriframe::proto::v1;

use super::{assert_near, client, floats, head, integers, output, request, strings, with, words};
use crate::support::{
    self, CLASSES, EMBEDDING, GRID, SIZE, TestServer, encoded, pixels, png, similarity, texts,
};

#[tokio::test]
async fn files_pixels_and_typed_contents_are_one_picture() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let (width, height) = (i64::from(SIZE.0), i64::from(SIZE.1));
    let raw_pixels: Bytes = [pixels(0), pixels(1)].concat().into();
    let typed = wire::InferTensorContents {
        bytes_contents: vec![png(0).into(), png(1).into()],
        ..Default::default()
    };
    let mut typed_input = head("IMAGE", "BYTES", &[2]);
    typed_input.contents = Some(typed);
    let typed = wire::ModelInferRequest {
        model_name: "clip_image".to_owned(),
        inputs: vec![typed_input],
        ..Default::default()
    };
    let raw = (head("IMAGE", "UINT8", &[2, height, width, 3]), raw_pixels);
    let requests = [
        request("clip_image", vec![strings("IMAGE", &[png(0), png(1)])]),
        typed,
        request("clip_image", vec![raw]),
    ];
    let mut answers = Vec::new();
    for request in requests {
        let answer = client.model_infer(request).await.unwrap().into_inner();
        assert_eq!(output(&answer, "EMBEDDING").0, [2, EMBEDDING as i64]);
        answers.push(floats(&answer, "EMBEDDING"));
    }
    assert_near(&answers[1], &answers[0]);
    assert_near(&answers[2], &answers[0]);
    let mut own = server.client().await;
    for (kind, row) in (0..).zip(answers[0].chunks_exact(EMBEDDING)) {
        let request = v1::EmbedRequest { image: encoded(png(kind)), ..Default::default() };
        let embedded = own.embed(request).await.unwrap().into_inner();
        assert_near(&support::floats(&embedded.image.unwrap()), row);
    }
}

#[tokio::test]
async fn texts_are_embedded_and_told_where_they_are_cut() {
    let server = TestServer::start().await;
    let long = "a face with uneven teeth ".repeat(60);
    let prompts = ["얼굴", "a face", &long];
    let input = strings("TEXT", &prompts);
    let answer = client(&server).await.model_infer(request("clip_text", vec![input])).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(output(&answer, "EMBEDDING").0, [3, EMBEDDING as i64]);
    assert_eq!(output(&answer, "TRUNCATED").1.as_ref(), [0, 0, 1]);
    let request = v1::EmbedRequest { texts: texts(&prompts), ..Default::default() };
    let embedded = server.client().await.embed(request).await.unwrap().into_inner();
    let rows = floats(&answer, "EMBEDDING");
    for (row, text) in rows.chunks_exact(EMBEDDING).zip(embedded.texts) {
        assert_near(&support::floats(&text.embedding.unwrap()), row);
    }
}

#[tokio::test]
async fn pictures_are_compared_with_texts() {
    let server = TestServer::start().await;
    let prompts = ["a face", "uneven teeth", "얼굴"];
    let inputs = vec![strings("TEXT", &prompts), strings("IMAGE", &[png(0), png(1)])];
    let answer = client(&server).await.model_infer(request("clip_similarity", inputs)).await;
    let answer = answer.unwrap().into_inner();
    for name in ["COSINE", "LOGIT", "SOFTMAX", "CONTRAST"] {
        assert_eq!(output(&answer, name).0, [2, 3], "{name}");
    }
    for row in floats(&answer, "SOFTMAX").chunks_exact(3) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
    }
    let mut own = server.client().await;
    for kind in 0..2 {
        let request = v1::VerifyRequest {
            image: encoded(png(kind)),
            similarity: similarity(&prompts),
            ..Default::default()
        };
        let scores = own.verify(request).await.unwrap().into_inner().similarity.unwrap().scores;
        let row = kind as usize * 3..(kind as usize + 1) * 3;
        let check = |name: &str, value: fn(&v1::Score) -> f32| {
            let expected: Vec<f32> = scores.iter().map(value).collect();
            assert_near(&floats(&answer, name)[row.clone()], &expected);
        };
        check("COSINE", |score| score.cosine);
        check("LOGIT", |score| score.logit);
        check("CONTRAST", |score| score.contrast);
    }
}

#[tokio::test]
async fn heatmaps_are_models() {
    let server = TestServer::start().await;
    let prompts = ["a face", "uneven teeth"];
    let side = GRID as i64;
    for (model, method) in [
        ("clip_grad_eclip", v1::HeatmapMethod::GradEclip),
        ("clip_direct_effect", v1::HeatmapMethod::DirectEffect),
    ] {
        let inputs = vec![strings("IMAGE", &[png(0), png(1)]), strings("TEXT", &prompts)];
        let answer = client(&server).await.model_infer(request(model, inputs)).await;
        let answer = answer.unwrap().into_inner();
        assert_eq!(output(&answer, "HEATMAP").0, [2, 2, side, side], "{model}");
        assert_eq!(output(&answer, "AREA").0, [2, 4]);
        assert_eq!(words(&answer, "QUALITY").len(), 4);
        let maps = floats(&answer, "HEATMAP");
        let request = v1::ExplainRequest {
            image: encoded(png(1)),
            heatmaps: Some(v1::HeatmapQuery {
                prompts: texts(&prompts),
                methods: vec![method.into()],
                ..Default::default()
            }),
        };
        let explained = server.client().await.explain(request).await.unwrap().into_inner();
        let expected = explained.heatmaps.unwrap().heatmaps;
        let of_second = maps[2 * GRID * GRID..].chunks_exact(GRID * GRID);
        for (map, expected) in of_second.zip(&expected) {
            let Some(v1::heatmap::Content::Tensor(tensor)) = &expected.content else {
                panic!("{expected:?}")
            };
            assert_near(map, &support::floats(tensor));
        }
        let area = expected[0].area.unwrap();
        assert_near(&floats(&answer, "AREA")[4..], &[area.x1, area.y1, area.x2, area.y2]);
        assert_near(
            &floats(&answer, "CONTRAST")[2..],
            &[expected[0].contrast, expected[1].contrast],
        );
    }
}

#[tokio::test]
async fn boxes_of_all_pictures_come_in_one_list() {
    let server = TestServer::start().await;
    let ask = request("yolo", vec![strings("IMAGE", &[png(0), png(1)])]);
    let ask = with(ask, "min_confidence", ParameterChoice::DoubleParam(0.0));
    let ask = with(ask, "max_detections", ParameterChoice::Int64Param(5));
    let mut client = client(&server).await;
    let answer = client.model_infer(ask.clone()).await.unwrap().into_inner();
    let pictures = integers(&answer, "IMAGE_INDEX");
    let of_second = pictures.iter().position(|picture| *picture == 1).unwrap();
    assert!(pictures.is_sorted() && pictures.len() <= 10, "{pictures:?}");
    let (boxes, scores) = (floats(&answer, "BOXES"), floats(&answer, "SCORES"));
    assert_eq!(output(&answer, "BOXES").0, [pictures.len() as i64, 4]);
    let labels = words(&answer, "LABELS");
    for (class, label) in integers(&answer, "CLASSES").into_iter().zip(&labels) {
        assert_eq!(CLASSES[class as usize], label);
    }
    let request = v1::DetectRequest { image: encoded(png(1)), detection: support::detection() };
    let found = server.client().await.detect(request).await.unwrap().into_inner();
    for (at, expected) in (of_second..).zip(found.detection.unwrap().detections) {
        let edges = expected.r#box.unwrap();
        assert_near(&boxes[at * 4..at * 4 + 4], &[edges.x1, edges.y1, edges.x2, edges.y2]);
        assert!((scores[at] - expected.confidence).abs() < 1e-4);
        assert_eq!(labels[at], expected.label);
    }
    // No box at all is an answer too.
    let none = with(ask, "min_confidence", ParameterChoice::DoubleParam(1.0));
    let answer = client.model_infer(none).await.unwrap().into_inner();
    assert_eq!(output(&answer, "BOXES"), (&[0, 4][..], &Bytes::new()));
    assert_eq!(words(&answer, "LABELS"), [""; 0]);
}

#[tokio::test]
async fn outputs_are_those_asked_for_in_the_form_asked_for() {
    let server = TestServer::start().await;
    let asked =
        |name: &str| InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() };
    let mut ask = request("clip_text", vec![strings("TEXT", &["a face"])]);
    ask.id = "request 7".to_owned();
    ask.outputs = vec![asked("TRUNCATED"), asked("EMBEDDING")];
    let mut client = client(&server).await;
    let raw = client.model_infer(ask.clone()).await.unwrap().into_inner();
    assert_eq!((raw.id.as_str(), raw.model_name.as_str()), ("request 7", "clip_text"));
    assert_eq!(raw.model_version, "1");
    let names: Vec<&str> = raw.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["TRUNCATED", "EMBEDDING"]);
    assert!(raw.outputs.iter().all(|output| output.contents.is_none()));

    let ask = with(ask, "binary_data_output", ParameterChoice::BoolParam(false));
    let typed = client.model_infer(ask).await.unwrap().into_inner();
    assert!(typed.raw_output_contents.is_empty());
    let contents: Vec<_> =
        typed.outputs.iter().map(|output| output.contents.clone().unwrap()).collect();
    assert_eq!(contents[0].bool_contents, [false]);
    assert_near(&contents[1].fp32_contents, &floats(&raw, "EMBEDDING"));
}
