//! The layers put over one another, checked, and kept with their sources.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::error::{ConfigError, Fault, Source};
use super::schema::{Key, Kind, Schema};
use super::{Settings, environment, file, text};

/// Where settings come from, besides the defaults. Later ones win: file, variables, flags, `set`.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// The environment, by name; those without the prefix are passed over.
    pub variables: Vec<(String, String)>,
    /// Flags that stand for a key.
    pub flags: Vec<Flag>,
    /// What `--set` was given: `KEY=VALUE`.
    pub set: Vec<String>,
}

/// A flag that stands for a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// How it is written, for errors: `--max-batch`.
    pub shown: &'static str,
    /// The key: `engine.max_batch`.
    pub key: &'static str,
    /// The value as text; a list with commas.
    pub text: String,
}

/// A value that somebody set.
#[derive(Clone, Debug)]
pub struct Given {
    /// Path of the key.
    pub key: String,
    /// The value as it was written.
    pub value: Value,
    /// Who set it.
    pub source: Source,
}

impl Given {
    /// The value as TOML, without what it would give away.
    pub fn shown(&self) -> String {
        text::shown(&self.value)
    }
}

/// Checked settings, and who set what.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What is not left at its default, in the order of the keys.
    pub given: Vec<Given>,
}

impl Sources {
    /// The variables of this process.
    pub fn environment() -> Vec<(String, String)> {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
    }

    /// Reads, puts together and checks.
    ///
    /// Errors: [`ConfigError::Unreadable`] for the file; otherwise [`ConfigError::Faults`] with all
    /// that is wrong, even with a value that a later source replaces.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let schema = Schema::new();
        let mut faults = Vec::new();
        let mut given = match &self.file {
            None => Vec::new(),
            Some(path) => file::read(path, &content(path)?, &schema, &mut faults),
        };
        given.extend(environment::read(&self.variables, &schema, &mut faults));
        given.extend(self.flagged(&schema, &mut faults));
        given.retain(|given| match refusal(&schema, given) {
            None => true,
            Some(reason) => {
                faults.push(Fault { source: given.source.clone(), reason });
                false
            }
        });
        let last = |key: &Key| given.iter().rfind(|given| given.key == key.path).cloned();
        let given: Vec<Given> = schema.keys().iter().filter_map(last).collect();
        let settings = compose(&given, &mut faults);
        match settings {
            Some(settings) if faults.is_empty() => Ok(Loaded { settings, given }),
            Some(_) | None => {
                faults.sort_by_key(|fault| fault.source.rank());
                Err(ConfigError::Faults(faults))
            }
        }
    }

    fn flagged(&self, schema: &Schema, faults: &mut Vec<Fault>) -> Vec<Given> {
        let mut given = Vec::new();
        let mut take = |shown: String, key: &str, text: &str| {
            let source = Source::Flag(shown);
            let read = match schema.key(key) {
                None => Err(schema.unknown(key)),
                Some(found) => {
                    text::value(found, text).map_err(|wanted| refused(key, text, &wanted))
                }
            };
            match read {
                Ok(value) => given.push(Given { key: key.to_owned(), value, source }),
                Err(reason) => faults.push(Fault { source, reason }),
            }
        };
        for flag in &self.flags {
            take(flag.shown.to_owned(), flag.key, &flag.text);
        }
        let mut pairs = Vec::new();
        let mut broken = Vec::new();
        for set in &self.set {
            match set.split_once('=') {
                Some((key, value)) => pairs.push((key.trim(), value.trim())),
                None => broken.push(set),
            }
        }
        for (key, value) in pairs {
            take(format!("--set {key}"), key, value);
        }
        faults.extend(broken.into_iter().map(|set| Fault {
            source: Source::Flag(format!("--set {set}")),
            reason: "write KEY=VALUE, such as server.max_calls=64".to_owned(),
        }));
        given
    }
}

/// What to say about a text that is no value of its key.
pub(super) fn refused(key: &str, text: &str, wanted: &str) -> String {
    format!("{key} is {}, must be {wanted}", text::shown(&text.into()))
}

fn content(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// Why a value is none that its key can take.
fn refusal(schema: &Schema, given: &Given) -> Option<String> {
    let key = schema.key(&given.key)?;
    let mut alone = given.value.clone();
    for name in given.key.rsplit('.') {
        alone = Value::Table(Table::from_iter([(name.to_owned(), alone)]));
    }
    let error = Settings::deserialize(alone).err()?;
    let (path, value) = (&given.key, given.shown());
    Some(match (text::fits(key, &given.value), key.kind, &given.value) {
        (false, _, _) => format!("{path} is {value}, must be {}", text::wanted(key)),
        (true, Kind::Whole, Value::Integer(..0)) => format!("{path} is {value}, must be 0 or more"),
        (true, Kind::Whole, _) => format!("{path} is {value}, must be smaller"),
        (true, _, _) => format!("{path} is {value}: {}", error.message()),
    })
}

/// The defaults with `given` over them, checked as a whole; nothing where they do not fit together.
fn compose(given: &[Given], faults: &mut Vec<Fault>) -> Option<Settings> {
    let source = |key: &str| {
        let set = given.iter().find(|given| given.key == key);
        set.map_or(Source::Default, |given| given.source.clone())
    };
    let mut table = Table::try_from(Settings::default()).expect("tested: the defaults are TOML");
    for given in given {
        put(&mut table, &given.key, given.value.clone());
    }
    match Settings::deserialize(Value::Table(table)) {
        Ok(settings) => {
            faults.extend(settings.breaches().into_iter().map(|breach| Fault {
                source: source(&breach.key),
                reason: format!("{} {}", breach.key, breach.reason),
            }));
            Some(settings)
        }
        Err(error) => {
            faults.push(Fault { source: Source::Default, reason: error.message().to_owned() });
            None
        }
    }
}

/// Sets the value at a path; its sections are made where they are missing.
fn put(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}
