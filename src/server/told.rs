//! A stream of responses that owns the task which makes them.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Status;

use super::status::panicked;

/// What the client gets: the responses, then the status that the task ends with, where it is not
/// OK. Dropped, it ends the task with all its work.
pub(super) fn told<T: Send + 'static>(
    responses: mpsc::Receiver<T>,
    task: JoinSet<Option<Status>>,
) -> BoxStream<'static, Result<T, Status>> {
    stream::unfold(Told::Responses { responses, task }, Told::next).boxed()
}

/// What is still to be told.
enum Told<T> {
    Responses { responses: mpsc::Receiver<T>, task: JoinSet<Option<Status>> },
    Nothing,
}

impl<T> Told<T> {
    async fn next(self) -> Option<(Result<T, Status>, Self)> {
        let Self::Responses { mut responses, mut task } = self else { return None };
        if let Some(response) = responses.recv().await {
            return Some((Ok(response), Self::Responses { responses, task }));
        }
        // The task has let go of its end, so it has ended; in a panic, if it says nothing.
        let status =
            task.join_next().await.and_then(Result::ok).unwrap_or_else(|| Some(panicked()));
        Some((Err(status?), Self::Nothing))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    /// What a client gets of a task that sends one response and then does `end`.
    async fn after(end: impl FnOnce() -> Option<Status> + Send + 'static) -> Vec<Option<Code>> {
        let (sender, responses) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(async move {
            sender.send(()).await.unwrap();
            end()
        });
        let told: Vec<_> = told(responses, task).collect().await;
        told.into_iter().map(|said| said.err().map(|status| status.code())).collect()
    }

    #[tokio::test]
    async fn the_task_s_status_comes_last_and_a_panic_is_internal() {
        assert_eq!(after(|| None).await, [None]);
        let aborted = after(|| Some(Status::aborted("no"))).await;
        assert_eq!(aborted, [None, Some(Code::Aborted)]);
        assert_eq!(after(|| panic!("it broke")).await, [None, Some(Code::Internal)]);
    }
}
