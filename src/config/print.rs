//! Settings as they are in force, as a TOML file that says where each value comes from.

use super::load::{Given, Loaded};
use super::schema::{Key, Schema};

/// Where the comments begin, unless a value is longer.
const COMMENT_COLUMN: usize = 40;

impl Loaded {
    /// All settings as TOML, in the order of the sections. Read again as a file, they are the same
    /// settings, but for passwords in addresses, which are left out. A value that somebody set has
    /// its source behind it.
    pub fn to_toml(&self) -> String {
        let schema = Schema::new();
        let mut lines = vec!["# What is not commented is the default.".to_owned()];
        for section in schema.sections() {
            let own = |key: &&Key| key.path.rsplit_once('.').map_or("", |at| at.0) == section;
            let keys: Vec<&Key> = schema.keys().iter().filter(own).collect();
            if !keys.is_empty() {
                lines.extend([String::new(), format!("[{section}]")]);
            }
            for key in keys {
                lines.push(line(key, self.given.iter().find(|given| given.key == key.path)));
            }
        }
        lines.join("\n")
    }
}

fn line(key: &Key, given: Option<&Given>) -> String {
    let name = key.path.rsplit('.').next().unwrap_or_default();
    match (given, &key.default) {
        (Some(given), _) => {
            let pair = format!("{name} = {}", given.shown());
            format!("{pair:COMMENT_COLUMN$} # {}", given.source)
        }
        (None, Some(value)) => format!("{name} = {value}"),
        (None, None) => format!("# {name} is not set"),
    }
}
