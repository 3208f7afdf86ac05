//! Bad input over the wire: the right code, the field, the value, the limit; and a server that
//! answers the next request.

use tonic::{Code, Status};
use tonic_types::StatusExt;
use veriframe::proto::v1;
use veriframe::server::Config;

use crate::support::{
    Client, TestServer, assert_refused, encoded, good, jpeg, png, raw, similarity, texts,
};

async fn refusal(client: &mut Client, request: v1::VerifyRequest) -> Status {
    let status = client.verify(request).await.unwrap_err();
    let next = client.verify(good()).await;
    assert!(next.is_ok(), "after {status:?} came {next:?}");
    status
}

async fn check(cases: Vec<(v1::VerifyRequest, &str, &str)>) {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    for (request, field, part) in cases {
        assert_refused(&refusal(&mut client, request).await, field, part);
    }
}

/// A PNG whose header tells a size; there is no data for it.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(0);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&bytes[12..29]).to_be_bytes();
    bytes[29..33].copy_from_slice(&checksum);
    bytes
}

/// The checksum of a PNG's chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_none_is_refused() {
    let with = |image| v1::VerifyRequest { image, ..good() };
    let (whole_png, whole_jpeg) = (png(0), jpeg(0));
    let mut corrupt_png = whole_png.clone();
    let middle = corrupt_png.len() / 2;
    corrupt_png[middle] ^= 0xff;
    let mut corrupt_jpeg = whole_jpeg.clone();
    corrupt_jpeg[2..40].fill(0);
    check(vec![
        (with(None), "image", "is required"),
        (with(Some(v1::Image { content: None })), "image", "is required"),
        (with(encoded(Vec::new())), "image", "there are no bytes"),
        (with(encoded(vec![7; 500])), "image", "JPEG, PNG, WebP"),
        (with(encoded(whole_jpeg[..whole_jpeg.len() - 40].to_vec())), "image", "cannot decode"),
        (with(encoded(whole_png[..whole_png.len() / 2].to_vec())), "image", "cannot decode"),
        (with(encoded(corrupt_png)), "image", "cannot decode"),
        (with(encoded(corrupt_jpeg)), "image", "cannot decode"),
        (with(encoded(png_of(60_000, 60_000))), "image", "width in pixels is 60000, limit 16384"),
        (with(encoded(png_of(16_000, 16_000))), "image", "is 256000000, limit 64000000"),
        (with(encoded(vec![0; 17 << 20])), "image", "is 17825792, limit 16777216"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_pixels_that_do_not_fit_are_refused() {
    let with = |format: i32, width, height, stride, bytes: usize| v1::VerifyRequest {
        image: raw(v1::RawImage { format, width, height, stride, data: vec![1; bytes].into() }),
        ..good()
    };
    check(vec![
        (with(1, 10, 10, 0, 299), "image", "needs 300 bytes, got 299"),
        (with(1, 10, 10, 0, 0), "image", "needs 300 bytes, got 0"),
        (with(1, 0, 10, 0, 0), "image", "picture is 0x10 px"),
        (with(1, 10, 10, 29, 300), "image", "stride is 29 bytes"),
        (with(4, 10, 10, 0, 149), "image", "needs 150 bytes, got 149"),
        (with(1, 60_000, 60_000, 0, 10), "image", "width in pixels is 60000, limit 16384"),
        (with(0, 10, 10, 0, 300), "image.raw.format", "is required"),
        (with(77, 10, 10, 0, 300), "image.raw.format", "is 77"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_beyond_the_limits_are_refused() {
    let with = |prompts: Vec<String>| v1::VerifyRequest {
        similarity: Some(v1::SimilarityQuery { prompts, ..Default::default() }),
        ..good()
    };
    let nulls = v1::VerifyRequest {
        similarity: Some(v1::SimilarityQuery {
            prompts: texts(&["a"]),
            null_prompts: vec!["b".to_owned(); 65],
            ..Default::default()
        }),
        ..good()
    };
    let long = "x".repeat(5000);
    check(vec![
        (with(Vec::new()), "similarity.prompts", "at least 1 prompt"),
        (with(vec!["a".to_owned(); 10_000]), "similarity.prompts", "has 10000 items, limit 256"),
        (with(texts(&["a", ""])), "similarity.prompts[1]", "must not be empty"),
        (
            with(texts(&["a", "b", &long])),
            "similarity.prompts[2]",
            "is 5000 bytes long, limit 4096",
        ),
        (nulls, "similarity.null_prompts", "has 65 items, limit 64"),
        (
            v1::VerifyRequest { similarity: None, ..good() },
            "similarity",
            "nothing is asked: set similarity, detection, regions or heatmaps",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_out_of_range_are_refused() {
    let boxes = |query| v1::VerifyRequest { detection: Some(query), ..good() };
    let crops = |query| v1::VerifyRequest { regions: Some(query), ..good() };
    let maps = |query| v1::VerifyRequest { heatmaps: Some(query), ..good() };
    let detection = v1::DetectionQuery::default;
    let regions = v1::RegionQuery::default;
    let heatmaps = v1::HeatmapQuery::default;
    check(vec![
        (
            boxes(v1::DetectionQuery { min_confidence: Some(f32::NAN), ..detection() }),
            "detection.min_confidence",
            "is NaN, must be 0 to 1",
        ),
        (
            boxes(v1::DetectionQuery { iou_threshold: Some(1.5), ..detection() }),
            "detection.iou_threshold",
            "is 1.5, must be 0 to 1",
        ),
        (
            boxes(v1::DetectionQuery { max_detections: Some(0), ..detection() }),
            "detection.max_detections",
            "is 0, must be 1 to 1000",
        ),
        (
            crops(v1::RegionQuery { margin_ratio: Some(f32::INFINITY), ..regions() }),
            "regions.margin_ratio",
            "is inf, must be 0 to 1",
        ),
        (
            crops(v1::RegionQuery { max_regions: Some(257), ..regions() }),
            "regions.max_regions",
            "is 257, must be 1 to 256",
        ),
        (
            maps(v1::HeatmapQuery { methods: vec![1, 1], ..heatmaps() }),
            "heatmaps.methods[1]",
            "repeats grad_eclip",
        ),
        (
            maps(v1::HeatmapQuery { methods: vec![42], ..heatmaps() }),
            "heatmaps.methods[0]",
            "is 42",
        ),
        (maps(v1::HeatmapQuery { encoding: 42, ..heatmaps() }), "heatmaps.encoding", "is 42"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_class_is_refused_with_those_there_are() {
    let server = TestServer::start().await;
    let request = v1::VerifyRequest {
        detection: Some(v1::DetectionQuery { classes: texts(&["wheel"]), ..Default::default() }),
        ..good()
    };
    let status = refusal(&mut server.client().await, request).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("wheel") && status.message().contains("mouth"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_is_not_found_and_those_there_are_are_named() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let model = Some("gpt".to_owned());
    let clip = v1::SimilarityQuery { model: model.clone(), ..similarity(&["a"]).unwrap() };
    let yolo = v1::DetectionQuery { model, ..Default::default() };
    for (request, known) in [
        (v1::VerifyRequest { similarity: Some(clip), ..good() }, "clip"),
        (v1::VerifyRequest { detection: Some(yolo), ..good() }, "yolo"),
    ] {
        let status = refusal(&mut client, request).await;
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().contains(known), "{status:?}");
        let details = status.get_error_details();
        assert_eq!(details.resource_info().unwrap().resource_name, "gpt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_calls_refuse_as_verify_does() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let status = client.embed(v1::EmbedRequest::default()).await.unwrap_err();
    assert_refused(&status, "image", "nothing is asked");
    let many = v1::EmbedRequest { texts: vec!["a".to_owned(); 257], ..Default::default() };
    assert_refused(&client.embed(many).await.unwrap_err(), "texts", "has 257 items, limit 256");
    let status = client.detect(v1::DetectRequest::default()).await.unwrap_err();
    assert_refused(&status, "image", "is required");
    let promptless = v1::ExplainRequest { image: encoded(png(0)), heatmaps: None };
    let status = client.explain(promptless).await.unwrap_err();
    assert_refused(&status, "heatmaps.prompts", "at least 1 prompt");
    assert!(client.verify(good()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn heatmaps_that_would_weigh_too_much_are_refused_before_they_are_made() {
    let mut config = Config::default();
    config.request_limits.max_heatmap_bytes = 10_000;
    let server = TestServer::with(config).await;
    let request = v1::VerifyRequest {
        heatmaps: Some(v1::HeatmapQuery {
            resolution: v1::HeatmapResolution::Image.into(),
            ..Default::default()
        }),
        ..good()
    };
    let status = refusal(&mut server.client().await, request).await;
    assert_refused(&status, "heatmaps", "2 maps of 48x36 px weigh 13824 bytes, limit 10000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_limit_is_refused_and_the_next_one_is_served() {
    let server = TestServer::with(Config { max_message_bytes: 100_000, ..Config::default() }).await;
    let request = v1::VerifyRequest { image: encoded(vec![0; 200_000]), ..good() };
    let status = refusal(&mut server.client().await, request).await;
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("100000"), "{status:?}");
}
