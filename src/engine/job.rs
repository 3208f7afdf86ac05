//! One item on its way: its input, and the reply it carries with it.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{BatchModel, Claim, EngineError};

/// An output, and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed<O> {
    /// What the model made of the input.
    pub output: O,
    /// Where the time went.
    pub timing: Timing,
}

/// Where one item's time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From submission until its batch started.
    pub queue: Duration,
    /// How long its batch ran.
    pub run: Duration,
    /// Items in that batch, at least 1.
    pub batch: usize,
}

/// What an item's caller receives.
pub(super) type Answer<M> = Result<Completed<<M as BatchModel>::Output>, EngineError>;

/// An input together with the way back to its caller.
pub(super) struct Job<M: BatchModel> {
    pub(super) input: M::Input,
    pub(super) reply: Reply<M>,
}

/// The way back to one caller.
pub(super) struct Reply<M: BatchModel> {
    sender: oneshot::Sender<Answer<M>>,
    claim: Option<Claim>,
}

impl<M: BatchModel> Reply<M> {
    /// To a caller whose claim, if there is one, covers the item.
    pub(super) fn new(sender: oneshot::Sender<Answer<M>>) -> Self {
        Self { sender, claim: Claim::current() }
    }

    /// Answers; a caller that has gone away needs no answer.
    pub(super) fn send(self, answer: Answer<M>) {
        drop(self.sender.send(answer));
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }

    /// The item goes onto a device, unless its caller went away or took it back.
    pub(super) fn begins(&self) -> bool {
        !self.is_abandoned() && self.claim.as_ref().is_none_or(Claim::begin)
    }
}
