//! The server that a command talks to: one that runs already, or one of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Request, Status};

use super::options::{catalog, store};
use crate::config::Settings;
use crate::evidence::Store;
use crate::proto::v1::answer_service_client::AnswerServiceClient;
use crate::proto::v1::evidence_service_client::EvidenceServiceClient;
use crate::proto::v1::verification_service_client::VerificationServiceClient;
use crate::retrieval::Library;
use crate::server;
use crate::server::auth::Secret;
use crate::serving::{Catalog, Options};

/// The most that one answer may weigh: heatmaps of a large frame.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A free port of the loopback.
pub(super) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where systems keep the certificates of public authorities, most common first.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Which server to talk to, and how.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ServerArgs {
    /// A server that runs already: HOST:PORT, or https://HOST:PORT for TLS. The command starts one
    /// of its own where none is given.
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,
    /// PEM file of the authorities that may vouch for the server; the system's where none is given.
    #[arg(long, value_name = "PEM", requires = "server")]
    ca: Option<PathBuf>,
    /// The name that the server's certificate has, where it is not the address's.
    #[arg(long, value_name = "NAME", requires = "server")]
    tls_name: Option<String>,
    /// PEM file of a certificate to show to the server (mutual TLS), with --client-key.
    #[arg(long, value_name = "PEM", requires = "server", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    #[arg(long, value_name = "PEM", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// API key; better given by the environment, where no list of processes shows it.
    #[arg(long, value_name = "KEY", env = "VERIFRAME_API_KEY", hide_env_values = true)]
    api_key: Option<Secret>,
}

impl ServerArgs {
    /// Connects to the server that is named.
    pub(super) async fn connect(&self) -> anyhow::Result<Line> {
        let address =
            self.server.as_deref().context("no server is named: give --server ADDRESS")?;
        connect(address, self).await
    }
}

/// Puts the API key on every call.
#[derive(Clone)]
pub(super) struct WithKey(Option<MetadataValue<Ascii>>);

impl Interceptor for WithKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// What a command needs a server of its own to have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Needs {
    /// The models of the settings.
    Models,
    /// The store of evidence alone: nothing is loaded, and there need be no models.
    Store,
}

/// The connection of every command.
pub(super) type Line = InterceptedService<Channel, WithKey>;

/// The client of every command that verifies.
pub(super) type Client = VerificationServiceClient<Line>;

/// The client of commands about evidence.
pub(super) type EvidenceClient = EvidenceServiceClient<Line>;

/// A connected client; a server of its own stops with it.
pub(super) struct Session<C = Client> {
    pub(super) client: C,
    line: Line,
    own: Option<OwnServer>,
}

struct OwnServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), server::ServerError>>,
}

impl Session {
    /// Connects to the server of `args`, or starts one on a free loopback port with `settings` and
    /// the store of evidence that they name, if any.
    pub(super) async fn open(args: &ServerArgs, settings: &Settings) -> anyhow::Result<Self> {
        Self::open_at(ANY_PORT, args, settings).await
    }

    /// The same, with a server of its own listening on `listen`.
    pub(super) async fn open_at(
        listen: SocketAddr,
        args: &ServerArgs,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let (line, own) = if args.server.is_some() {
            (args.connect().await?, None)
        } else {
            let listener = listen_on(listen).await?;
            let store = store(&settings.evidence).await?;
            let (line, own) = start(listener, settings, store, Needs::Models).await?;
            (line, Some(own))
        };
        let client = VerificationServiceClient::new(line.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES);
        Ok(Self { client, line, own })
    }

    /// A client that has answers checked, over the same connection.
    pub(super) fn answers(&self) -> AnswerServiceClient<Line> {
        AnswerServiceClient::new(self.line.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES)
    }
}

impl Session {
    /// A client of the evidence, over the same connection.
    pub(super) fn evidence_client(&self) -> EvidenceClient {
        evidence(&self.line)
    }
}

impl Session<EvidenceClient> {
    /// Connects to the server of `args`, or starts one on a free loopback port with `settings`, the
    /// store that they name, and what else the command needs.
    pub(super) async fn evidence(
        args: &ServerArgs,
        settings: &Settings,
        needs: Needs,
    ) -> anyhow::Result<Self> {
        let (line, own) = if args.server.is_some() {
            (args.connect().await?, None)
        } else {
            let store = store(&settings.evidence).await?.context(
                "no evidence is named: give --server ADDRESS or --data DIR, or set evidence.store",
            )?;
            let listener = listen_on(ANY_PORT).await?;
            let (line, own) = start(listener, settings, Some(store), needs).await?;
            (line, Some(own))
        };
        Ok(Self { client: evidence(&line), line, own })
    }
}

impl<C> Session<C> {
    /// Where a server of its own listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.own.as_ref().map(|own| own.address)
    }

    /// Ends a server of its own, in order.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let Some(own) = self.own else { return Ok(()) };
        drop((self.client, self.line));
        // It may have ended by itself; then the join tells why.
        drop(own.stop);
        own.done.await?.context("the server ended with an error")
    }
}

fn evidence(line: &Line) -> EvidenceClient {
    EvidenceServiceClient::new(line.clone())
        .max_decoding_message_size(MAX_ANSWER_BYTES)
        .max_encoding_message_size(MAX_ANSWER_BYTES)
}

