//! The commands' side: certificates, keys, and what they print.

use std::process::{Command, Output, Stdio};

use super::*;

/// The program, without what this process has in its environment.
fn veriframe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
    command.env_remove("VERIFRAME_API_KEY").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_speaks_mutual_tls_and_sends_its_key() {
    let (files, authority) = (Files::new(), Authority::new("authority"));
    files.renew(&authority);
    let (certificate, key) = authority.sign("robot", ExtendedKeyUsagePurpose::ClientAuth);
    files.write("client.crt", &certificate);
    files.write("client.key", &key);
    fs::write(files.path("face.png"), png(1)).unwrap();
    let tls = files.mutual(&authority, ClientCertificates::Required);
    let config = Config { tls, auth: files.keys(&entry("ci", "")), ..Config::default() };
    let server = TestServer::with(config).await;
    let run = async |key: Option<&str>| -> Output {
        let mut command = veriframe();
        let address = format!("https://localhost:{}", server.address.port());
        command.arg("verify").arg(files.path("face.png")).args(["--prompt", "a face"]);
        command.args(["--server", &address]).arg("--ca").arg(files.path("ca.crt"));
        command.arg("--client-cert").arg(files.path("client.crt"));
        command.arg("--client-key").arg(files.path("client.key"));
        command.envs(key.map(|key| ("VERIFRAME_API_KEY", key)));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let known = run(Some(secret("ci").reveal())).await;
    assert!(known.status.success(), "{}", text(&known.stderr));
    assert!(text(&known.stdout).contains("a face"), "{known:?}");
    let unknown = run(Some(secret("other").reveal())).await;
    assert!(!unknown.status.success());
    let said = text(&unknown.stdout) + &text(&unknown.stderr);
    assert!(said.contains("Unauthenticated") && !said.contains(secret("other").reveal()), "{said}");
    let without = run(None).await;
    assert!(text(&without.stderr).contains("no API key"), "{without:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_talks_to_tls_in_the_wrong_way_is_told_the_right_one() {
    let (files, authority) = (Files::new(), Authority::new("authority"));
    files.renew(&authority);
    files.write("stranger.crt", &Authority::new("stranger").pem);
    fs::write(files.path("face.png"), png(1)).unwrap();
    let server = TestServer::with(Config { tls: files.tls(), ..Config::default() }).await;
    let port = server.address.port();
    for (address, ca, advice) in [
        (format!("localhost:{port}"), None, "write https:// before its address"),
        (format!("https://localhost:{port}"), Some("stranger.crt"), "vouches for it with --ca"),
        (format!("http://localhost:{port}"), Some("stranger.crt"), "write https://"),
    ] {
        let mut command = veriframe();
        command.arg("verify").arg(files.path("face.png")).args(["--prompt", "a face"]);
        command.args(["--server", &address]);
        command.args(ca.iter().flat_map(|ca| ["--ca".into(), files.path(ca)]));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(advice), "{address} {said}");
    }
}

#[test]
fn a_new_key_is_printed_once_and_its_entry_is_one_that_the_server_reads() {
    let files = Files::new();
    let made = veriframe()
        .args(["keys", "new", "--id", "ci", "--scope", "inference", "--scope", "admin"])
        .args(["--rate", "5", "--burst", "9", "--concurrency", "2", "--expires", "2099-12-31"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let printed = text(&made.stdout);
    let (first, rest) = printed.split_once('\n').unwrap();
    let secret = first.strip_prefix("secret, shown this once: ").unwrap();
    assert!(secret.starts_with("vf_") && !rest.contains(secret), "{printed}");
    let entry = &rest[rest.find("[[key]]").unwrap()..];
    files.write("keys.toml", entry);
    let checked = veriframe().args(["keys", "check"]).arg(files.path("keys.toml")).output();
    assert!(text(&checked.unwrap().stdout).ends_with("1 entries\n"));

    files.write("secret", &format!("{secret}\n"));
    let input = fs::File::open(files.path("secret")).unwrap();
    let hashed = veriframe().args(["keys", "hash"]).stdin(input).output().unwrap();
    let hash = text(&hashed.stdout).trim().to_owned();
    assert!(entry.contains(&format!("sha256 = \"{hash}\"")), "{hash} is not in\n{entry}");
}

#[test]
fn a_weak_secret_and_a_wrong_file_are_refused_without_being_shown() {
    let files = Files::new();
    files.write("secret", "hunter2");
    let input = fs::File::open(files.path("secret")).unwrap();
    let weak = veriframe().args(["keys", "hash"]).stdin(input).output().unwrap();
    let said = text(&weak.stderr);
    assert!(said.contains("7 characters, must have 24 to 512"), "{said}");
    files.write("keys.toml", "[[key]]\nid = 'ci'\nsecret = 'vf_hush'\n");
    let wrong = veriframe().args(["keys", "check"]).arg(files.path("keys.toml")).output().unwrap();
    let said = text(&wrong.stderr);
    assert!(!wrong.status.success() && said.contains("line 3: unknown field"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}
