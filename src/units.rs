//! Durations, sizes and names as people write them in a configuration: `"1500ms"`, `"64 MiB"`.
//!
//! Imports: nothing.
//!
//! For fields of a configuration: `#[serde(with = "crate::units::duration")]`.

/// A [`Duration`](std::time::Duration) as text: `"2s"`, `"1m 30s"`, `"250ms"`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// The shortest text that is read as the same duration.
    pub fn text(value: Duration) -> String {
        humantime::format_duration(value).to_string()
    }

    /// Writes [`text`].
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        text(*value).serialize(serializer)
    }

    /// Reads a text; an error names the value and shows one that would do.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!("'{text}': {error}; write for example \"30s\""))
        })
    }
}

/// A number of bytes as text: `"64 MiB"`, `"512 kB"`; a bare number is in bytes.
pub mod bytes {
    use bytesize::ByteSize;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Any unsigned width.
    pub trait Count: Copy + TryInto<u64> + TryFrom<u64> {}
    impl<T: Copy + TryInto<u64> + TryFrom<u64>> Count for T {}

    /// The exact number, with a binary unit where one divides it.
    pub fn text<T: Count>(value: T) -> String {
        let bytes: u64 = value.try_into().unwrap_or(u64::MAX);
        let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let unit = units.into_iter().find(|(size, _)| bytes > 0 && bytes.is_multiple_of(*size));
        match unit {
            Some((size, name)) => format!("{} {name}", bytes / size),
            None => format!("{bytes} B"),
        }
    }

    /// Writes [`text`].
    pub fn serialize<T: Count, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        text(*value).serialize(serializer)
    }

    /// Reads a text or a number; an error names the value and shows one that would do.
    pub fn deserialize<'de, T: Count, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let (bytes, text) = match Written::deserialize(deserializer)? {
            Written::Number(bytes) => (bytes, bytes.to_string()),
            Written::Text(text) => match text.parse::<ByteSize>() {
                Ok(size) => (size.as_u64(), text),
                Err(error) => {
                    let reason = format!("'{text}': {error}; write for example \"64 MiB\"");
                    return Err(D::Error::custom(reason));
                }
            },
        };
        T::try_from(bytes).map_err(|_| D::Error::custom(format!("'{text}' is too large")))
    }
}

/// Anything that is written and read as one text: `"cuda:0,cuda:1"`.
pub mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes what [`Display`] shows.
    pub fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads with [`FromStr`]; an error is the type's own.
    pub fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Limits {
        #[serde(with = "super::duration")]
        wait: Duration,
        #[serde(with = "super::bytes")]
        size: usize,
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (wait, size) in [(1500, 64 << 20), (0, 0), (90_000, 1000), (2, 1 << 30)] {
            let limits = Limits { wait: Duration::from_millis(wait), size };
            let text = toml::to_string(&limits).unwrap();
            assert_eq!(toml::from_str::<Limits>(&text).unwrap(), limits, "{text}");
        }
    }

    #[test]
    fn people_write_units_in_several_ways() {
        let read = |text: &str| toml::from_str::<Limits>(text).map_err(|error| error.to_string());
        let limits = read("wait = '1m 30s'\nsize = '16MiB'").unwrap();
        assert_eq!((limits.wait.as_secs(), limits.size), (90, 16 << 20));
        assert_eq!(read("wait = '2s'\nsize = 4096").unwrap().size, 4096);
        assert!(read("wait = '2'\nsize = 1").unwrap_err().contains("write for example \"30s\""));
        assert!(
            read("wait = '2s'\nsize = 'big'").unwrap_err().contains("write for example \"64 MiB\"")
        );
    }
}
