//! The key of a call, as its headers carry it.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::secret::LONGEST_CHARACTERS;

/// Where a key may stand beside `authorization`.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A key as it came. It has no `Debug`: nothing may show it.
#[derive(Eq, PartialEq)]
pub(super) enum Sent {
    Nothing,
    Key(Vec<u8>),
    /// Of another scheme, too long, or more than one.
    Malformed,
}

/// Takes the key out of the headers: nothing behind this sees it.
pub(super) fn take(headers: &mut HeaderMap) -> Sent {
    let sent = read(headers);
    headers.remove(AUTHORIZATION);
    headers.remove(API_KEY);
    sent
}

fn read(headers: &HeaderMap) -> Sent {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let mut plain = headers.get_all(API_KEY).iter();
    let key = match (given.next(), plain.next(), given.next(), plain.next()) {
        (None, None, _, _) => return Sent::Nothing,
        (Some(value), None, None, _) => match value.as_bytes().split_at_checked("Bearer ".len()) {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"Bearer ") => key,
            Some(_) | None => return Sent::Malformed,
        },
        (None, Some(value), _, None) => value.as_bytes(),
        (Some(_), ..) | (None, Some(_), _, Some(_)) => return Sent::Malformed,
    };
    let key = key.trim_ascii();
    if key.len() > LONGEST_CHARACTERS { Sent::Malformed } else { Sent::Key(key.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_in_one_header_and_is_taken_out_of_all() {
        let long = "x".repeat(LONGEST_CHARACTERS + 1);
        let key = || Sent::Key(b"key".to_vec());
        for (headers, expected) in [
            (vec![], Sent::Nothing),
            (vec![(AUTHORIZATION, "Bearer key")], key()),
            (vec![(AUTHORIZATION, "bearer  key ")], key()),
            (vec![(API_KEY, "key")], key()),
            (vec![(API_KEY, "")], Sent::Key(Vec::new())),
            (vec![(API_KEY, &long)], Sent::Malformed),
            (vec![(AUTHORIZATION, "Basic key")], Sent::Malformed),
            (vec![(AUTHORIZATION, "Bearer")], Sent::Malformed),
            (vec![(AUTHORIZATION, "key")], Sent::Malformed),
            (vec![(API_KEY, "key"), (API_KEY, "key")], Sent::Malformed),
            (vec![(AUTHORIZATION, "Bearer key"), (AUTHORIZATION, "Bearer key")], Sent::Malformed),
            (vec![(AUTHORIZATION, "Bearer key"), (API_KEY, "key")], Sent::Malformed),
        ] {
            let mut map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.parse().unwrap()))
                .fold(HeaderMap::new(), |mut map, (name, value)| {
                    map.append(name, value);
                    map
                });
            assert!(take(&mut map) == expected, "{headers:?}");
            assert!(map.is_empty());
        }
    }
}
