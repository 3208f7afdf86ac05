//! TLS, mutual TLS, and certificates that change while the server runs.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use veriframe::telemetry::Exporter;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_server_answers_over_tls_and_refuses_plaintext() {
    let (files, authority) = (Files::new(), Authority::new("authority"));
    files.renew(&authority);
    let server = TestServer::with(Config { tls: files.tls(), ..Config::default() }).await;
    answers(server.tls(authority.trusted()).await.unwrap()).await.unwrap();

    let stranger = Authority::new("stranger");
    assert!(server.tls(stranger.trusted()).await.is_err(), "a client must know the authority");
    let mut raw = TcpStream::connect(server.address).unwrap();
    raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = tokio::task::spawn_blocking(move || {
        let mut told = Vec::new();
        raw.read_to_end(&mut told).map(|_| told)
    });
    let told = told.await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&told).contains("this port speaks TLS"), "{told:?}");
    let plain = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    let plain = in_time(async {
        match plain.connect().await {
            Ok(channel) => answers(channel).await.map_err(drop),
            Err(_) => Err(()),
        }
    });
    assert!(plain.await.is_err());
    answers(server.tls(authority.trusted()).await.unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls_lets_in_whom_its_authority_signed() {
    let (files, authority, clients) =
        (Files::new(), Authority::new("authority"), Authority::new("clients"));
    files.renew(&authority);
    let stranger = Authority::new("clients");
    for (wanted, without_is_answered) in
        [(ClientCertificates::Required, false), (ClientCertificates::Optional, true)]
    {
        let tls = files.mutual(&clients, wanted);
        let server = TestServer::with(Config { tls, ..Config::default() }).await;
        // In TLS 1.3 a client learns only with its first read that it is refused.
        let call = async |config: ClientTlsConfig| match server.tls(config).await {
            Ok(channel) => answers(channel).await.is_ok(),
            Err(_) => false,
        };
        let known = authority.trusted().identity(clients.identity("robot"));
        assert!(call(known).await, "{wanted:?}");
        let unknown = authority.trusted().identity(stranger.identity("robot"));
        assert!(!call(unknown).await, "{wanted:?}");
        assert_eq!(call(authority.trusted()).await, without_is_answered, "{wanted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_stands_for_a_key_where_it_is_mapped() {
    let (files, authority) = (Files::new(), Authority::new("authority"));
    files.renew(&authority);
    let entries = "[[certificate]]\nid = 'robot'\nsubject = 'CN=robot'\nscopes = ['inference']\n";
    let tls = files.mutual(&authority, ClientCertificates::Optional);
    let auth = files.keys(&(entries.to_owned() + &entry("ci", "")));
    let server = TestServer::with(Config { tls, auth, ..Config::default() }).await;
    let mapped = authority.trusted().identity(authority.identity("robot"));
    answers(server.tls(mapped).await.unwrap()).await.unwrap();
    let unmapped = authority.trusted().identity(authority.identity("other"));
    let refused = answers(server.tls(unmapped).await.unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("certificate 'CN=other' has no scopes"), "{refused:?}");
    let mut keyed = with_key(server.tls(authority.trusted()).await.unwrap(), "ci");
    in_time(keyed.list_models(v1::ListModelsRequest::default())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_connections_use_the_new_certificate_and_running_streams_go_on() {
    let (files, old, new) = (Files::new(), Authority::new("old"), Authority::new("new"));
    files.renew(&old);
    let server = TestServer::with(Config { tls: files.tls(), ..Config::default() }).await;
    let mut client = Client::new(server.tls(old.trusted()).await.unwrap());
    let (frames, requests) = Conversation::requests();
    let answers_of = in_time(client.verify_stream(requests)).await.unwrap().into_inner();
    let mut stream = Conversation { frames, answers: answers_of, sent: 0 };
    stream.go_on().await.unwrap();

    files.renew(&new);
    reload(&server).await;
    answers(server.tls(new.trusted()).await.unwrap()).await.unwrap();
    assert!(server.tls(old.trusted()).await.is_err());
    stream.go_on().await.unwrap();

    // What cannot be used changes nothing.
    for (file, broken) in [("tls.crt", "no certificate"), ("tls.key", "no key")] {
        files.write(file, broken);
        reload(&server).await;
        answers(server.tls(new.trusted()).await.unwrap()).await.unwrap();
    }
    files.renew(&old);
    reload(&server).await;
    answers(server.tls(old.trusted()).await.unwrap()).await.unwrap();
    stream.go_on().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_the_expiry_each_reload_and_each_refusal() {
    let exporter = Exporter::install(Some(([127, 0, 0, 1], 0).into())).await.unwrap();
    let (files, authority) = (Files::new(), Authority::new("authority"));
    files.renew(&authority);
    let config =
        Config { tls: files.tls(), auth: files.keys(&entry("ci", "")), ..Config::default() };
    let server = TestServer::with(config).await;
    let channel = server.tls(authority.trusted()).await.unwrap();
    answers(channel.clone()).await.unwrap_err();
    files.renew(&authority);
    files.keys("no key file");
    reload(&server).await;
    let address = exporter.address().unwrap();
    let page = tokio::task::spawn_blocking(move || page(address)).await.unwrap();
    drop(channel);
    // Tests beside this one count as well.
    for (series, at_least) in [
        // The year 4096, as the test's authority says.
        ("veriframe_certificate_expiry_seconds{kind=\"server\"}", 67_090_118_400.0),
        ("veriframe_reloads_total{what=\"certificates\",outcome=\"ok\"}", 1.0),
        ("veriframe_reloads_total{what=\"keys\",outcome=\"failed\"}", 1.0),
        ("veriframe_rejected_total{cause=\"unauthenticated\"}", 1.0),
        ("veriframe_connections", 1.0),
    ] {
        let line = page.lines().find_map(|line| line.strip_prefix(series)).expect(series);
        let value: f64 = line.trim().parse().unwrap();
        assert!(value >= at_least, "{series} {value}");
    }
}

/// The page at `/metrics`.
fn page(address: SocketAddr) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    connection.write_all(request).unwrap();
    let mut page = String::new();
    connection.read_to_string(&mut page).unwrap();
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_stall_keep_nobody_waiting_and_are_ended() {
    let (files, authority) = (Files::new(), Authority::new("authority"));
    files.renew(&authority);
    let tls = tls_config::Config { max_handshakes: 2, ..files.tls() };
    let server = TestServer::with(Config { tls, ..Config::default() }).await;
    let mut stalled: Vec<TcpStream> =
        (0..5).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    for stream in &mut stalled {
        stream.write_all(&[22, 3, 1]).unwrap();
    }
    answers(server.tls(authority.trusted()).await.unwrap()).await.unwrap();
    // The oldest had to give way.
    let oldest = stalled.remove(0);
    assert!(ended(oldest).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_ends_with_its_time() {
    let (files, authority) = (Files::new(), Authority::new("authority"));
    files.renew(&authority);
    let tls = tls_config::Config { handshake_limit: Duration::from_millis(20), ..files.tls() };
    let server = TestServer::with(Config { tls, ..Config::default() }).await;
    assert!(ended(TcpStream::connect(server.address).unwrap()).await);
}

/// Whether the other side closes the connection before anyone loses patience.
async fn ended(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let read = tokio::task::spawn_blocking(move || stream.read(&mut [0; 1]));
    match read.await.unwrap() {
        Ok(read) => read == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}
