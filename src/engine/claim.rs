//! Work that may be taken back: until a device begins it, and never after.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

tokio::task_local! {
    static CURRENT: Claim;
}

/// Whether any item submitted under it has reached a device. Either a device begins one of them or
/// the owner withdraws them all, whoever is first; so work that was withdrawn was never begun.
///
/// It travels with the polling of the covered future, not with [`super::Terms`], for most callers
/// never take work back. A task spawned from within the future is not covered.
#[derive(Clone, Debug, Default)]
pub struct Claim(Arc<AtomicU8>);

impl Claim {
    /// Puts every item that `work` submits, to whichever engine, under this claim.
    pub fn cover<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), work)
    }

    /// Takes the work back: no device has begun any of its items, and none will. False where a
    /// device was faster, or where it was withdrawn before.
    pub fn withdraw(&self) -> bool {
        self.0.compare_exchange(OPEN, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The claim that covers the future being polled, if one does.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// A device begins an item; false where the owner was faster.
    pub(super) fn begin(&self) -> bool {
        self.0.compare_exchange(OPEN, BEGUN, Ordering::AcqRel, Ordering::Acquire) != Err(WITHDRAWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_first_has_it() {
        let (withdrawn, begun) = (Claim::default(), Claim::default());
        assert!(withdrawn.withdraw());
        assert!(!withdrawn.begin() && !withdrawn.withdraw());
        assert!(begun.begin() && begun.begin(), "a second item, or a second try, goes on");
        assert!(!begun.withdraw());
    }

    #[tokio::test]
    async fn it_covers_a_future_and_no_other() {
        let claim = Claim::default();
        let inside = claim.cover(async {
            tokio::task::yield_now().await;
            Claim::current().unwrap().withdraw()
        });
        let (inside, outside) = tokio::join!(inside, async { Claim::current().is_none() });
        assert!(inside && outside);
        assert!(!claim.begin());
    }
}
