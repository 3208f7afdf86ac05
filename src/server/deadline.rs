//! The caller's deadline, from the `grpc-timeout` header.

use std::time::{Duration, Instant};

use tonic::metadata::MetadataMap;

use crate::serving::Deadline;

/// Kept back so that our answer, DEADLINE_EXCEEDED, is on its way before the transport gives up
/// with CANCELLED.
const HEADROOM: Duration = Duration::from_millis(5);

/// When the call's answer stops being useful; `None` where the caller set no timeout.
pub(super) fn deadline(metadata: &MetadataMap, now: Instant) -> Deadline {
    let timeout = parse(metadata.get("grpc-timeout")?.to_str().ok()?)?;
    now.checked_add(timeout.saturating_sub(HEADROOM.min(timeout / 4)))
}

/// `TimeoutValue TimeoutUnit` of the gRPC HTTP/2 protocol: at most 8 digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        let check = |text, expected| assert_eq!(parse(text), expected, "{text}");
        check("2S", Some(Duration::from_secs(2)));
        check("1500m", Some(Duration::from_millis(1500)));
        check("1H", Some(Duration::from_secs(3600)));
        check("7u", Some(Duration::from_micros(7)));
        for bad in ["", "S", "12", "-1S", "123456789S", "1.5S", "1é"] {
            check(bad, None);
        }
    }
}