async fn listen_on(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Starts a server of this command's own.
async fn start(
    listener: TcpListener,
    settings: &Settings,
    store: Option<Arc<Store>>,
    needs: Needs,
) -> anyhow::Result<(Line, OwnServer)> {
    // It lives for this command alone: who may call it, and whether in cipher, is of no use.
    let config = server::Config {
        tls: server::tls::Config::default(),
        auth: server::auth::Config::default(),
        ..settings.server.clone()
    };
    let answers = settings.answers.clone();
    let catalog = Arc::new(models(settings, needs).await?);
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        // A dropped sender means the same as a message: stop.
        drop(stopped.await);
    };
    let limits = config.image_limits;
    let library = store.map(|store| Library::new(store, Arc::clone(&catalog), limits));
    let offer = server::Offer { catalog, library, answers };
    let done = tokio::spawn(server::run(listener, offer, config, shutdown));
    let line = connect(&address.to_string(), &ServerArgs::default()).await?;
    Ok((line, OwnServer { address, stop, done }))
}

/// The models of a server of this command's own.
async fn models(settings: &Settings, needs: Needs) -> anyhow::Result<Catalog> {
    match needs {
        Needs::Models => {
            let settings = settings.clone();
            tokio::task::spawn_blocking(move || catalog(&settings)).await?
        }
        Needs::Store => Ok(Catalog::new(Options::default(), None)),
    }
}

async fn connect(address: &str, args: &ServerArgs) -> anyhow::Result<Line> {
    let address =
        if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let uri: Uri = address
        .parse()
        .with_context(|| format!("'{address}' is no address, such as 127.0.0.1:50051"))?;
    let mut endpoint = Endpoint::from(uri.clone()).connect_timeout(Duration::from_secs(10));
    if uri.scheme_str() == Some("https") {
        endpoint = endpoint.tls_config(tls(args)?).context("TLS")?;
    } else {
        anyhow::ensure!(
            args.ca.is_none() && args.client_cert.is_none() && args.tls_name.is_none(),
            "certificates are for TLS: write https:// before the address of --server"
        );
        if args.api_key.is_some() && !is_loopback(&uri) {
            tracing::warn!(%address, "the API key travels unencrypted; use https://");
        }
    }
    let channel = endpoint.connect().await.with_context(|| match uri.scheme_str() {
        Some("https") => format!(
            "no TLS with a server at {address}; if one runs there, name the authority that vouches \
             for it with --ca, and show a certificate if it asks for one"
        ),
        _ => format!("no server answers at {address}; start one with: veriframe serve"),
    })?;
    let with_key = WithKey(args.api_key.as_ref().map(bearer).transpose()?);
    Ok(InterceptedService::new(channel, with_key))
}

fn tls(args: &ServerArgs) -> anyhow::Result<ClientTlsConfig> {
    let authorities = match &args.ca {
        Some(path) => read(path, "--ca")?,
        None => system_authorities()?,
    };
    let config = ClientTlsConfig::new()
        .timeout(Duration::from_secs(10))
        .ca_certificate(Certificate::from_pem(authorities));
    let config = match &args.tls_name {
        Some(name) => config.domain_name(name),
        None => config,
    };
    Ok(match (&args.client_cert, &args.client_key) {
        (Some(certificate), Some(key)) => config.identity(Identity::from_pem(
            read(certificate, "--client-cert")?,
            read(key, "--client-key")?,
        )),
        _ => config,
    })
}

fn system_authorities() -> anyhow::Result<Vec<u8>> {
    let path = SYSTEM_AUTHORITIES.iter().map(Path::new).find(|path| path.exists());
    let path = path.context("this system has no list of authorities; name one with --ca PEM")?;
    read(path, "the system's authorities")
}

fn read(path: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{what}: cannot read {}", path.display()))
}

/// The header of a key, which no log shows.
fn bearer(key: &Secret) -> anyhow::Result<MetadataValue<Ascii>> {
    let mut value: MetadataValue<Ascii> =
        format!("Bearer {}", key.reveal()).parse().context("the API key is no header")?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An error of a call in words: what the server answers, or why there was no answer.
pub(super) fn explained(status: &tonic::Status) -> anyhow::Error {
    let mut reason = status.message().to_owned();
    let Some(mut error) = std::error::Error::source(status) else {
        return anyhow::anyhow!("the server answers {:?}: {reason}", status.code());
    };
    loop {
        reason = format!("{reason}: {error}");
        let Some(source) = error.source() else { break };
        error = source;
    }
    anyhow::anyhow!(
        "the connection to the server failed: {reason}; if it speaks TLS, write https:// before \
         its address"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (address, expected) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://10.0.0.1:1", false),
            ("http://localhost.example:1", false),
        ] {
            assert_eq!(is_loopback(&address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_key_is_shown_by_no_debug() {
        let key: Secret = "vf_a-key-that-nobody-may-read".parse().unwrap();
        let args = ServerArgs { api_key: Some(key.clone()), ..ServerArgs::default() };
        let value = bearer(&key).unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer vf_a-key-that-nobody-may-read");
        let shown = format!("{args:?} {value:?}");
        assert!(!shown.contains("nobody"), "{shown}");
    }
}
