//! How much one caller may use: calls per second, and calls at once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Pace, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a caller may use, as the key file has it; what is not there has no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Calls per second, in the long run.
    pub(super) rate: Option<f64>,
    /// Calls that may come at once after a pause; one second's worth where it is not there.
    pub(super) burst: Option<u32>,
    /// Calls that run at once.
    pub(super) concurrency: Option<u32>,
}

impl Limits {
    /// Whether they make sense together; else what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(rate) = self.rate
            && !(0.001..=1e6).contains(&rate)
        {
            return Err(format!("rate is {rate} calls per second, must be 0.001 to 1000000"));
        }
        if self.burst.is_some() && self.rate.is_none() {
            return Err("burst is given without rate".to_owned());
        }
        for (name, value) in [("burst", self.burst), ("concurrency", self.concurrency)] {
            if value == Some(0) {
                return Err(format!("{name} is 0, must be 1 or more"));
            }
        }
        Ok(())
    }
}

/// What a caller has used.
pub(super) struct Quota<C: Clock = DefaultClock> {
    pace: Option<Paced<C>>,
    places: Option<(Arc<Semaphore>, usize)>,
}

struct Paced<C: Clock> {
    per_second: f64,
    burst: u32,
    clock: C,
    bucket: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
}

/// What a call would exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Exceeded {
    Rate { per_second: f64, burst: u32, retry_after: Duration },
    Concurrency { limit: usize },
}

impl<C: Clock + Clone> Quota<C> {
    pub(super) fn new(limits: &Limits, clock: &C) -> Self {
        let pace = limits.rate.and_then(|per_second| {
            let burst = limits.burst.unwrap_or(per_second.ceil() as u32).max(1);
            let pace = Pace::with_period(Duration::from_secs_f64(1.0 / per_second))?
                .allow_burst(NonZeroU32::new(burst)?);
            let bucket = RateLimiter::direct_with_clock(pace, clock.clone());
            Some(Paced { per_second, burst, clock: clock.clone(), bucket })
        });
        let places = limits.concurrency.map(|limit| {
            let limit = (limit as usize).min(Semaphore::MAX_PERMITS);
            (Arc::new(Semaphore::new(limit)), limit)
        });
        Self { pace, places }
    }

    /// Counts one call. What it gives is the call's place: held until the call has ended.
    pub(super) fn take(&self) -> Result<Option<OwnedSemaphorePermit>, Exceeded> {
        // The place first: a call that finds none shall not use up the rate as well.
        let place = match &self.places {
            None => None,
            Some((places, limit)) => match Arc::clone(places).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return Err(Exceeded::Concurrency { limit: *limit }),
            },
        };
        if let Some(paced) = &self.pace
            && let Err(not_yet) = paced.bucket.check()
        {
            return Err(Exceeded::Rate {
                per_second: paced.per_second,
                burst: paced.burst,
                retry_after: not_yet.wait_time_from(paced.clock.now()),
            });
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_rate_allows_its_burst_and_tells_when_the_next_call_may_come() {
        let clock = FakeRelativeClock::default();
        let limits = Limits { rate: Some(4.0), burst: Some(2), concurrency: None };
        let quota = Quota::new(&limits, &clock);
        assert!(quota.take().is_ok() && quota.take().is_ok());
        let retry_after = Duration::from_millis(250);
        let expected = Exceeded::Rate { per_second: 4.0, burst: 2, retry_after };
        assert_eq!(quota.take().unwrap_err(), expected);
        clock.advance(Duration::from_millis(249));
        assert!(quota.take().is_err());
        clock.advance(Duration::from_millis(1));
        assert!(quota.take().is_ok() && quota.take().is_err());
        clock.advance(Duration::from_secs(100));
        assert!(quota.take().is_ok() && quota.take().is_ok() && quota.take().is_err());
    }

    #[test]
    fn places_are_given_back_and_a_call_without_one_costs_no_rate() {
        let clock = FakeRelativeClock::default();
        let limits = Limits { rate: Some(0.5), burst: Some(2), concurrency: Some(1) };
        let quota = Quota::new(&limits, &clock);
        let place = quota.take().unwrap();
        assert_eq!(quota.take().unwrap_err(), Exceeded::Concurrency { limit: 1 });
        drop(place);
        assert!(quota.take().is_ok());
        let Exceeded::Rate { retry_after, .. } = quota.take().unwrap_err() else {
            panic!("the burst is used up")
        };
        assert_eq!(retry_after, Duration::from_secs(2));
    }

    #[test]
    fn no_limits_are_none_and_senseless_ones_are_told() {
        let quota = Quota::new(&Limits::default(), &FakeRelativeClock::default());
        for _ in 0..1000 {
            assert!(quota.take().is_ok_and(|place| place.is_none()));
        }
        for (rate, burst, concurrency, part) in [
            (Some(0.0), None, None, "rate is 0 calls per second"),
            (Some(f64::NAN), None, None, "rate is NaN"),
            (Some(1.0), Some(0), None, "burst is 0"),
            (None, Some(1), None, "burst is given without rate"),
            (None, None, Some(0), "concurrency is 0"),
        ] {
            let error = Limits { rate, burst, concurrency }.check().unwrap_err();
            assert!(error.starts_with(part), "{error}");
        }
    }
}
