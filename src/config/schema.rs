//! Every key there is, its kind and its default: read off [`Settings`] itself.
//!
//! serde tells a format which fields a struct has and what each wants. [`Probe`] is such a format:
//! it gives each field its default and writes down what was asked for. A key without a default (an
//! `Option` that is `None`) has nothing to give, so its walk fails once it is written down, and the
//! next walk passes over it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor, value,
};
use toml::de::Error;
use toml::{Table, Value};

use super::Settings;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Whole,
    /// Any number.
    Number,
    /// A text; only these where there are any.
    Text(&'static [&'static str]),
    /// A list.
    List,
    /// A table whose keys are free.
    Map,
}

/// One key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Its path: `server.limits.max_prompts`.
    pub(super) path: String,
    /// What it takes.
    pub(super) kind: Kind,
    /// Its default; none where it is left out unless somebody sets it.
    pub(super) default: Option<Value>,
}

/// Every key and section, in the order of the structs.
#[derive(Debug)]
pub(super) struct Schema {
    keys: Vec<Key>,
    sections: Vec<String>,
}

impl Schema {
    /// The keys of [`Settings`].
    pub(super) fn new() -> Self {
        Self::of(&Settings::default()).expect("tested: every key has a default or may be left out")
    }

    fn of<T>(defaults: &T) -> Result<Self, Error>
    where
        T: serde::Serialize + for<'de> Deserialize<'de>,
    {
        let table = Table::try_from(defaults).map_err(|error| Error::custom(error.to_string()))?;
        let found = RefCell::new(Found::default());
        loop {
            let known = found.borrow().optional.len();
            found.borrow_mut().restart();
            let value = Some(Value::Table(table.clone()));
            let walk = T::deserialize(Probe { path: String::new(), value, found: &found });
            match walk {
                Ok(_) => break,
                Err(error) if found.borrow().optional.len() == known => return Err(error),
                Err(_) => {}
            }
        }
        let Found { keys, sections, .. } = found.into_inner();
        Ok(Self { keys, sections })
    }

    /// Every key.
    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key of this path.
    pub(super) fn key(&self, path: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.path == path)
    }

    /// Whether keys stand below this path.
    pub(super) fn is_section(&self, path: &str) -> bool {
        self.sections.iter().any(|section| section == path)
    }

    /// What to say about a path that is no key and no section.
    pub(super) fn unknown(&self, path: &str) -> String {
        let around = |section: &&String| path.starts_with(&format!("{section}."));
        let sections = self.sections.iter().filter(|section| !around(section));
        let paths = self.keys.iter().map(|key| &key.path).chain(sections);
        match nearest(path, paths.map(String::as_str)) {
            Some(near) => format!("there is no key {path}; did you mean {near}?"),
            None => format!("there is no key {path}; see: veriframe config keys"),
        }
    }
}

/// The name that is most like `path`, if one is like it: its last word counts most, for the section
/// is easily forgotten or mistaken.
pub(super) fn nearest<'a>(path: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let parts = |path: &str| {
        let (section, word) = path.rsplit_once('.').unwrap_or(("", path));
        (section.to_owned(), word.to_owned())
    };
    let (section, word) = parts(path);
    let likeness = |name: &str| {
        let (other_section, other_word) = parts(name);
        let words = alike(&word, &other_word);
        let sections = strsim::normalized_damerau_levenshtein(&section, &other_section);
        (words > 0.65).then_some(0.7 * words + 0.3 * sections)
    };
    let near = names.filter_map(|name| Some((name, likeness(name)?)));
    near.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(name, _)| name)
}

/// How much two words are alike, 0 to 1; one that begins with the other is.
fn alike(one: &str, other: &str) -> f64 {
    let begins = one.starts_with(other) || other.starts_with(one);
    let least = if begins && one.len().min(other.len()) > 3 { 0.8 } else { 0.0 };
    strsim::normalized_damerau_levenshtein(one, other).max(least)
}

#[derive(Default)]
struct Found {
    keys: Vec<Key>,
    sections: Vec<String>,
    /// Keys without a default, met in an earlier walk.
    optional: BTreeMap<String, Kind>,
}

impl Found {
    fn restart(&mut self) {
        self.keys.clear();
        self.sections.clear();
    }
}

/// One place of the settings, with its default if it has one.
struct Probe<'a> {
    path: String,
    value: Option<Value>,
    found: &'a RefCell<Found>,
}

impl Probe<'_> {
    /// Writes down a key; its default, or an error where it has none.
    fn leaf(self, kind: Kind) -> Result<Value, Error> {
        let mut found = self.found.borrow_mut();
        if let Some(default) = self.value {
            found.keys.push(Key { path: self.path, kind, default: Some(default.clone()) });
            return Ok(default);
        }
        let error = Error::custom(format!("{} has no default and is not optional", self.path));
        found.optional.insert(self.path, kind);
        Err(error)
    }

    /// What a key takes whose type looks at the value first, such as a number of bytes.
    fn kind_of_default(&self) -> Kind {
        match self.value {
            None | Some(Value::String(_) | Value::Datetime(_)) => Kind::Text(&[]),
            Some(Value::Integer(_)) => Kind::Whole,
            Some(Value::Float(_)) => Kind::Number,
            Some(Value::Boolean(_)) => Kind::Switch,
            Some(Value::Array(_)) => Kind::List,
            Some(Value::Table(_)) => Kind::Map,
        }
    }
}

