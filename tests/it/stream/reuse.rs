//! Frames of a still scene answered with an earlier result.

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use veriframe::engine;
use veriframe::proto::v1;
use veriframe::proto::v1::frame_result::Outcome;
use veriframe::server::Config;

use super::{Device, Incoming, config, configured, grey, rest, result};

/// A stream whose every result is awaited before the next frame is sent.
struct Stepped {
    sender: mpsc::Sender<v1::VerifyStreamRequest>,
    responses: Incoming,
    next: u64,
}

impl Stepped {
    /// Sends a frame of one grey; the frame that its result was computed for.
    async fn step(&mut self, value: u8) -> u64 {
        self.next += 1;
        self.sender.send(grey(self.next, value)).await.unwrap();
        let result = result(self.responses.next().await);
        assert_eq!(result.sequence, self.next);
        let Some(Outcome::Ok(answer)) = &result.outcome else { panic!("{result:?}") };
        let timing = answer.timing.unwrap();
        assert_eq!(timing.batch_size == 0, result.reused_from.is_some());
        assert!(timing.total.is_some() && timing.decode.is_some());
        assert_eq!(answer.similarity.as_ref().unwrap().scores.len(), 1);
        result.reused_from.unwrap_or(self.next)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_hardly_differs_is_answered_with_the_last_computed_result() {
    let device = Device::default();
    let server = device.server(Config::default(), engine::Config::default()).await;
    let asked = v1::StreamConfig {
        reuse: Some(v1::Reuse { max_frames: Some(3), ..Default::default() }),
        ..config()
    };
    let (sender, receiver) = mpsc::channel(4);
    sender.send(configured(asked.clone())).await.unwrap();
    let responses = server.client().await.verify_stream(ReceiverStream::new(receiver)).await;
    let responses = responses.unwrap().into_inner().boxed();
    let mut stream = Stepped { sender, responses, next: 0 };
    let mut computed_for = Vec::new();
    // A scene that drifts by 2 of 255 a frame, then jumps, then stands still.
    for value in [100, 102, 104, 106, 108, 200, 200, 200, 200, 200] {
        computed_for.push(stream.step(value).await);
    }
    assert_eq!(computed_for, [1, 1, 1, 4, 4, 6, 6, 6, 6, 10]);
    stream.sender.send(configured(asked)).await.unwrap();
    assert_eq!(stream.step(200).await, 11, "another configuration begins anew");
    assert_eq!(device.items(), 5);
    drop(stream.sender);
    let summary = rest(stream.responses).await.summary.unwrap();
    assert_eq!((summary.frames, summary.ok, summary.reused), (11, 11, 6));
}
