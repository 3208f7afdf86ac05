//! On what terms an item waits: until when, how urgent, and on whose account.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// On what terms an item waits. The default has no deadline, is of normal priority and belongs to
/// no flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// When the answer stops being useful; `None` means it never does.
    pub deadline: Option<Instant>,
    /// How urgent it is.
    pub priority: Priority,
    /// On whose account it waits.
    pub flow: Flow,
}

impl Terms {
    /// Terms with this deadline, else the default ones.
    pub fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, ..Self::default() }
    }
}

/// How urgent an item is. The more urgent go first, but nobody starves: see
/// [`Config::max_age`](super::Config::max_age).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Before all others: a person is waiting.
    High,
    /// As usual.
    #[default]
    Normal,
    /// After all others: background work.
    Low,
}

/// One of those who share a queue fairly, such as a stream: flows of one priority take turns, and
/// within a flow the earliest deadline goes first, equals in order of arrival. Flow 0 is everybody
/// who belongs to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Flow(pub u64);

impl Flow {
    /// One that nobody else in this process has, nor ever will. The default is shared by all who
    /// ask for none.
    pub fn unique() -> Self {
        // A name, not a state: nothing depends on which one it is.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
