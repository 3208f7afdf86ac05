//! `grpc.health.v1`, honest from the first moment.

use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::service::Verification;
use crate::proto::v1::verification_service_server::VerificationServiceServer;

/// The health service's name for "the process works"; SERVING from start to end.
pub const LIVE: &str = "live";
/// The health service's name for "send requests here"; the same as that of the empty name.
pub const READY: &str = "ready";

/// Names whose health is whether requests are served.
const READINESS: [&str; 3] =
    ["", READY, <VerificationServiceServer<Verification> as NamedService>::NAME];

/// What the health service tells.
#[derive(Clone, Debug)]
pub(super) struct Health(HealthReporter);

impl Health {
    /// Live and not ready. (Of itself tonic's service says SERVING for the empty name.)
    pub(super) async fn new() -> (Self, HealthServer<HealthService>) {
        let reporter = HealthReporter::new();
        let health = Self(reporter.clone());
        health.set(ServingStatus::NotServing).await;
        reporter.set_service_status(LIVE, ServingStatus::Serving).await;
        (health, HealthServer::new(HealthService::from_health_reporter(reporter)))
    }

    /// Models have answered.
    pub(super) async fn ready(&self) {
        self.set(ServingStatus::Serving).await;
        tracing::info!("ready");
    }

    /// No new calls, please.
    pub(super) async fn stop(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        for name in READINESS {
            self.0.set_service_status(name, status).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Request;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus as Wire;
    use tonic_health::pb::health_server::Health as _;

    use super::*;

    #[tokio::test]
    async fn ready_is_told_only_between_warm_up_and_shutdown() {
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter.clone());
        let health = Health(reporter);
        let told = async |name: &str| {
            let request = Request::new(HealthCheckRequest { service: name.to_owned() });
            service.check(request).await.unwrap().into_inner().status()
        };
        health.set(ServingStatus::NotServing).await;
        assert_eq!(told("").await, Wire::NotServing);
        assert_eq!(told(READY).await, Wire::NotServing);
        health.ready().await;
        assert_eq!(told("").await, Wire::Serving);
        assert_eq!(told("veriframe.v1.VerificationService").await, Wire::Serving);
        health.stop().await;
        assert_eq!(told(READY).await, Wire::NotServing);
    }
}
