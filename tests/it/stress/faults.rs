//! What goes wrong on the devices: one replica of each model panics at random, the other stalls.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use veriframe::engine::{BatchSight, DeviceError, Hook};

use super::{once_in, seeded};

/// After this long the engine gives a batch up.
pub(super) const STALL_LIMIT: Duration = Duration::from_millis(300);
/// How long a stall lasts.
const STALL: Duration = Duration::from_millis(700);
/// One batch in so many panics, on the replica that panics.
const PANIC_ODDS: u32 = 40;
/// One batch in so many stalls, on the replica that stalls.
const STALL_ODDS: u32 = 150;

/// The faults, once switched on.
pub(super) struct Faults {
    on: AtomicBool,
    random: Mutex<ChaCha8Rng>,
    panics: AtomicU64,
    stalls: AtomicU64,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            on: AtomicBool::new(false),
            random: Mutex::new(seeded(seed)),
            panics: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
        }
    }

    pub(super) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(super) fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    pub(super) fn hook(self: Arc<Self>) -> Hook {
        Hook::new(move |sight| self.meet(sight))
    }

    fn meet(&self, sight: BatchSight) -> Result<(), DeviceError> {
        if !self.on.load(Ordering::Relaxed) {
            return Ok(());
        }
        let odds = if sight.replica == 0 { PANIC_ODDS } else { STALL_ODDS };
        let hit = once_in(odds, &mut *self.random.lock().unwrap());
        match (hit, sight.replica) {
            (false, _) => {}
            (true, 0) => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                // No message: a panic a line would hide the figures.
                std::panic::resume_unwind(Box::new("the replica panics, as it was asked to"));
            }
            (true, _) => {
                self.stalls.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(STALL);
            }
        }
        Ok(())
    }
}
