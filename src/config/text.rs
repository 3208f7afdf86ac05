//! Values written as text, in the environment and in flags; the key says how to read them.

use serde::Deserialize;
use toml::Value;
use toml::de::ValueDeserializer;

use super::schema::{Key, Kind};

/// The value of `key` that `text` stands for; otherwise what it must be.
///
/// Texts stand as they are, without quotes. A list is `a,b` or `["a", "b"]`, a map `{ a = "b" }`.
pub(super) fn value(key: &Key, text: &str) -> Result<Value, String> {
    let read = match key.kind {
        Kind::Switch => switch(text).map(Value::Boolean),
        Kind::Whole => text.replace('_', "").parse().ok().map(Value::Integer),
        Kind::Number => text.parse().ok().map(Value::Float),
        Kind::Text(_) => Some(Value::String(text.to_owned())),
        Kind::List if text.trim_start().starts_with('[') => toml(text).filter(Value::is_array),
        Kind::List => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(parts.map(|part| Value::String(part.to_owned())).collect::<Vec<_>>().into())
        }
        Kind::Map => toml(text).filter(Value::is_table),
    };
    read.ok_or_else(|| wanted(key))
}

/// What a value of `key` must be, as words after "must be".
pub(super) fn wanted(key: &Key) -> String {
    match (key.kind, &key.default) {
        (Kind::Switch, _) => "true or false".to_owned(),
        (Kind::Whole, _) => "a whole number".to_owned(),
        (Kind::Number, _) => "a number".to_owned(),
        (Kind::Text([]), Some(Value::String(example))) if !example.is_empty() => {
            format!("a text such as \"{example}\"")
        }
        (Kind::Text([]), _) => "a text".to_owned(),
        (Kind::Text(choices), _) => choices.join(" or "),
        (Kind::List, _) => "a list such as [\"a\", \"b\"]".to_owned(),
        (Kind::Map, _) => "a table such as { a = \"b\" }".to_owned(),
    }
}

/// Whether `value` is of the kind that `key` takes.
pub(super) fn fits(key: &Key, value: &Value) -> bool {
    match key.kind {
        Kind::Switch => value.is_bool(),
        Kind::Whole => value.is_integer(),
        Kind::Number => value.is_integer() || value.is_float(),
        Kind::Text([]) => value.is_str(),
        Kind::Text(choices) => value.as_str().is_some_and(|text| choices.contains(&text)),
        Kind::List => value.is_array(),
        Kind::Map => value.is_table(),
    }
}

/// A value as TOML, for eyes and logs: what stands before the host of an address may be a password.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut shown = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let host = after.find(|sign: char| "/?#\"' ".contains(sign)).unwrap_or(after.len());
        rest = match after[..host].rfind('@') {
            Some(at) => {
                shown.push_str("***");
                &after[at..]
            }
            None => after,
        };
    }
    shown + rest
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn toml(text: &str) -> Option<Value> {
    Value::deserialize(ValueDeserializer::parse(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let check = |text: &str, expected: &str| {
            assert_eq!(shown(&Value::String(text.to_owned())), format!("\"{expected}\""));
        };
        check("http://me:secret@host:4317/path", "http://***@host:4317/path");
        check("http://me:s@cret@host", "http://***@host");
        check("http://host/a@b", "http://host/a@b");
        check("a@b", "a@b");
        check("http://a:b@c,http://d:e@f", "http://***@c,http://***@f");
        check("http://a:b@c, http://d:e@f", "http://***@c, http://***@f");
    }

    #[test]
    fn the_kind_of_a_key_says_how_its_text_is_read() {
        let check = |kind: Kind, text: &str, expected: Result<&str, &str>| {
            let key = Key { path: "key".into(), kind, default: Some("30s".into()) };
            let read = value(&key, text).map(|value| value.to_string());
            assert_eq!(read.as_deref().map_err(String::as_str), expected, "{text}");
        };
        check(Kind::Switch, "on", Ok("true"));
        check(Kind::Switch, "False", Ok("false"));
        check(Kind::Switch, "maybe", Err("true or false"));
        check(Kind::Whole, "16_384", Ok("16384"));
        check(Kind::Whole, "1.5", Err("a whole number"));
        check(Kind::Number, "1.5", Ok("1.5"));
        check(Kind::Number, "much", Err("a number"));
        check(Kind::Text(&[]), "8", Ok("\"8\""));
        check(Kind::List, "a=/x, b=/y", Ok(r#"["a=/x", "b=/y"]"#));
        check(Kind::List, "", Ok("[]"));
        check(Kind::List, "[1, 2]", Ok("[1, 2]"));
        check(Kind::List, "[1, 2", Err("a list such as [\"a\", \"b\"]"));
        check(Kind::Map, "{ a = 1 }", Ok("{ a = 1 }"));
        check(Kind::Map, "a", Err("a table such as { a = \"b\" }"));
    }
}
