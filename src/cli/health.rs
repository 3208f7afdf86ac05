//! `veriframe health`: whether a server serves, by its exit code.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::client::{ServerArgs, explained};
use super::output;

/// Ask a server whether it serves; the exit code tells, for probes and scripts.
///
/// Examples:
///   veriframe health
///   veriframe health --server 127.0.0.1:50051 --service live
///   veriframe health --server https://localhost:50051 --ca ca.pem --tls-name veriframe.example
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    mut_arg("server", |server| server
        .default_value("127.0.0.1:50051")
        .help("The server: HOST:PORT, or https://HOST:PORT for TLS"))
)]
#[expect(clippy::doc_markdown, reason = "examples stand as they are typed")]
pub(super) struct HealthArgs {
    /// What to ask about: live (the process works), ready (it wants requests), a service's full
    /// name, or model/NAME.
    #[arg(long, default_value = "ready")]
    service: String,
    /// How long an answer may take, such as 2s.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command: an error where the answer is not SERVING, or does not come.
pub(super) fn run(args: &HealthArgs) -> anyhow::Result<()> {
    let asked = async { tokio::time::timeout(args.timeout, ask(args)).await };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime
        .block_on(asked)
        .with_context(|| format!("no answer within {:?}", args.timeout))??;
    let told = format!("{}: {}", args.service, status.as_str_name());
    anyhow::ensure!(status == ServingStatus::Serving, told);
    output::say(told);
    Ok(())
}

async fn ask(args: &HealthArgs) -> anyhow::Result<ServingStatus> {
    let mut client = HealthClient::new(args.server.connect().await?);
    let request = HealthCheckRequest { service: args.service.clone() };
    let answer = client.check(request).await.map_err(|status| {
        if status.code() == Code::NotFound {
            return anyhow::anyhow!("the server knows nothing named '{}'", args.service);
        }
        explained(&status)
    })?;
    Ok(answer.into_inner().status())
}
