//! A call's terms, from its headers: `grpc-timeout` as a moment, and the priority.
//!
//! tonic watches the same header, but answers CANCELLED where DEADLINE_EXCEEDED is meant, and only
//! until the response's head. So the deadline is taken here, a little early, and every wait of a
//! call ends with it.

use std::future::Future;
use std::time::{Duration, Instant};

use http::HeaderMap;

use crate::serving::{Deadline, Flow, Priority, ServingError, Terms};

/// The header that tells how long the caller waits.
const TIMEOUT: &str = "grpc-timeout";
/// The header that tells how urgent the call is.
const PRIORITY: &str = "x-veriframe-priority";
/// The most that the deadline is taken early, so that the answer is under way before anyone else's
/// clock runs out.
const MARGIN: Duration = Duration::from_millis(10);

/// A call's terms, as an extension of its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallTerms(pub(super) Terms);

impl CallTerms {
    /// By a call's headers, on the account `flow`; `arrived` is when they came. A malformed timeout
    /// counts as none, for the protocol says so; a priority that is none is the caller's mistake.
    pub(super) fn of(
        headers: &HeaderMap,
        flow: Flow,
        arrived: Instant,
    ) -> Result<Self, ServingError> {
        let timeout = headers.get(TIMEOUT).and_then(|value| parse(value.to_str().ok()?));
        let deadline = timeout.and_then(|timeout| {
            arrived.checked_add(timeout.saturating_sub(MARGIN.min(timeout / 20)))
        });
        let priority = priority(headers)?;
        Ok(Self(Terms { deadline, priority, flow }))
    }

    /// Of a request that came through the layer that sets it.
    pub(super) fn in_request<T>(request: &tonic::Request<T>) -> Terms {
        request.extensions().get::<Self>().map(|terms| terms.0).unwrap_or_default()
    }
}

/// Normal where the caller does not say.
fn priority(headers: &HeaderMap) -> Result<Priority, ServingError> {
    let Some(value) = headers.get(PRIORITY) else { return Ok(Priority::Normal) };
    match value.as_bytes() {
        b"high" => Ok(Priority::High),
        b"normal" => Ok(Priority::Normal),
        b"low" => Ok(Priority::Low),
        other => {
            let shown: String = String::from_utf8_lossy(other).chars().take(32).collect();
            let reason = format!("is '{shown}', must be high, normal or low");
            Err(ServingError::invalid(PRIORITY, reason))
        }
    }
}

/// Up to eight digits and a unit, as the gRPC protocol has it.
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Ends `work` at the deadline with [`ServingError::Expired`], which names `what`.
pub(super) async fn within<T, E: From<ServingError>>(
    deadline: Deadline,
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match deadline {
        None => work.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work)
            .await
            .unwrap_or_else(|_| Err(ServingError::Expired(what.to_owned()).into())),
    }
}

/// The earlier of two.
pub(super) fn earlier(a: Deadline, b: Deadline) -> Deadline {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// The age at which one of many ends, give or take a tenth by `luck`, 0 to 1, so that those that began
/// together do not all end at once; any age where the limit is zero.
pub(super) fn aged(limit: Duration, luck: f64) -> Option<Duration> {
    (!limit.is_zero()).then(|| limit.mul_f64(0.9 + 0.2 * luck.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_nonsense_is_no_timeout() {
        for (value, expected) in [
            ("2H", Some(Duration::from_hours(2))),
            ("3M", Some(Duration::from_mins(3))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("-5S", None),
            ("5x", None),
            ("5é", None),
        ] {
            assert_eq!(parse(value), expected, "{value}");
        }
    }

    fn of(
        name: &'static str,
        value: &'static str,
        arrived: Instant,
    ) -> Result<Terms, ServingError> {
        let name = http::HeaderName::from_static(name);
        let headers = HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))]);
        CallTerms::of(&headers, Flow(7), arrived).map(|terms| terms.0)
    }

    #[test]
    fn a_deadline_comes_a_little_early() {
        let arrived = Instant::now();
        for (value, taken) in [("10S", 9990), ("20m", 19)] {
            let terms = of(TIMEOUT, value, arrived).unwrap();
            let deadline = Some(arrived + Duration::from_millis(taken));
            assert_eq!(terms, Terms { flow: Flow(7), ..Terms::until(deadline) }, "{value}");
        }
        let none = CallTerms::of(&HeaderMap::new(), Flow(7), arrived).unwrap();
        assert_eq!(none.0, Terms { flow: Flow(7), ..Terms::default() });
    }

    #[test]
    fn a_priority_is_one_of_three_words() {
        let now = Instant::now();
        for (value, expected) in
            [("high", Priority::High), ("normal", Priority::Normal), ("low", Priority::Low)]
        {
            assert_eq!(of(PRIORITY, value, now).unwrap().priority, expected);
        }
        for (value, shown) in [
            ("urgent", "is 'urgent', must be high, normal or low"),
            ("", "is ''"),
            ("High", "High"),
        ] {
            let error = of(PRIORITY, value, now).unwrap_err().to_string();
            assert!(
                error.starts_with("x-veriframe-priority: ") && error.contains(shown),
                "{error}"
            );
        }
    }

    #[test]
    fn the_earlier_of_two_deadlines_counts() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert_eq!(earlier(Some(later), Some(now)), Some(now));
        assert_eq!(earlier(None, Some(now)), Some(now));
        assert_eq!(earlier(None, None), None);
    }
}
