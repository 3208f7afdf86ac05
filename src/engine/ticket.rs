//! A caller's hold on the item it submitted.

use std::sync::Arc;

use super::BatchModel;
use super::dispatch::Dispatch;
use super::queue::Place;
use crate::telemetry::metrics::{self, ItemOutcome};

/// Holds an item's place; dropped, it frees the place if the item still waits.
pub(super) struct Ticket<M: BatchModel> {
    dispatch: Arc<Dispatch<M>>,
    place: Place,
    answered: bool,
}

impl<M: BatchModel> Ticket<M> {
    pub(super) fn new(dispatch: Arc<Dispatch<M>>, place: Place) -> Self {
        Self { dispatch, place, answered: false }
    }

    /// The caller has its answer: the item is out of the queue, and the caller did not go away.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }

    /// The caller's time is up; whether the item still waited.
    pub(super) fn expired(mut self) -> bool {
        self.answered = true;
        self.dispatch.forget(self.place)
    }
}

impl<M: BatchModel> Drop for Ticket<M> {
    fn drop(&mut self) {
        if !self.answered {
            self.dispatch.forget(self.place);
            metrics::record_item(&self.dispatch.config().name, ItemOutcome::Abandoned);
        }
    }
}
