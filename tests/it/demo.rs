//! The demo's report tells what the wire told: a server of this file's answers each prompt's map with
//! a status of its own, and the page must say so.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use veriframe::proto::v1;
use veriframe::proto::v1::HeatmapQuality as Quality;
use veriframe::proto::v1::verification_service_server::{
    VerificationService, VerificationServiceServer,
};
use veriframe::proto::v1::verify_stream_request::Message;

/// Of each prompt's map, in the order of the demo's prompts: the status and the chance of a hit that
/// the wire tells; then the badge and the class that the page must give it.
const MAPS: [(Quality, Option<f32>, &str, &str); 7] = [
    (Quality::Ok, Some(0.83), "usable", "sound"),
    (Quality::Constant, None, "no map", "void"),
    (Quality::NotSpecific, Some(0.91), "not about this prompt", "void"),
    (Quality::WeakClaim, Some(0.07), "probably not there", "doubtful"),
    (Quality::Unfaithful, Some(0.55), "does not explain the score", "doubtful"),
    (Quality::UnderResolved, None, "too coarse", "doubtful"),
    (Quality::Ok, Some(0.31), "place unsure", "doubtful"),
];

/// Standard deviations of the prompts above words that say nothing.
const CLAIM: f32 = 2.4;

/// Answers streams, and nothing else.
struct Told;

type Stream = futures::stream::BoxStream<'static, Result<v1::VerifyStreamResponse, Status>>;

#[tonic::async_trait]
impl VerificationService for Told {
    type VerifyStreamStream = Stream;

    async fn verify_stream(
        &self,
        request: Request<Streaming<v1::VerifyStreamRequest>>,
    ) -> Result<Response<Stream>, Status> {
        let mut prompts = Vec::new();
        let answers = request.into_inner().filter_map(move |asked| {
            let answer = asked.map(|asked| match asked.message {
                Some(Message::Config(config)) => {
                    prompts = config.heatmaps.unwrap().prompts;
                    None
                }
                Some(Message::Frame(frame)) => Some(answer(frame.sequence, &prompts)),
                None => None,
            });
            std::future::ready(answer.transpose())
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn verify(
        &self,
        _: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        Err(Status::unimplemented("verify"))
    }

    async fn embed(
        &self,
        _: Request<v1::EmbedRequest>,
    ) -> Result<Response<v1::EmbedResponse>, Status> {
        Err(Status::unimplemented("embed"))
    }

    async fn detect(
        &self,
        _: Request<v1::DetectRequest>,
    ) -> Result<Response<v1::DetectResponse>, Status> {
        Err(Status::unimplemented("detect"))
    }

    async fn explain(
        &self,
        _: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        Err(Status::unimplemented("explain"))
    }

    async fn list_models(
        &self,
        _: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        Err(Status::unimplemented("list_models"))
    }
}

/// The result of a frame: for each prompt a map of the same heat, and what [`MAPS`] says of it.
fn answer(sequence: u64, prompts: &[String]) -> v1::VerifyStreamResponse {
    let heat = [0.0f32, 0.0, 0.0, 1.0].iter().flat_map(|value| value.to_le_bytes());
    let tensor = v1::Tensor {
        shape: vec![2, 2],
        data: heat.collect::<Vec<u8>>().into(),
        ..Default::default()
    };
    let area = v1::BoundingBox { x1: 0.0, y1: 0.0, x2: SIDE_PX as f32, y2: SIDE_PX as f32 };
    let map =
        |(prompt, (quality, hit_probability, ..)): (&String, (Quality, _, _, _))| v1::Heatmap {
            prompt: prompt.clone(),
            content: Some(v1::heatmap::Content::Tensor(tensor.clone())),
            area: Some(area),
            quality: quality.into(),
            hit_probability,
            claim: Some(CLAIM),
            ..Default::default()
        };
    let heatmaps = prompts.iter().zip(MAPS).map(map).collect();
    let timing = v1::Timing { total: Some(prost_types::Duration::default()), ..Default::default() };
    let answer = v1::VerifyResponse {
        heatmaps: Some(v1::HeatmapResult { heatmaps, ..Default::default() }),
        timing: Some(timing),
        frame_size: Some(v1::ImageSize { width: SIDE_PX, height: SIDE_PX }),
        ..Default::default()
    };
    let outcome = Some(v1::frame_result::Outcome::Ok(answer));
    let result = v1::FrameResult { sequence, outcome, ..Default::default() };
    let message = Some(v1::verify_stream_response::Message::Result(result));
    v1::VerifyStreamResponse { message }
}

/// Side of the clip's frames.
const SIDE_PX: u32 = 64;

fn demo(address: &str, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
    command.args(["demo", "--server", address, "--seconds", "1", "--fps", "20", "--out"]).arg(out);
    command.args(["--side-px", &SIDE_PX.to_string()]).output().unwrap()
}

/// Whether any pixel of the figure's picture has a colour.
fn is_coloured(figure: &str) -> bool {
    let (_, data) = figure.split_once("src=\"data:image/png;base64,").unwrap();
    let (data, _) = data.split_once('"').unwrap();
    let png = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
    let picture = image::load_from_memory(&png).unwrap().to_rgb8();
    picture.pixels().any(|pixel| pixel.0 != [pixel.0[0]; 3])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_says_of_every_map_what_the_wire_told() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = VerificationServiceServer::new(Told);
    let served = Server::builder().add_service(service);
    let server = tokio::spawn(served.serve_with_incoming(TcpListenerStream::new(listener)));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_owned();
    let output = tokio::task::spawn_blocking(move || demo(&address, &out)).await.unwrap();
    server.abort();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");

    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    let figures: Vec<&str> = page.split("<figure").skip(1).collect();
    // Each prompt where its cue is drawn, then each where it is not.
    assert_eq!(figures.len(), 2 * MAPS.len());
    for (figure, (quality, told, badge, class)) in figures.iter().zip([MAPS, MAPS].concat()) {
        let text = figure.split_once("<figcaption>").unwrap().1;
        assert!(figure.starts_with(&format!(" class=\"{class}\"")), "{badge}: {text}");
        assert!(text.contains(&format!(">{badge}</b>")), "{badge}: {text}");
        let status = quality.as_str_name().strip_prefix("HEATMAP_QUALITY_").unwrap();
        assert!(text.contains(&format!("title=\"status {status}, ")), "{badge}: {text}");
        let chance = told.map(|told| format!("is right: {:.0}%<", 100.0 * told));
        match chance.filter(|_| class != "void") {
            Some(chance) => assert!(text.contains(&chance), "{badge}: {text}"),
            None => assert!(!text.contains("is right: ") || text.contains("not known"), "{text}"),
        }
        assert!(text.contains("2.4 σ above words that say nothing"), "{badge}: {text}");
        assert_eq!(is_coloured(figure), class != "void", "{badge}");
    }
    // The tables count them: on the page by their doubts too, for which a terminal is not wide enough.
    assert!(page.contains("probably not there: "));
    for text in [page.as_str(), &said] {
        assert!(text.contains("83%"), "{text}");
    }
    let widest = said.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest < 160, "{widest} characters: {said}");
}
