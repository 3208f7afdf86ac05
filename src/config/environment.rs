//! The environment: `VERIFRAME_` and the key's path, as in `VERIFRAME_SERVER_LIMITS_MAX_PROMPTS`.

use std::collections::BTreeMap;

use super::error::{Fault, Source};
use super::load::{Given, refused};
use super::schema::{Schema, nearest};
use super::text;

/// What every variable of this program begins with.
const PREFIX: &str = "VERIFRAME_";

/// Short names of some keys; a bare number has the unit behind it.
const SHORT: &[(&str, &str, &str)] = &[
    ("VERIFRAME_LISTEN", "server.listen", ""),
    ("VERIFRAME_METRICS", "telemetry.metrics_listen", ""),
    ("VERIFRAME_MODELS", "models.load", ""),
    ("VERIFRAME_DEMO_MODELS", "models.demo", ""),
    ("VERIFRAME_DEVICE", "models.device", ""),
    ("VERIFRAME_PRECISION", "models.precision", ""),
    ("VERIFRAME_THREADS", "models.threads", ""),
    ("VERIFRAME_CACHED_TEXTS", "models.cached_texts", ""),
    ("VERIFRAME_MAX_BATCH", "engine.max_batch", ""),
    ("VERIFRAME_MAX_BATCH_WAIT_MS", "engine.max_batch_wait", "ms"),
    ("VERIFRAME_MAX_QUEUED", "engine.max_queued_items", ""),
    ("VERIFRAME_MAX_IMAGE_SIDE", "server.images.max_side_px", ""),
    ("VERIFRAME_MAX_IMAGE_PIXELS", "server.images.max_pixels", ""),
    ("VERIFRAME_MAX_IMAGE_BYTES", "server.images.max_bytes", ""),
    ("VERIFRAME_DRAIN_SECONDS", "server.drain_limit", "s"),
    ("VERIFRAME_LOG", "log.filter", ""),
];

/// Variables that are no settings: which file to read, a client's key, and what this repository's
/// own tests and restarts use.
const OTHERS: &[&str] = &[
    "VERIFRAME_CONFIG",
    "VERIFRAME_ADDRESS",
    "VERIFRAME_API_KEY",
    "VERIFRAME_EVIDENCE_KILLS",
    "VERIFRAME_PARITY",
    "VERIFRAME_QDRANT",
    "VERIFRAME_STRESS",
    "VERIFRAME_THREADS_SETTLED",
];

/// The same for every name that begins so.
const OTHERS_BEGIN: &[&str] = &["VERIFRAME_TEST_", "VERIFRAME_FUZZ_", "VERIFRAME_STRESS_"];

/// Says `json` where it is on; older than `log.format`.
const LOG_JSON: &str = "VERIFRAME_LOG_JSON";

/// The variable of a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// The short name of a key, where it has one.
pub(super) fn short(key: &str) -> Option<&'static str> {
    SHORT.iter().find(|(_, path, _)| *path == key).map(|(name, _, _)| *name)
}

/// Reads the settings among `variables`; others are passed over, and so is an empty value.
pub(super) fn read(
    variables: &[(String, String)],
    schema: &Schema,
    faults: &mut Vec<Fault>,
) -> Vec<Given> {
    let names: BTreeMap<String, &str> =
        schema.keys().iter().map(|key| (variable(&key.path), key.path.as_str())).collect();
    let mut given: Vec<Given> = Vec::new();
    for (name, value) in variables {
        if !name.starts_with(PREFIX) || value.is_empty() {
            continue;
        }
        let source = Source::Environment(name.clone());
        let Some((path, value)) = meant(name, value, &names) else {
            if !is_other(name) {
                faults.push(Fault { source, reason: unknown(name, &names) });
            }
            continue;
        };
        let Some(key) = schema.key(path) else { continue };
        if let Some(twin) = given.iter().find(|given| given.key == path) {
            let reason = format!("{path} is set by {} too; keep one", twin.source);
            faults.push(Fault { source, reason });
            continue;
        }
        match text::value(key, &value) {
            Ok(value) => given.push(Given { key: key.path.clone(), value, source }),
            Err(wanted) => {
                let reason = refused(path, &value, &wanted);
                faults.push(Fault { source, reason });
            }
        }
    }
    given
}

/// The key that a variable sets, and the text it gives.
fn meant<'a>(
    name: &str,
    value: &str,
    names: &BTreeMap<String, &'a str>,
) -> Option<(&'a str, String)> {
    if let Some(path) = names.get(name) {
        return Some((path, value.to_owned()));
    }
    if name == LOG_JSON {
        let on = !matches!(value, "0" | "false" | "no" | "off");
        return Some(("log.format", if on { "json" } else { "text" }.to_owned()));
    }
    let (_, path, unit) = SHORT.iter().find(|(short, _, _)| *short == name)?;
    Some((path, with_unit(value, unit)))
}

/// `value` with `unit` behind it where it is a bare number.
pub(super) fn with_unit(value: &str, unit: &str) -> String {
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{value}{unit}")
    } else {
        value.to_owned()
    }
}

/// Whether a variable is known to be no setting.
fn is_other(name: &str) -> bool {
    OTHERS.contains(&name)
        || OTHERS_BEGIN.iter().any(|begin| name.starts_with(begin))
        || is_service_link(name)
}

