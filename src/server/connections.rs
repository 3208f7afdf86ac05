//! How many connections there may be, from whom, and for how long.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::deadline::aged;
use crate::bounds::{Bounds, Breach};
use crate::telemetry::metrics::{self, Held};

/// What connections may be and send, beside their calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Connections that are open at once, handshakes included; more are closed. Default 1024,
    /// 1 to 1 000 000.
    pub max_connections: usize,
    /// Connections of one IPv4 address, or of one IPv6 /64 network, that are open at once. Behind
    /// a proxy all clients have its address. Default 0: no limit of its own. At most 1 000 000.
    pub max_connections_per_address: usize,
    /// How long a new connection may take to say that it speaks HTTP/2, after its TLS handshake if
    /// it has one. Default 10 s, 1 s to 1 h.
    #[serde(with = "crate::units::duration")]
    pub opening_limit: Duration,
    /// How old a connection may grow; then it takes no new calls, and closes when its last call
    /// has ended. Clients connect anew of themselves, and so find new servers and certificates.
    /// Up to a tenth more or less, drawn at the start. Default `0s`: any age. At most 30 days.
    #[serde(with = "crate::units::duration")]
    pub max_age: Duration,
    /// All headers of one call. Default 16 KiB, 1 KiB to 1 MiB.
    #[serde(with = "crate::units::bytes")]
    pub max_header_bytes: u32,
    /// Calls that a client opens and resets before the server takes them up; beyond, the connection
    /// is closed (CVE-2023-44487). Default 20, 1 to 65 536.
    pub max_pending_resets: usize,
    /// Calls that the server must reset because the client broke the protocol; beyond, the
    /// connection is closed. Default 1024, 1 to 65 536.
    pub max_local_resets: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_connections_per_address: 0,
            opening_limit: Duration::from_secs(10),
            max_age: Duration::ZERO,
            max_header_bytes: 16 << 10,
            max_pending_resets: 20,
            max_local_resets: 1024,
        }
    }
}

impl Config {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        let mut bounds = Bounds::default();
        bounds.number("max_connections", self.max_connections, 1..=1_000_000);
        let of_one = self.max_connections_per_address;
        bounds.number("max_connections_per_address", of_one, 0..=1_000_000);
        bounds.duration("opening_limit", self.opening_limit, second..=hour);
        bounds.duration("max_age", self.max_age, Duration::ZERO..=720 * hour);
        bounds.bytes("max_header_bytes", self.max_header_bytes, 1 << 10..=1 << 20);
        bounds.number("max_pending_resets", self.max_pending_resets, 1..=65_536);
        bounds.number("max_local_resets", self.max_local_resets, 1..=65_536);
        bounds.breaches()
    }

    /// The age at which this process ends connections; `luck` is 0 to 1.
    pub(super) fn age(&self, luck: f64) -> Option<Duration> {
        aged(self.max_age, luck)
    }
}

/// The places for connections.
#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    limit: usize,
    by_address: Arc<ByAddress>,
    opening_limit: Duration,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Full {
    /// So many connections are open in all.
    All { limit: usize },
    /// So many connections of the address are open.
    Address { limit: usize },
}

impl std::fmt::Display for Full {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::All { limit } => {
                write!(formatter, "{limit} connections are open, limit {limit}")
            }
            Self::Address { limit } => {
                write!(formatter, "{limit} connections of this address are open, limit {limit}")
            }
        }
    }
}

impl Places {
    pub(super) fn new(config: &Config) -> Self {
        let limit = config.max_connections.min(Semaphore::MAX_PERMITS);
        let by_address = ByAddress {
            limit: config.max_connections_per_address,
            open: Mutex::new(HashMap::new()),
        };
        Self {
            all: Arc::new(Semaphore::new(limit)),
            limit,
            by_address: Arc::new(by_address),
            opening_limit: config.opening_limit,
        }
    }

    /// A place for a connection from `address`, until it is dropped.
    pub(super) fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let Ok(permit) = Arc::clone(&self.all).try_acquire_owned() else {
            return Err(Full::All { limit: self.limit });
        };
        let of_address = match self.by_address.limit {
            0 => None,
            limit => {
                let key = network(address);
                let mut open = self.by_address.open();
                let count = open.entry(key).or_default();
                if *count >= limit {
                    return Err(Full::Address { limit });
                }
                *count += 1;
                Some((Arc::clone(&self.by_address), key))
            }
        };
        let opening_limit = self.opening_limit;
        Ok(Place {
            of_address,
            opening_limit,
            _permit: permit,
            _open: metrics::connection_opened(),
        })
    }
}

/// A connection's place; given back when it is dropped.
pub(super) struct Place {
    of_address: Option<(Arc<ByAddress>, IpAddr)>,
    opening_limit: Duration,
    _permit: OwnedSemaphorePermit,
    _open: Held,
}

impl Place {
    /// How long its connection may take to begin.
    pub(super) fn opening_limit(&self) -> Duration {
        self.opening_limit
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((by_address, key)) = self.of_address.take() else { return };
        let mut open = by_address.open();
        if let Some(count) = open.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&key);
            }
        }
    }
}

/// Open connections of each address; no more entries than there are connections.
struct ByAddress {
    /// 0 where there is none.
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl ByAddress {
    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address: who has an IPv6 address has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: usize, of_address: usize) -> Places {
        Places::new(&Config {
            max_connections: all,
            max_connections_per_address: of_address,
            ..Config::default()
        })
    }

    fn refusal(places: &Places, address: &str) -> Option<String> {
        places.take(address.parse().unwrap()).err().map(|full| full.to_string())
    }

    #[test]
    fn a_place_is_given_back_and_a_refusal_names_the_limit() {
        let places = places(2, 0);
        let first = places.take("10.0.0.1".parse().unwrap());
        let second = places.take("10.0.0.1".parse().unwrap());
        assert!(first.is_ok() && second.is_ok());
        let full = refusal(&places, "10.0.0.2");
        assert_eq!(full.as_deref(), Some("2 connections are open, limit 2"));
        drop(first);
        assert_eq!(refusal(&places, "10.0.0.2"), None);
    }

    #[test]
    fn an_address_has_its_own_limit_and_an_ipv6_network_is_one_address() {
        let places = places(100, 1);
        for (held, same, other) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ] {
            let place = places.take(held.parse().unwrap());
            assert!(place.is_ok());
            let full = refusal(&places, same);
            assert_eq!(full.as_deref(), Some("1 connections of this address are open, limit 1"));
            assert_eq!(refusal(&places, other), None);
            drop(place);
            assert_eq!(refusal(&places, same), None);
        }
        assert!(places.by_address.open().is_empty(), "addresses without connections are forgotten");
    }

    #[test]
    fn an_age_is_drawn_within_a_tenth() {
        let config = Config { max_age: Duration::from_secs(100), ..Config::default() };
        assert_eq!(config.age(0.0), Some(Duration::from_secs(90)));
        assert_eq!(config.age(1.0), Some(Duration::from_secs(110)));
        assert_eq!(Config::default().age(0.5), None);
    }
}
