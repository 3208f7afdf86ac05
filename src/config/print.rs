//! Settings as they are in force, as a TOML file that says where each value comes from.

use super::load::Loaded;
use super::manual::{Entry, entries};

/// Where the comments begin, unless a value is longer.
const COMMENT_COLUMN: usize = 40;

impl Loaded {
    /// All settings as TOML, in the order of the manual. Read again as a file, they are the same
    /// settings, but for passwords in addresses, which are left out. A value that somebody set has
    /// its source behind it.
    pub fn to_toml(&self) -> String {
        let mut lines = vec!["# What is not commented is the default.".to_owned()];
        let mut last = String::new();
        for entry in entries() {
            let (section, name) = entry.key.rsplit_once('.').unwrap_or(("", &entry.key));
            if section != last {
                lines.extend([String::new(), format!("[{section}]")]);
                section.clone_into(&mut last);
            }
            lines.push(self.line(&entry, name));
        }
        lines.join("\n")
    }

    fn line(&self, entry: &Entry, name: &str) -> String {
        match self.given.iter().find(|given| given.key == entry.key) {
            Some(given) => {
                let pair = format!("{name} = {}", given.shown());
                format!("{pair:COMMENT_COLUMN$} # {}", given.source)
            }
            None if entry.optional => format!("# {name} is not set"),
            None => format!("{name} = {}", entry.value),
        }
    }
}
