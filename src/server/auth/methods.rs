//! Which scope each method needs: the one table.

use serde::{Deserialize, Serialize};

/// What a caller may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask about pictures, search and read evidence, and read what models there are.
    Inference,
    /// Change what evidence there is.
    Evidence,
    /// Load, unload and exchange models.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inference, Self::Evidence, Self::Admin];

    /// As the key file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Evidence => "evidence",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| format!("scope '{text}' is unknown; use inference, evidence or admin"))
    }
}

/// What a method asks of its caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// Nothing: probes have no keys.
    Open,
    /// A scope.
    Needs(Scope),
}

/// Services that everyone may call. (Reflection is not served where it is not offered.)
const OPEN_SERVICES: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];
/// Methods that everyone may call: the probes of the Open Inference Protocol.
const OPEN_METHODS: [&str; 2] =
    ["/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ServerReady"];
/// Services that need the scope `admin`.
const ADMIN_SERVICES: [&str; 1] = ["/veriframe.v1.AdminService/"];
/// Methods that need the scope `admin`.
const ADMIN_METHODS: [&str; 3] = [
    "/inference.GRPCInferenceService/RepositoryIndex",
    "/inference.GRPCInferenceService/RepositoryModelLoad",
    "/inference.GRPCInferenceService/RepositoryModelUnload",
];

/// Methods that need the scope `evidence`.
const EVIDENCE_METHODS: [&str; 5] = [
    "/veriframe.v1.EvidenceService/CreateCollection",
    "/veriframe.v1.EvidenceService/DeleteCollection",
    "/veriframe.v1.EvidenceService/UpsertItems",
    "/veriframe.v1.EvidenceService/IngestItems",
    "/veriframe.v1.EvidenceService/DeleteItems",
];

/// What the method at `path` asks. A method that is not in the table is inference: so is a new one
/// that nobody has thought of, and one that does not exist.
pub(super) fn access(path: &str) -> Access {
    if ADMIN_METHODS.contains(&path) || ADMIN_SERVICES.iter().any(|name| path.starts_with(name)) {
        Access::Needs(Scope::Admin)
    } else if EVIDENCE_METHODS.contains(&path) {
        Access::Needs(Scope::Evidence)
    } else if OPEN_METHODS.contains(&path)
        || OPEN_SERVICES.iter().any(|name| path.starts_with(name))
    {
        Access::Open
    } else {
        Access::Needs(Scope::Inference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_scope() {
        const ADMIN: Access = Access::Needs(Scope::Admin);
        const INFERENCE: Access = Access::Needs(Scope::Inference);
        for (path, expected) in [
            ("/veriframe.v1.AdminService/LoadModel", ADMIN),
            ("/veriframe.v1.AdminService/AnythingNew", ADMIN),
            ("/inference.GRPCInferenceService/RepositoryModelLoad", ADMIN),
            ("/inference.GRPCInferenceService/RepositoryModelUnload", ADMIN),
            ("/inference.GRPCInferenceService/RepositoryIndex", ADMIN),
            ("/inference.GRPCInferenceService/ModelInfer", INFERENCE),
            ("/inference.GRPCInferenceService/ServerLive", Access::Open),
            ("/veriframe.v1.VerificationService/Verify", INFERENCE),
            ("/veriframe.v1.EvidenceService/SearchEvidence", INFERENCE),
            ("/veriframe.v1.EvidenceService/UpsertItems", Access::Needs(Scope::Evidence)),
            ("/veriframe.v1.EvidenceService/DeleteCollection", Access::Needs(Scope::Evidence)),
            ("/grpc.health.v1.Health/Watch", Access::Open),
            ("/grpc.health.v1.HealthX/Check", INFERENCE),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Access::Open),
            ("/grpc.reflection.v2.Other/Call", INFERENCE),
            ("/", INFERENCE),
            ("", INFERENCE),
        ] {
            assert_eq!(access(path), expected, "{path}");
        }
    }
}