macro_rules! leaves {
    ($($method:ident: $kind:expr;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.leaf($kind)?.$method(visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    leaves! {
        deserialize_bool: Kind::Switch;
        deserialize_i8: Kind::Whole;
        deserialize_i16: Kind::Whole;
        deserialize_i32: Kind::Whole;
        deserialize_i64: Kind::Whole;
        deserialize_u8: Kind::Whole;
        deserialize_u16: Kind::Whole;
        deserialize_u32: Kind::Whole;
        deserialize_u64: Kind::Whole;
        deserialize_f32: Kind::Number;
        deserialize_f64: Kind::Number;
        deserialize_char: Kind::Text(&[]);
        deserialize_str: Kind::Text(&[]);
        deserialize_string: Kind::Text(&[]);
        deserialize_bytes: Kind::Text(&[]);
        deserialize_byte_buf: Kind::Text(&[]);
        deserialize_identifier: Kind::Text(&[]);
        deserialize_unit: Kind::Text(&[]);
        deserialize_seq: Kind::List;
        deserialize_map: Kind::Map;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let kind = self.kind_of_default();
        self.leaf(kind)?.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let kind = self.found.borrow().optional.get(&self.path).copied();
        match (&self.value, kind) {
            (None, Some(kind)) => {
                let key = Key { path: self.path, kind, default: None };
                self.found.borrow_mut().keys.push(key);
                visitor.visit_none()
            }
            (None, None) | (Some(_), _) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.leaf(Kind::Text(variants))?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if !self.path.is_empty() {
            self.found.borrow_mut().sections.push(self.path.clone());
        }
        let Some(Value::Table(defaults)) = self.value else {
            let reason = "is a section that may be missing; give it a default instead";
            return Err(Error::custom(format!("{} {reason}", self.path)));
        };
        let names = fields.iter();
        visitor.visit_map(Fields { path: self.path, names, next: "", defaults, found: self.found })
    }
}

/// The fields of one section.
struct Fields<'a> {
    path: String,
    names: std::slice::Iter<'static, &'static str>,
    next: &'static str,
    defaults: Table,
    found: &'a RefCell<Found>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(field) = self.names.next() else { return Ok(None) };
        self.next = field;
        let name: value::StrDeserializer<'_, Error> = (*field).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let path = below(&self.path, self.next);
        let value = self.defaults.remove(self.next);
        seed.deserialize(Probe { path, value, found: self.found })
    }
}

/// The path of `name` in `section`; the empty section is the whole.
pub(super) fn below(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Serialize;

    use super::*;

    #[derive(Default, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Whole {
        name: String,
        size: Section,
        file: Option<std::path::PathBuf>,
        names: Vec<String>,
        #[serde(skip)]
        hidden: usize,
    }

    #[derive(Default, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        share: f32,
        look: Option<Look>,
        most: Option<u16>,
        free: BTreeMap<String, usize>,
        #[serde(with = "crate::units::bytes")]
        weight: u64,
        #[serde(with = "crate::units::duration")]
        wait: Duration,
    }

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Look {
        Text,
        Json,
    }

    #[test]
    fn keys_are_read_off_a_struct_with_their_kinds() {
        let schema = Schema::of(&Whole::default()).unwrap();
        let keys: Vec<_> = schema
            .keys()
            .iter()
            .map(|key| (key.path.as_str(), key.kind, key.default.is_some()))
            .collect();
        let expected = [
            ("name", Kind::Text(&[]), true),
            ("size.share", Kind::Number, true),
            ("size.look", Kind::Text(&["text", "json"]), false),
            ("size.most", Kind::Whole, false),
            ("size.free", Kind::Map, true),
            ("size.weight", Kind::Text(&[]), true),
            ("size.wait", Kind::Text(&[]), true),
            ("file", Kind::Text(&[]), false),
            ("names", Kind::List, true),
        ];
        assert_eq!(keys, expected);
        assert!(schema.is_section("size") && !schema.is_section("name"));
    }

    #[test]
    fn a_section_that_may_be_missing_is_refused() {
        #[derive(Default, Deserialize, Serialize)]
        struct Outer {
            inner: Option<Whole>,
        }
        let error = Schema::of(&Outer::default()).unwrap_err();
        assert!(error.message().contains("inner is a section that may be missing"), "{error}");
    }

    #[test]
    fn the_nearest_key_is_one_that_is_spelt_alike_or_of_another_section() {
        let schema = Schema::new();
        for (wrong, near) in [
            ("server.limits.max_prompt", "server.limits.max_prompts"),
            ("server.max_prompts", "server.limits.max_prompts"),
            ("max_prompts", "server.limits.max_prompts"),
            ("sever.listen", "server.listen"),
            ("engine.maxbatch", "engine.max_batch"),
            ("engin", "engine"),
            ("models.devise", "models.device"),
            ("server.keepalive", "server.keepalive_timeout"),
            ("server.drain-limit", "server.drain_limit"),
        ] {
            let said = schema.unknown(wrong);
            assert!(said.ends_with(&format!("did you mean {near}?")), "{said}");
        }
        for wrong in ["colour", "server.limits.x", "serving"] {
            let said = schema.unknown(wrong);
            assert!(said.ends_with("see: veriframe config keys"), "{said}");
        }
    }
}
