//! The configuration, through the program as people run it.

use std::path::Path;
use std::process::{Command, Output};

/// The program with an environment of `variables` alone.
fn veriframe(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VERIFRAME_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied()).output().unwrap()
}

/// What it prints where it succeeds.
fn prints(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = veriframe(arguments, variables);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says where it ends with 1.
fn fails(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = veriframe(arguments, variables);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A file of this content, as an argument.
fn file(folder: &Path, content: &str) -> String {
    let path = folder.join("given.toml");
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The line of a printed configuration that begins with `key = `, without spaces at its comment.
fn line(printed: &str, key: &str) -> String {
    let begins = format!("{key} = ");
    let found = printed.lines().find(|line| line.starts_with(&begins));
    let words: Vec<&str> = found.unwrap_or(key).split_whitespace().collect();
    words.join(" ")
}

#[test]
fn later_sources_win_and_each_value_tells_who_set_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        folder.path(),
        "[engine]\nmax_batch = 2\nmax_batch_wait = '3ms'\nrebuild_wait = '1s'\n",
    );
    let arguments = ["config", "print", "--config", &path, "--set", "engine.max_batch=4"];
    let variables =
        [("VERIFRAME_ENGINE_MAX_BATCH", "3"), ("VERIFRAME_ENGINE_MAX_BATCH_WAIT", "4ms")];
    let printed = prints(&arguments, &variables);
    assert_eq!(line(&printed, "max_batch"), "max_batch = 4 # --set engine.max_batch");
    assert_eq!(
        line(&printed, "max_batch_wait"),
        "max_batch_wait = \"4ms\" # VERIFRAME_ENGINE_MAX_BATCH_WAIT"
    );
    assert_eq!(line(&printed, "rebuild_wait"), format!("rebuild_wait = \"1s\" # {path}:4"));
    assert_eq!(line(&printed, "max_queued_items"), "max_queued_items = 256");

    let through = [("VERIFRAME_CONFIG", path.as_str()), ("VERIFRAME_MAX_BATCH", "5")];
    let printed = prints(&["config", "print"], &through);
    assert_eq!(line(&printed, "max_batch"), "max_batch = 5 # VERIFRAME_MAX_BATCH");
    assert_eq!(line(&printed, "max_batch_wait"), format!("max_batch_wait = \"3ms\" # {path}:3"));
}

#[test]
fn all_errors_of_all_sources_are_told_at_once_and_by_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        folder.path(),
        "[server]\nmax_cals = 3\nkeepalive_timeout = 5\n\n[server.limits]\nmax_prompts = 0\n\
         max_prompt_bytes = 'much'\n[log]\nformat = 'xml'\n",
    );
    let said = fails(
        &["config", "check", &path, "--set", "engine.max_batch=2000", "--set", "models.load"],
        &[("VERIFRAME_MODELS_THREADS", "-1"), ("VERIFRAME_MODELS_DEVICE", "gpu")],
    );
    for part in [
        "error: the configuration has 9 errors:".to_owned(),
        format!("{path}:2: there is no key server.max_cals; did you mean server.max_calls?"),
        format!("{path}:3: server.keepalive_timeout is 5, must be a text such as \"20s\""),
        format!("{path}:6: server.limits.max_prompts is 0, must be 1 to 65536"),
        format!("{path}:7: server.limits.max_prompt_bytes is \"much\": "),
        format!("{path}:9: log.format is \"xml\", must be text or json"),
        "VERIFRAME_MODELS_THREADS: models.threads is -1, must be 0 or more".to_owned(),
        "VERIFRAME_MODELS_DEVICE: models.device is \"gpu\": ".to_owned(),
        "--set engine.max_batch: engine.max_batch is 2000, must be 1 to 1024".to_owned(),
        "--set models.load: write KEY=VALUE".to_owned(),
    ] {
        assert!(said.contains(&part), "'{part}' is not in:\n{said}");
    }
}

