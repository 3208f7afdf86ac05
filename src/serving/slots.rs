//! Processor slots for pictures that are decoded, cut or drawn, handed out in turns: whoever sends
//! many pictures at once delays another's by about one picture, not by all of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{Flow, ServingError, Terms};

/// So many slots, shared by flows that take turns; clones share them.
#[derive(Clone, Debug)]
pub struct CpuSlots(Arc<Mutex<Lines>>);

/// A slot; free again when it is dropped.
#[derive(Debug)]
pub struct CpuSlot(Option<Arc<Mutex<Lines>>>);

#[derive(Debug, Default)]
struct Lines {
    free: usize,
    /// Who waits, first come first served within a flow. No line is empty.
    waiting: BTreeMap<Flow, VecDeque<Waiting>>,
    /// The flows that have a line, in the order of their turns.
    turns: VecDeque<Flow>,
    next_id: u64,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    served: oneshot::Sender<CpuSlot>,
}

/// A place in a line; dropped, it is left.
struct Place<'a> {
    lines: &'a Mutex<Lines>,
    flow: Flow,
    id: u64,
    serving: oneshot::Receiver<CpuSlot>,
}

/// No state is left half-changed by a panic under the lock, so poison is no reason to stop.
fn locked(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CpuSlots {
    /// With `slots` slots, at least 1.
    pub fn new(slots: usize) -> Self {
        Self(Arc::new(Mutex::new(Lines { free: slots.max(1), ..Lines::default() })))
    }

    /// A slot, when it is the flow's turn; waits at most until the deadline.
    pub(super) async fn until(&self, terms: Terms) -> Result<CpuSlot, ServingError> {
        let slot = self.take(terms.flow);
        match terms.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), slot)
                .await
                .map_err(|_| ServingError::Expired("picture preparation".to_owned())),
            None => Ok(slot.await),
        }
    }

    /// A slot, when it is this flow's turn. Dropping the future leaves the line.
    async fn take(&self, flow: Flow) -> CpuSlot {
        let mut place = match self.enter(flow) {
            Ok(slot) => return slot,
            Err(place) => place,
        };
        let served = (&mut place.serving).await;
        served.expect("whoever is in a line stays there until served or gone")
    }

    fn enter(&self, flow: Flow) -> Result<CpuSlot, Place<'_>> {
        let mut lines = locked(&self.0);
        if lines.free > 0 {
            lines.free -= 1;
            return Ok(CpuSlot(Some(Arc::clone(&self.0))));
        }
        let (served, serving) = oneshot::channel();
        let id = lines.next_id;
        lines.next_id += 1;
        if !lines.waiting.contains_key(&flow) {
            lines.turns.push_back(flow);
        }
        lines.waiting.entry(flow).or_default().push_back(Waiting { id, served });
        Err(Place { lines: &self.0, flow, id, serving })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = locked(self.lines);
        let Some(line) = lines.waiting.get_mut(&self.flow) else { return };
        line.retain(|waiting| waiting.id != self.id);
        if line.is_empty() {
            lines.waiting.remove(&self.flow);
            lines.turns.retain(|flow| *flow != self.flow);
        }
    }
}

impl Drop for CpuSlot {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        let mut lines = locked(&shared);
        while let Some(waiting) = lines.next() {
            let mut unserved = match waiting.served.send(Self(Some(Arc::clone(&shared)))) {
                Ok(()) => return,
                Err(slot) => slot,
            };
            // It goes on to the next one, so it is not given back.
            unserved.0 = None;
        }
        lines.free += 1;
    }
}

impl Lines {
    /// Whose turn it is.
    fn next(&mut self) -> Option<Waiting> {
        let flow = self.turns.pop_front()?;
        let line = self.waiting.get_mut(&flow)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&flow);
        } else {
            self.turns.push_back(flow);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    /// Enters a line.
    fn waits(slots: &CpuSlots, flow: u64) -> BoxFuture<'_, CpuSlot> {
        let mut waiting = slots.take(Flow(flow)).boxed();
        assert!((&mut waiting).now_or_never().is_none());
        waiting
    }

    #[test]
    fn flows_take_turns_however_many_pictures_one_has() {
        let slots = CpuSlots::new(1);
        let mut held = slots.take(Flow(1)).now_or_never();
        let mut waiting: Vec<(&str, BoxFuture<CpuSlot>)> = Vec::new();
        for (name, flow) in [("a1", 1), ("a2", 1), ("a3", 1), ("b1", 2), ("b2", 2), ("c1", 3)] {
            waiting.push((name, waits(&slots, flow)));
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(held.take());
            let served = waiting
                .iter_mut()
                .enumerate()
                .find_map(|(at, (_, place))| place.now_or_never().map(|slot| (at, slot)));
            let (at, slot) = served.unwrap();
            order.push(waiting.remove(at).0);
            held = Some(slot);
        }
        assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn whoever_goes_away_leaves_the_line_and_loses_no_slot() {
        let slots = CpuSlots::new(1);
        let first = slots.take(Flow(1)).now_or_never().unwrap();
        let (gone, served) = (waits(&slots, 2), waits(&slots, 3));
        drop(gone);
        assert_eq!(locked(&slots.0).turns, [Flow(3)]);
        drop(first);
        // It has been served and goes away before it notices.
        drop(served);
        let lines = locked(&slots.0);
        assert_eq!((lines.free, lines.turns.len(), lines.waiting.len()), (1, 0, 0));
    }
}
