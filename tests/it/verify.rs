//! The unary calls over the wire: what is asked is answered, and nothing else.

use tonic::Request;
use veriframe::proto::v1;

use crate::support::{
    CLASSES, EMBEDDING, GRID, SIZE, TestServer, detection, encoded, floats, good, jpeg, pixels,
    png, raw, similarity, texts,
};

fn heatmaps(prompts: &[&str]) -> Option<v1::HeatmapQuery> {
    Some(v1::HeatmapQuery { prompts: texts(prompts), ..Default::default() })
}

fn regions(prompts: &[&str]) -> Option<v1::RegionQuery> {
    Some(v1::RegionQuery { prompts: texts(prompts), max_regions: Some(2), ..Default::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_is_answered_only_where_it_is_asked() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let prompts = ["a face", "uneven teeth"];
    for asked in 1..16 {
        let [scores, boxes, crops, maps] = [1, 2, 4, 8].map(|bit| asked & bit != 0);
        let request = v1::VerifyRequest {
            image: encoded(png(0)),
            similarity: similarity(&prompts).filter(|_| scores),
            detection: detection().filter(|_| boxes),
            regions: regions(&prompts).filter(|_| crops),
            heatmaps: heatmaps(&prompts).filter(|_| maps),
        };
        let answer = client.verify(request).await.unwrap().into_inner();
        let present = (
            answer.similarity.is_some(),
            answer.detection.is_some(),
            answer.regions.is_some(),
            answer.heatmaps.is_some(),
        );
        assert_eq!(present, (scores, boxes, crops, maps));
        let size = answer.frame_size.unwrap();
        assert_eq!((size.width, size.height), SIZE);
        let timing = answer.timing.unwrap();
        assert!(timing.total.unwrap().nanos > 0 && timing.inference.unwrap().nanos > 0);
        assert_eq!(timing.explain.unwrap().nanos > 0, maps);
        assert!(timing.batch_size >= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_agree_with_one_another_and_with_the_embeddings() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let prompts = ["a face", "uneven teeth", "얼굴"];
    let request = v1::VerifyRequest { similarity: similarity(&prompts), ..good() };
    let scores = client.verify(request).await.unwrap().into_inner().similarity.unwrap();
    let request =
        v1::EmbedRequest { image: encoded(png(0)), texts: texts(&prompts), ..Default::default() };
    let places = client.embed(request).await.unwrap().into_inner();
    let models = client.list_models(v1::ListModelsRequest {}).await.unwrap().into_inner().models;
    assert_eq!(scores.model, places.model);
    assert_eq!(scores.model, models[0].identity);
    assert_eq!(scores.null_prompts.len(), 6);

    let image = floats(&places.image.unwrap());
    assert_eq!(image.len(), EMBEDDING);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    assert!((dot(&image, &image) - 1.0).abs() < 1e-5);
    assert_eq!(places.texts.len(), prompts.len());
    for (score, text) in scores.scores.iter().zip(&places.texts) {
        let text_vector = floats(text.embedding.as_ref().unwrap());
        assert!((score.cosine - dot(&image, &text_vector)).abs() < 1e-5, "{score:?}");
        assert!((score.logit - score.cosine * models[0].logit_scale).abs() < 1e-4, "{score:?}");
        assert_eq!((score.tokens, score.truncated), (text.tokens, false));
    }
    let asked: Vec<&str> = scores.scores.iter().map(|score| score.prompt.as_str()).collect();
    assert_eq!(asked, prompts);
    assert!((scores.scores.iter().map(|score| score.softmax).sum::<f32>() - 1.0).abs() < 1e-5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_prompt_is_cut_and_the_answer_says_so() {
    let server = TestServer::start().await;
    let long = "teeth ".repeat(200);
    let request = v1::VerifyRequest { similarity: similarity(&[&long]), ..good() };
    let answer = server.client().await.verify(request).await.unwrap().into_inner();
    let score = &answer.similarity.unwrap().scores[0];
    assert!(score.truncated && score.tokens >= 202, "{score:?}");
    assert_eq!(score.prompt, long);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_pixels_score_as_the_same_picture_encoded() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let (width, height) = SIZE;
    let reversed: Vec<u8> =
        pixels(0).chunks_exact(3).flat_map(|rgb| [rgb[2], rgb[1], rgb[0]]).collect();
    let padded: Vec<u8> = pixels(0)
        .chunks_exact(width as usize * 3)
        .flat_map(|row| row.iter().copied().chain([9; 16]))
        .collect();
    let frame = |format: v1::PixelFormat, stride, data: Vec<u8>| {
        raw(v1::RawImage { format: format.into(), width, height, stride, data: data.into() })
    };
    let images = [
        encoded(png(0)),
        frame(v1::PixelFormat::Rgb8, 0, pixels(0)),
        frame(v1::PixelFormat::Bgr8, 0, reversed),
        frame(v1::PixelFormat::Rgb8, width * 3 + 16, padded),
    ];
    let mut cosines = Vec::new();
    for image in images {
        let request = v1::VerifyRequest { image, ..good() };
        let answer = client.verify(request).await.unwrap().into_inner();
        cosines.push(answer.similarity.unwrap().scores[0].cosine);
    }
    assert!(cosines.iter().all(|cosine| (cosine - cosines[0]).abs() < 1e-6), "{cosines:?}");
    let nv12 = frame(v1::PixelFormat::Nv12, 0, vec![128; (width * height * 3 / 2) as usize]);
    let request = v1::VerifyRequest { image: nv12, ..good() };
    assert!(client.verify(request).await.is_ok());
    let request = v1::VerifyRequest { image: encoded(jpeg(0)), ..good() };
    assert!(client.verify(request).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn boxes_lie_in_the_frame_with_their_labels() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let request = v1::DetectRequest { image: encoded(png(0)), detection: detection() };
    let found = client.detect(request).await.unwrap().into_inner().detection.unwrap();
    assert_eq!(found.model.unwrap().name, "yolo");
    assert!((1..=5).contains(&found.detections.len()));
    for found in &found.detections {
        assert_eq!(found.label, CLASSES[found.class_index as usize]);
        let edges = found.r#box.unwrap();
        assert!(0.0 <= edges.x1 && edges.x1 <= edges.x2 && edges.x2 <= SIZE.0 as f32, "{edges:?}");
        assert!(0.0 <= edges.y1 && edges.y1 <= edges.y2 && edges.y2 <= SIZE.1 as f32, "{edges:?}");
    }
    assert!(found.detections.is_sorted_by(|a, b| a.confidence >= b.confidence));
    let only = Some(v1::DetectionQuery { classes: texts(&["ear"]), ..detection().unwrap() });
    let request = v1::DetectRequest { image: encoded(png(0)), detection: only };
    let found = client.detect(request).await.unwrap().into_inner().detection.unwrap();
    assert!(found.detections.iter().all(|found| found.label == "ear"));
    // By the default threshold random weights see nothing, and say so.
    let request = v1::DetectRequest { image: encoded(png(0)), detection: None };
    assert!(client.detect(request).await.unwrap().into_inner().detection.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_take_the_prompts_of_the_similarity_part() {
    let server = TestServer::start().await;
    let request = v1::VerifyRequest {
        detection: detection(),
        regions: Some(v1::RegionQuery { max_regions: Some(3), ..Default::default() }),
        ..good()
    };
    let answer = server.client().await.verify(request).await.unwrap().into_inner();
    let found = answer.detection.unwrap().detections;
    let regions = answer.regions.unwrap();
    assert_eq!(regions.regions.len(), found.len().min(3));
    assert_eq!(
        (regions.model.unwrap().name, regions.detector.unwrap().name),
        ("clip".into(), "yolo".into())
    );
    for (region, found) in regions.regions.iter().zip(&found) {
        assert_eq!(region.detection.as_ref(), Some(found));
        let prompts: Vec<&str> = region.scores.iter().map(|score| score.prompt.as_str()).collect();
        assert_eq!(prompts, ["a face", "uneven teeth"]);
        let (inner, crop) = (found.r#box.unwrap(), region.crop.unwrap());
        assert!(crop.x1 <= inner.x1 && crop.y1 <= inner.y1, "{crop:?} {inner:?}");
        assert!(crop.x2 >= inner.x2 && crop.y2 >= inner.y2, "{crop:?} {inner:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heatmaps_come_in_the_size_and_encoding_asked_for() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let frame = [SIZE.1, SIZE.0].map(|side| side as usize);
    let grid = [GRID, GRID];
    let (small, large) = (v1::HeatmapResolution::Grid, v1::HeatmapResolution::Image);
    for (resolution, encoding, shape, bytes) in [
        (small, v1::HeatmapEncoding::F32, grid, 4),
        (small, v1::HeatmapEncoding::F16, grid, 2),
        (small, v1::HeatmapEncoding::U8, grid, 1),
        (large, v1::HeatmapEncoding::F32, frame, 4),
        (large, v1::HeatmapEncoding::U8, frame, 1),
    ] {
        let query = v1::HeatmapQuery {
            resolution: resolution.into(),
            encoding: encoding.into(),
            ..heatmaps(&["a face"]).unwrap()
        };
        let request = v1::ExplainRequest { image: encoded(png(0)), heatmaps: Some(query) };
        let maps = client.explain(request).await.unwrap().into_inner().heatmaps.unwrap();
        let Some(v1::heatmap::Content::Tensor(tensor)) = &maps.heatmaps[0].content else {
            panic!("{encoding:?} is a tensor");
        };
        assert_eq!(tensor.shape, shape.map(|side| side as u32), "{encoding:?}");
        assert_eq!(tensor.data.len(), shape[0] * shape[1] * bytes, "{encoding:?}");
    }
    let query = v1::HeatmapQuery {
        encoding: v1::HeatmapEncoding::PngOverlay.into(),
        ..heatmaps(&["a face"]).unwrap()
    };
    let request = v1::ExplainRequest { image: encoded(png(0)), heatmaps: Some(query) };
    let maps = client.explain(request).await.unwrap().into_inner().heatmaps.unwrap();
    let Some(v1::heatmap::Content::Png(bytes)) = &maps.heatmaps[0].content else {
        panic!("an overlay is a PNG");
    };
    let overlay = image::load_from_memory(bytes).unwrap();
    assert_eq!((overlay.width(), overlay.height()), SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_map_tells_its_method_place_and_worth() {
    let server = TestServer::start().await;
    let methods = [v1::HeatmapMethod::GradEclip, v1::HeatmapMethod::DirectEffect];
    let request = v1::VerifyRequest {
        heatmaps: Some(v1::HeatmapQuery {
            methods: methods.map(Into::into).to_vec(),
            ..Default::default()
        }),
        ..good()
    };
    let answer = server.client().await.verify(request).await.unwrap().into_inner();
    let scores = answer.similarity.unwrap().scores;
    let maps = answer.heatmaps.unwrap().heatmaps;
    let order: Vec<_> = maps.iter().map(|map| (map.prompt.as_str(), map.method())).collect();
    let expected: Vec<_> = ["a face", "uneven teeth"]
        .into_iter()
        .flat_map(|prompt| methods.map(|method| (prompt, method)))
        .collect();
    assert_eq!(order, expected);
    for (map, score) in maps.iter().zip(scores.iter().flat_map(|score| [score; 2])) {
        assert!((map.contrast - score.contrast).abs() < 1e-5, "{map:?} {score:?}");
        assert!(map.layer.starts_with("vision_model.encoder.layers."), "{}", map.layer);
        assert_ne!(map.quality(), v1::HeatmapQuality::Unspecified);
        let statistics = map.statistics.unwrap();
        assert!(statistics.min <= statistics.mean && statistics.mean <= statistics.max);
        // The grid's corner in the frame, by the transform.
        let (transform, area) = (map.transform.unwrap(), map.area.unwrap());
        assert!((area.x1 * transform.scale_x + transform.offset_x).abs() < 1e-3);
        assert!((area.y1 * transform.scale_y + transform.offset_y).abs() < 1e-3);
        let shares = map.accounting;
        assert_eq!(shares.is_some(), map.method() == v1::HeatmapMethod::DirectEffect);
        if let Some(shares) = shares {
            let total = shares.patches + shares.class_token + shares.biases + shares.mlps;
            let total = total + shares.embedding + shares.norm_bias;
            assert!((total - shares.score).abs() < 1e-4, "{shares:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_are_listed_and_the_callers_id_comes_back() {
    let server = TestServer::start().await;
    let mut request = Request::new(v1::ListModelsRequest {});
    request.metadata_mut().insert("x-request-id", "abc-7".parse().unwrap());
    let response = server.client().await.list_models(request).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "abc-7");
    let models = response.into_inner().models;
    let told: Vec<_> = models.iter().map(|model| (model.kind(), model.embedding_width)).collect();
    assert_eq!(told, [(v1::ModelKind::Clip, EMBEDDING as u32), (v1::ModelKind::Detector, 0)]);
    assert_eq!(models[1].classes, CLASSES);
    for model in &models {
        assert_eq!(model.identity.as_ref().unwrap().checksum.len(), 64);
    }
}
