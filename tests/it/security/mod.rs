//! Who may call, over what, and how often: over the wire.

mod commands;
mod connections;
mod keys;
mod manual;
mod tls;

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status, Streaming};
use veriframe::proto::v1;
use veriframe::proto::v1::verification_service_client::VerificationServiceClient;
use veriframe::proto::v1::verify_stream_request::Message as Sent;
use veriframe::proto::v1::verify_stream_response::Message;
use veriframe::server::auth::Secret;
use veriframe::server::tls::ClientCertificates;
use veriframe::server::{Config, auth, tls as tls_config};

use crate::support::{Client, TestServer, encoded, png, similarity};

/// What no test may take longer for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends what would hang.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes no 30 seconds")
}

/// Tries until it succeeds: for what the other side does of itself, a moment later.
async fn until<T, E>(mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    in_time(async {
        loop {
            match attempt().await {
                Ok(value) => return value,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

/// An authority that signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = named(name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate of `localhost` for `name`, and its key.
    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = named(name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// What a client shows.
    fn identity(&self, name: &str) -> Identity {
        let (certificate, key) = self.sign(name, ExtendedKeyUsagePurpose::ClientAuth);
        Identity::from_pem(certificate, key)
    }

    /// How a client trusts this authority.
    fn trusted(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.pem))
            .domain_name("localhost")
            .timeout(PATIENCE)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// A server's files in a folder of their own.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A new certificate of the server, signed by `authority`.
    fn renew(&self, authority: &Authority) {
        let (certificate, key) = authority.sign("server", ExtendedKeyUsagePurpose::ServerAuth);
        self.write("tls.crt", &certificate);
        self.write("tls.key", &key);
    }

    /// TLS with what [`Files::renew`] wrote.
    fn tls(&self) -> tls_config::Config {
        tls_config::Config {
            certificate: Some(self.path("tls.crt")),
            key: Some(self.path("tls.key")),
            ..tls_config::Config::default()
        }
    }

    /// TLS that asks clients for certificates of `authority`.
    fn mutual(&self, authority: &Authority, client: ClientCertificates) -> tls_config::Config {
        self.write("ca.crt", &authority.pem);
        tls_config::Config {
            client_ca: Some(self.path("ca.crt")),
            client_certificates: client,
            ..self.tls()
        }
    }

    /// A key file with these entries.
    fn keys(&self, entries: &str) -> auth::Config {
        self.write("keys.toml", entries);
        auth::Config { keys: Some(self.path("keys.toml")), ..auth::Config::default() }
    }
}

/// The secret of a key called `id`.
fn secret(id: &str) -> Secret {
    format!("secret-of-{id:-<30}").parse().unwrap()
}

/// An entry of a key file, with the scope `inference` unless `rest` names others.
fn entry(id: &str, rest: &str) -> String {
    let scopes = if rest.contains("scopes") { "" } else { "scopes = ['inference']" };
    format!("[[key]]\nid = '{id}'\nsha256 = '{}'\n{scopes}\n{rest}\n\n", secret(id).hash())
}

/// Puts a key on calls.
type KeyedClient = VerificationServiceClient<
    InterceptedService<Channel, Box<dyn FnMut(Request<()>) -> Result<Request<()>, Status> + Send>>,
>;

fn with_key(channel: Channel, id: &str) -> KeyedClient {
    let value: MetadataValue<Ascii> = format!("Bearer {}", secret(id).reveal()).parse().unwrap();
    VerificationServiceClient::with_interceptor(
        channel,
        Box::new(move |mut request: Request<()>| {
            request.metadata_mut().insert("authorization", value.clone());
            Ok(request)
        }),
    )
}

impl TestServer {
    /// A connection over TLS.
    async fn tls(&self, config: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
        let address = format!("https://localhost:{}", self.address.port());
        let endpoint = Channel::from_shared(address).unwrap().connect_timeout(PATIENCE);
        in_time(endpoint.tls_config(config)?.connect()).await
    }
}

/// Has a server look at its files, as it does of itself every few seconds.
async fn reload(server: &TestServer) {
    let guard = Arc::clone(&server.guard);
    tokio::task::spawn_blocking(move || guard.reload()).await.unwrap();
}

/// Whether a cheap call is answered.
async fn answers(channel: Channel) -> Result<(), Status> {
    let mut client = Client::new(channel);
    in_time(client.list_models(v1::ListModelsRequest::default())).await.map(drop)
}

/// A stream that goes on for as long as it is wanted.
struct Conversation {
    frames: mpsc::Sender<v1::VerifyStreamRequest>,
    answers: Streaming<v1::VerifyStreamResponse>,
    sent: u64,
}

impl Conversation {
    fn requests() -> (mpsc::Sender<v1::VerifyStreamRequest>, ReceiverStream<v1::VerifyStreamRequest>)
    {
        let (frames, requests) = mpsc::channel(4);
        let config = v1::StreamConfig { similarity: similarity(&["a face"]), ..Default::default() };
        frames
            .try_send(v1::VerifyStreamRequest { message: Some(Sent::Config(config)) })
            .expect("the channel is empty");
        (frames, ReceiverStream::new(requests))
    }

    /// Sends a frame and waits for its result.
    async fn go_on(&mut self) -> Result<(), Status> {
        let frame = v1::Frame { sequence: self.sent, image: encoded(png(1)), ..Default::default() };
        self.sent += 1;
        let message = v1::VerifyStreamRequest { message: Some(Sent::Frame(frame)) };
        // Nobody takes it when the stream has ended; then the answers tell why.
        drop(self.frames.send(message).await);
        let answer = in_time(self.answers.message()).await?;
        match answer.and_then(|answer| answer.message) {
            Some(Message::Result(result)) if result.sequence + 1 == self.sent => Ok(()),
            other => panic!("{other:?} is not the result of frame {}", self.sent - 1),
        }
    }
}

/// Where evidence is from: kept, compared and told again as a text. That nobody goes there is tested
/// beside it: `evidence::kept::a_source_is_never_fetched`.
const NAMES_OF_SOURCES: [&str; 3] =
    ["EvidenceItem.source_uri", "EvidenceFilter.source_uris", "EvidenceCitation.source_uri"];

#[test]
fn a_picture_is_bytes_and_nothing_else_so_no_address_can_be_fetched() {
    use prost::Message as _;
    use prost_types::field_descriptor_proto::Type;
    let set = prost_types::FileDescriptorSet::decode(veriframe::proto::DESCRIPTORS).unwrap();
    let ours = set.file.iter().filter(|file| !file.package().starts_with("google."));
    let messages: Vec<_> = ours.flat_map(|file| &file.message_type).collect();
    let fields = |name: &str| {
        let message = messages.iter().find(|message| message.name() == name).unwrap();
        message.field.iter().map(|field| (field.name(), field.r#type())).collect::<Vec<_>>()
    };
    assert_eq!(fields("Image"), [("encoded", Type::Bytes), ("raw", Type::Message)]);
    assert!(fields("RawImage").iter().all(|(_, kind)| *kind != Type::String));
    for message in messages {
        for field in &message.field {
            let name = field.name().to_lowercase();
            let path = format!("{}.{name}", message.name());
            let is_address = ["url", "uri", "href"].iter().any(|word| name.contains(word));
            assert!(!is_address || NAMES_OF_SOURCES.contains(&path.as_str()), "{path}");
        }
    }
}
