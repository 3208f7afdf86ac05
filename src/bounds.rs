//! Bounds of configured values: all that is out of range, not the first alone.
//!
//! Imports: units.
//!
//! A room's `Config` has a function that names what breaks its bounds; `config` puts the sections
//! together and tells where each value comes from.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::units;

/// A value that breaks its bounds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Breach {
    /// Path of the key from the section that was checked: `limits.max_prompts`.
    pub key: String,
    /// The value and the limit, to stand after the key: `is 0, must be 1 to 256`.
    pub reason: String,
}

/// Gathers the breaches of one section.
#[derive(Debug, Default)]
pub struct Bounds {
    breaches: Vec<Breach>,
}

impl Bounds {
    /// A number within `range`.
    pub fn number<T>(&mut self, key: &str, value: T, range: RangeInclusive<T>)
    where
        T: Copy + PartialOrd + Display,
    {
        self.within(key, value, &range, |value| value.to_string());
    }

    /// A number of bytes within `range`.
    pub fn bytes<T>(&mut self, key: &str, value: T, range: RangeInclusive<T>)
    where
        T: PartialOrd + units::bytes::Count,
    {
        self.within(key, value, &range, units::bytes::text);
    }

    /// A duration within `range`.
    pub fn duration(&mut self, key: &str, value: Duration, range: RangeInclusive<Duration>) {
        self.within(key, value, &range, units::duration::text);
    }

    /// Anything else that is wrong; `reason` stands after the key.
    pub fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        self.breaches.push(Breach { key: key.to_owned(), reason: reason.into() });
    }

    /// The breaches of a section below this one.
    pub fn section(&mut self, name: &str, breaches: Vec<Breach>) {
        let below = breaches
            .into_iter()
            .map(|breach| Breach { key: format!("{name}.{}", breach.key), reason: breach.reason });
        self.breaches.extend(below);
    }

    /// All that was found, in the order of the checks.
    pub fn breaches(self) -> Vec<Breach> {
        self.breaches
    }

    fn within<T: Copy + PartialOrd>(
        &mut self,
        key: &str,
        value: T,
        range: &RangeInclusive<T>,
        text: impl Fn(T) -> String,
    ) {
        if !range.contains(&value) {
            let (least, most) = (text(*range.start()), text(*range.end()));
            self.refuse(key, format!("is {}, must be {least} to {most}", text(value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_breach_is_named_with_value_and_limits() {
        let mut limits = Bounds::default();
        limits.number("max_prompts", 0, 1..=256);
        limits.number("share", f32::NAN, 0.0..=1.0);
        limits.number("max_classes", 256, 1..=256);
        let mut bounds = Bounds::default();
        bounds.section("limits", limits.breaches());
        bounds.bytes("window", 512_u32, 1 << 10..=1 << 20);
        let second = Duration::from_secs(1);
        bounds.duration("wait", second * 90, Duration::ZERO..=second * 60);
        bounds.refuse("cert", "is set, so key must be set too");
        let found: Vec<String> =
            bounds.breaches().iter().map(|b| format!("{} {}", b.key, b.reason)).collect();
        assert_eq!(
            found,
            [
                "limits.max_prompts is 0, must be 1 to 256",
                "limits.share is NaN, must be 0 to 1",
                "window is 512 B, must be 1 KiB to 1 MiB",
                "wait is 1m 30s, must be 0s to 1m",
                "cert is set, so key must be set too",
            ]
        );
    }
}
