//! `docs/security.md` says what is so.

use veriframe::config::entries;
use veriframe::server::auth::check_entry;

const MANUAL: &str = include_str!("../../../docs/security.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let mut parts = MANUAL.split(begin.as_str());
    parts.next();
    parts.filter_map(|rest| rest.split("```").next()).collect()
}

/// The paths of all values in a table.
fn paths(table: &toml::Table, above: &str) -> Vec<String> {
    let below = |name: &str| if above.is_empty() { name.into() } else { format!("{above}.{name}") };
    table
        .iter()
        .flat_map(|(name, value)| match value.as_table() {
            Some(table) => paths(table, &below(name)),
            None => vec![below(name)],
        })
        .collect()
}

#[test]
fn every_key_in_the_manual_is_one_of_the_configuration() {
    let known: Vec<String> = entries().into_iter().map(|entry| entry.key).collect();
    let (entries_of_key_files, settings): (Vec<&str>, Vec<&str>) =
        blocks("toml").into_iter().partition(|block| block.contains("[[certificate]]"));
    assert!(!entries_of_key_files.is_empty() && settings.len() >= 3);
    for block in settings {
        for path in paths(&toml::from_str(block).unwrap(), "") {
            assert!(known.contains(&path), "{path}");
        }
    }
    for block in entries_of_key_files {
        check_entry(block).unwrap();
    }
    let named = MANUAL.split('`').skip(1).step_by(2).filter(|word| {
        let path = word.chars().all(|sign| sign.is_ascii_lowercase() || "._*".contains(sign));
        path && (word.starts_with("server.") || word.starts_with("telemetry."))
    });
    let mut checked = 0;
    for word in named {
        let found = match word.strip_suffix('*') {
            Some(section) => known.iter().any(|key| key.starts_with(section)),
            None => known.iter().any(|key| key == word),
        };
        assert!(found, "{word}");
        checked += 1;
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn every_limit_in_the_manual_has_the_default_that_it_says() {
    let default = |key: &str| {
        let entry = entries().into_iter().find(|entry| entry.key == key);
        entry.unwrap_or_else(|| panic!("{key} is no key")).value
    };
    for (key, value, said) in [
        ("server.max_message_bytes", "\"64 MiB\"", "64 MiB"),
        ("server.images.max_bytes", "\"16 MiB\"", "16 MiB, 16 384 px a side, 64 megapixels"),
        ("server.images.max_side_px", "16384", "16 384 px"),
        ("server.images.max_pixels", "64000000", "64 megapixels"),
        ("server.limits.max_prompts", "256", "256 prompts"),
        ("server.max_calls", "512", "| 512, 256 |"),
        ("server.max_calls_per_connection", "256", "| 512, 256 |"),
        ("server.connections.max_connections", "1024", "| 1024, no limit |"),
        ("server.connections.max_connections_per_address", "0", "| 1024, no limit |"),
        ("server.tls.handshake_limit", "\"10s\"", "| 10 s, 256 |"),
        ("server.tls.max_handshakes", "256", "| 10 s, 256 |"),
        ("server.connections.opening_limit", "\"10s\"", "| 10 s |"),
        ("server.connections.max_header_bytes", "\"16 KiB\"", "| 16 KiB |"),
        ("server.connections.max_pending_resets", "20", "| 20 |"),
        ("server.connections.max_age", "\"0s\"", "| none |"),
        ("server.tls.reload_interval", "\"10s\"", "`reload_interval` (10 s)"),
    ] {
        assert_eq!(default(key), value, "{key}");
        assert!(MANUAL.contains(said), "{said}");
    }
}