#[test]
fn what_is_printed_is_read_as_the_same_settings() {
    let folder = tempfile::tempdir().unwrap();
    let set = ["server.drain_limit=7s", "models.load=a=/x,b=/y", "log.filter=veriframe=debug,warn"];
    let mut arguments = vec!["config", "print"];
    arguments.extend(set.iter().flat_map(|set| ["--set", set]));
    let bare = |printed: &str| -> toml::Table { toml::from_str(printed).unwrap() };
    let first = prints(&arguments, &[]);
    let path = file(folder.path(), &first);
    let second = prints(&["config", "print", "--config", &path], &[]);
    assert_eq!(bare(&first), bare(&second));
    assert_eq!(bare(&first)["models"]["load"].as_array().unwrap().len(), 2);
    assert_eq!(line(&first, "drain_limit"), "drain_limit = \"7s\" # --set server.drain_limit");
}

#[test]
fn the_default_file_is_right_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let defaults = prints(&["config", "print", "--defaults"], &[("VERIFRAME_NONSENSE", "1")]);
    let path = file(folder.path(), &defaults);
    // The file that is named goes before the one that the environment names.
    prints(&["config", "check", &path], &[("VERIFRAME_CONFIG", "/nowhere/a.toml")]);
    let table = |printed: &str| -> toml::Table { toml::from_str(printed).unwrap() };
    assert_eq!(table(&defaults), table(&prints(&["config", "print"], &[])));
    assert!(prints(&["config", "check"], &[]).contains("all is at its default"));
}

#[test]
fn every_key_is_listed_with_its_default_and_its_variable() {
    let listed = prints(&["config", "keys"], &[]);
    let row = |key: &str| {
        let row = listed.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("server.listen"), "server.listen \"127.0.0.1:50051\" VERIFRAME_LISTEN");
    let prompts = "server.limits.max_prompts 256 VERIFRAME_SERVER_LIMITS_MAX_PROMPTS";
    assert_eq!(row("server.limits.max_prompts"), prompts);
    let told = prints(&["config", "keys", "max_prompts"], &[]);
    assert!(
        told.starts_with("server.limits.max_prompts = 256    VERIFRAME_SERVER_LIMITS_"),
        "{told}"
    );
    assert!(told.contains("    Range: 1 to 65 536."), "{told}");
    let said = fails(&["config", "keys", "colour"], &[]);
    assert!(said.contains("no key has 'colour' in its path or meaning"), "{said}");
}

#[test]
fn serving_refuses_a_wrong_configuration_before_it_begins() {
    let said = fails(
        &["serve", "--listen", "nowhere", "--max-batch", "many", "--drain-seconds", "9999"],
        &[("VERIFRAME_SERVER_MAX_CALL", "3")],
    );
    for part in [
        "4 errors:",
        "--listen: server.listen is \"nowhere\"",
        "--max-batch: engine.max_batch is \"many\", must be a whole number",
        "--drain-seconds: server.drain_limit is 2h 46m 39s, must be 0s to 1h",
        "VERIFRAME_SERVER_MAX_CALL: no key has this variable; did you mean \
         VERIFRAME_SERVER_MAX_CALLS?",
    ] {
        assert!(said.contains(part), "'{part}' is not in:\n{said}");
    }
    let said = fails(&["serve", "--config", "/nowhere/a.toml"], &[]);
    assert!(said.contains("cannot read the configuration file /nowhere/a.toml: "), "{said}");
}

#[test]
fn a_flag_goes_before_its_variable_and_its_file() {
    let folder = tempfile::tempdir().unwrap();
    // A device that no parser knows, in every source: each is named, so each is read.
    let path = file(folder.path(), "[models]\ndevice = 'first'\n");
    let said = fails(
        &["serve", "--config", &path, "--device", "third"],
        &[("VERIFRAME_DEVICE", "second")],
    );
    let places = ["first", "second", "third"].map(|value| said.find(&format!("\"{value}\"")));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{said}");
}
