//! A secret: made of randomness, kept as its hash, never shown but once.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Before every secret made here, so that scanners of repositories and logs can find one.
const PREFIX: &str = "vf_";
/// Randomness of a secret made here: 256 bits need no salt and no slow hash.
const RANDOM_BYTES: usize = 32;
/// A shorter secret may be guessed from its hash.
const SHORTEST_CHARACTERS: usize = 24;
/// A longer one is not looked at.
pub(super) const LONGEST_CHARACTERS: usize = 512;

/// An API key in the clear. Its `Debug` does not show it, and it has no `Display`.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

/// Why a text cannot be an API key. Does not hold the text.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SecretError {
    /// It is too short or too long.
    #[error(
        "the key has {characters} characters, must have {SHORTEST_CHARACTERS} to \
         {LONGEST_CHARACTERS}"
    )]
    Length {
        /// How many it has.
        characters: usize,
    },
    /// It would not pass as a header.
    #[error("the key has a sign that is no visible ASCII character")]
    Sign,
    /// The system has no randomness to give.
    #[error("the system gives no random numbers")]
    Random,
}

impl Secret {
    /// A new one, of the system's randomness.
    pub fn random() -> Result<Self, SecretError> {
        let mut bytes = [0; RANDOM_BYTES];
        OsRng.try_fill_bytes(&mut bytes).map_err(|_| SecretError::Random)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The secret itself: for whom it is made for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the key file holds of it: SHA-256 as 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        format!("{:x}", Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let characters = text.chars().count();
        if !(SHORTEST_CHARACTERS..=LONGEST_CHARACTERS).contains(&characters) {
            return Err(SecretError::Length { characters });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::Sign);
        }
        Ok(Self(text.to_owned()))
    }
}

/// SHA-256.
pub(super) fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// 64 hexadecimal digits as bytes.
pub(super) fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|sign| sign.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[pair.len() - 1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_is_long_new_and_hidden() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), 3 + 43);
        assert_eq!(one.reveal().parse::<Secret>().unwrap(), one);
        assert_eq!(format!("{one:?}"), "Secret(…)");
    }

    #[test]
    fn the_hash_is_sha_256_and_is_read_back() {
        let secret = Secret("abc".to_owned());
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(secret.hash(), expected);
        assert_eq!(parse_hash(expected), Some(hash(b"abc")));
        for wrong in ["", "ba78", &expected[1..], &format!("{expected}0"), &"x".repeat(64)] {
            assert_eq!(parse_hash(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_weak_or_unsendable_secret_is_refused_without_being_told() {
        let check = |text: &str, error| assert_eq!(text.parse::<Secret>().unwrap_err(), error);
        check("short", SecretError::Length { characters: 5 });
        check(&"x".repeat(513), SecretError::Length { characters: 513 });
        check("with a space in it, so it is long", SecretError::Sign);
        let message = "hunter2".parse::<Secret>().unwrap_err().to_string();
        assert_eq!(message, "the key has 7 characters, must have 24 to 512");
    }
}
