//! W3C trace context, as headers: <https://www.w3.org/TR/trace-context-2/>.
//!
//! Read here rather than by the SDK's propagator: that one takes ids of any length and refuses the
//! flags of level 2.

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Who called: trace, parent, and whether it is recorded.
const TRACEPARENT: &str = "traceparent";
/// What other tracing systems add.
const TRACESTATE: &str = "tracestate";
/// `00-` trace `-` parent `-` flags, each in hexadecimal digits.
const LENGTH: usize = 55;
/// Longer states are left out; the standard asks for no more.
const STATE_LIMIT_BYTES: usize = 512;

/// The caller's span; none where the headers are missing or malformed.
pub(super) fn read(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let (trace, span, flags) = parse(parent.as_bytes())?;
    Some(SpanContext::new(trace, span, flags, true, state(headers)))
}

/// The header that names this span.
pub(super) fn write(span: &SpanContext) -> HeaderValue {
    let flags = if span.is_sampled() { "01" } else { "00" };
    HeaderValue::from_str(&format!("00-{}-{}-{flags}", span.trace_id(), span.span_id()))
        .expect("digits and hyphens are a header value")
}

fn parse(value: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let version = value.get(..2)?;
    // A later version may say more, after another hyphen.
    let ends = value.len() == LENGTH || version != b"00" && value.get(LENGTH) == Some(&b'-');
    let hyphens = [2, 35, 52].iter().all(|&at| value.get(at) == Some(&b'-'));
    if !ends || !hyphens || version == b"ff" {
        return None;
    }
    number(version)?;
    let trace = TraceId::from(number(&value[3..35])?);
    let span = SpanId::from(number(&value[36..52])? as u64);
    let flags = TraceFlags::new(number(&value[53..55])? as u8) & TraceFlags::SAMPLED;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some((trace, span, flags))
}

/// Lower-case hexadecimal digits, at most 32.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// All the headers as one; empty where they are malformed or too long.
fn state(headers: &HeaderMap) -> TraceState {
    let parts: Option<Vec<&str>> =
        headers.get_all(TRACESTATE).iter().map(|part| part.to_str().ok()).collect();
    let whole = parts.unwrap_or_default().join(",");
    if whole.len() > STATE_LIMIT_BYTES {
        return TraceState::default();
    }
    let members: Option<Vec<(&str, &str)>> = whole
        .split(',')
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .map(|member| member.split_once('='))
        .collect();
    members.and_then(|members| TraceState::from_key_value(members).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_well_formed_parent_is_read_and_written_as_it_was() {
        let span = read(&headers(&[(TRACEPARENT, GOOD)])).unwrap();
        assert!(span.is_remote() && span.is_sampled());
        assert_eq!(write(&span), GOOD);
        for (flags, sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let value = format!("{}{flags}", &GOOD[..53]);
            let span = read(&headers(&[(TRACEPARENT, &value)])).unwrap();
            assert_eq!(span.is_sampled(), sampled, "{flags}");
        }
        let later = GOOD.replacen("00-", "cc-", 1) + "-what comes later";
        assert!(read(&headers(&[(TRACEPARENT, &later)])).is_some());
    }

    #[test]
    fn a_malformed_parent_is_none() {
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        for value in [
            "",
            "00",
            "00-4bf9-00f0-01",
            &GOOD[..54],
            &format!("{GOOD}0"),
            &format!("{GOOD}-more"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00-", "ff-", 1),
            &GOOD.replacen("00-", "0x-", 1),
            &GOOD.replacen("4bf9", "+bf9", 1),
            &GOOD.replacen("4bf9", "4bfg", 1),
            &GOOD.replace('-', "_"),
            &GOOD.replacen("-01", "-0z", 1),
            &zero_trace,
            &zero_span,
        ] {
            assert!(read(&headers(&[(TRACEPARENT, value)])).is_none(), "{value}");
        }
        assert!(read(&HeaderMap::new()).is_none());
        let twice = headers(&[(TRACEPARENT, GOOD), (TRACEPARENT, GOOD)]);
        assert!(read(&twice).is_none());
    }

    #[test]
    fn a_state_is_kept_where_it_is_one() {
        let check = |states: &[&str], expected: &str| {
            let mut pairs = vec![(TRACEPARENT, GOOD)];
            pairs.extend(states.iter().map(|state| (TRACESTATE, *state)));
            let span = read(&headers(&pairs)).unwrap();
            assert_eq!(span.trace_state().header(), expected, "{states:?}");
        };
        check(&[], "");
        check(&["a=1,b=2"], "a=1,b=2");
        check(&["a=1", " b=2 ,"], "a=1,b=2");
        check(&["no pair"], "");
        check(&["a=1=2"], "");
        let long = format!("a={}", "x".repeat(250));
        check(&[&long, &long.replacen('a', "b", 1), &long.replacen('a', "c", 1)], "");
    }
}