/// Whether Kubernetes made the variable, as it does in every pod for a service named `veriframe` or
/// `veriframe-…`: `VERIFRAME_SERVICE_HOST`, `VERIFRAME_PORT_50051_TCP_ADDR` and the like.
fn is_service_link(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    words.windows(2).any(|pair| matches!(pair, ["SERVICE", "HOST" | "PORT"]))
        || words.last() == Some(&"PORT")
        || words.windows(3).any(|triple| {
            matches!(triple, ["PORT", number, "TCP" | "UDP" | "SCTP"]
                if number.bytes().all(|byte| byte.is_ascii_digit()))
        })
}

fn unknown(name: &str, names: &BTreeMap<String, &str>) -> String {
    let bare = |name: &str| name.trim_start_matches(PREFIX).to_owned();
    let known: Vec<String> = names
        .keys()
        .map(String::as_str)
        .chain(SHORT.iter().map(|(short, _, _)| *short))
        .map(bare)
        .collect();
    match nearest(&bare(name), known.iter().map(String::as_str)) {
        Some(near) => format!("no key has this variable; did you mean {PREFIX}{near}?"),
        None => "no key has this variable; see: veriframe config keys".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], given: &[&str], faults: &[&str]) {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut found = Vec::new();
        let read = read(&variables, &Schema::new(), &mut found);
        let read: Vec<String> = read.iter().map(|g| format!("{} = {}", g.key, g.value)).collect();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(read, given, "{variables:?}");
        assert_eq!(found, faults, "{variables:?}");
    }

    #[test]
    fn every_key_has_a_variable_of_its_own() {
        let schema = Schema::new();
        let mut names: BTreeMap<String, &str> = BTreeMap::new();
        for key in schema.keys() {
            let name = variable(&key.path);
            assert!(!is_other(&name), "{name} of {} is taken for no setting", key.path);
            let short = SHORT.iter().any(|(short, _, _)| *short == name) || name == LOG_JSON;
            assert!(!short, "{name} of {} is another key's short name", key.path);
            let twin = names.insert(name.clone(), &key.path);
            assert_eq!(twin, None, "{name} is also {}", key.path);
            let mut faults = Vec::new();
            let text = key.default.as_ref().and_then(|value| value.as_str().map(str::to_owned));
            let text = text.or_else(|| key.default.as_ref().map(ToString::to_string));
            let text = text.filter(|text| !text.is_empty()).unwrap_or_else(|| "1".into());
            let given = read(&[(name, text)], &schema, &mut faults);
            assert_eq!(given.len(), 1, "{}: {faults:?}", key.path);
            assert_eq!(given[0].key, key.path);
        }
        for (short, path, _) in SHORT {
            assert!(schema.key(path).is_some(), "{short} stands for {path}, which is no key");
        }
    }

    #[test]
    fn short_names_have_their_units() {
        check(
            &[
                ("VERIFRAME_MAX_BATCH_WAIT_MS", "5"),
                ("VERIFRAME_DRAIN_SECONDS", "7"),
                ("VERIFRAME_MODELS", "a=/x,b=/y"),
                ("VERIFRAME_LOG_JSON", "1"),
                ("VERIFRAME_DEVICE", ""),
                ("HOME", "/root"),
            ],
            &[
                "engine.max_batch_wait = \"5ms\"",
                "server.drain_limit = \"7s\"",
                "models.load = [\"a=/x\", \"b=/y\"]",
                "log.format = \"json\"",
            ],
            &[],
        );
    }

    #[test]
    fn what_is_no_setting_is_told_with_the_nearest_name() {
        check(
            &[("VERIFRAME_SERVER_LIMITS_MAX_PROMPT", "3"), ("VERIFRAME_COLOUR", "red")],
            &[],
            &[
                "VERIFRAME_SERVER_LIMITS_MAX_PROMPT: no key has this variable; did you mean \
                 VERIFRAME_SERVER_LIMITS_MAX_PROMPTS?",
                "VERIFRAME_COLOUR: no key has this variable; see: veriframe config keys",
            ],
        );
        check(
            &[("VERIFRAME_ENGINE_MAX_BATCH", "many"), ("VERIFRAME_MAX_BATCH", "3")],
            &["engine.max_batch = 3"],
            &["VERIFRAME_ENGINE_MAX_BATCH: engine.max_batch is \"many\", must be a whole number"],
        );
        check(
            &[("VERIFRAME_ENGINE_MAX_BATCH", "3"), ("VERIFRAME_MAX_BATCH", "4")],
            &["engine.max_batch = 3"],
            &["VERIFRAME_MAX_BATCH: engine.max_batch is set by VERIFRAME_ENGINE_MAX_BATCH too; \
               keep one"],
        );
    }

    #[test]
    fn variables_that_others_make_are_passed_over() {
        for name in [
            "VERIFRAME_CONFIG",
            "VERIFRAME_API_KEY",
            "VERIFRAME_PARITY",
            "VERIFRAME_THREADS_SETTLED",
            "VERIFRAME_TEST_CHILD",
            "VERIFRAME_SERVICE_HOST",
            "VERIFRAME_SERVICE_PORT",
            "VERIFRAME_SERVICE_PORT_GRPC",
            "VERIFRAME_PORT",
            "VERIFRAME_PORT_50051_TCP",
            "VERIFRAME_PORT_50051_TCP_ADDR",
            "VERIFRAME_SERVER_PORT",
            "VERIFRAME_SERVER_PORT_9464_TCP_PROTO",
        ] {
            check(&[(name, "tcp://10.0.0.1:50051")], &[], &[]);
        }
    }
}
