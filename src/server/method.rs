//! Every method that is served, by its path.

/// What a path stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Method {
    /// Service and method, `veriframe.v1.VerificationService/Verify`; `unknown` for others, so that
    /// nobody outside can make names.
    pub(super) path: &'static str,
    /// What it does.
    pub(super) kind: Kind,
}

/// What a method does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// One question, one answer. Takes a place among the running calls.
    Call,
    /// Many of either. Takes a place among the running calls.
    Stream,
    /// Tells about the server or changes what it has. Takes no place: a full server stays observable
    /// and can be helped.
    Around,
}

/// A method that is not in this list is counted as `unknown`; a test compares it with the protocol.
const METHODS: &[(&str, Kind)] = &[
    ("veriframe.v1.VerificationService/Verify", Kind::Call),
    ("veriframe.v1.VerificationService/VerifyStream", Kind::Stream),
    ("veriframe.v1.VerificationService/Embed", Kind::Call),
    ("veriframe.v1.VerificationService/Detect", Kind::Call),
    ("veriframe.v1.VerificationService/Explain", Kind::Call),
    ("veriframe.v1.VerificationService/ListModels", Kind::Call),
    ("veriframe.v1.EvidenceService/CreateCollection", Kind::Call),
    ("veriframe.v1.EvidenceService/DeleteCollection", Kind::Call),
    ("veriframe.v1.EvidenceService/GetCollection", Kind::Call),
    ("veriframe.v1.EvidenceService/ListCollections", Kind::Call),
    ("veriframe.v1.EvidenceService/UpsertItems", Kind::Call),
    ("veriframe.v1.EvidenceService/IngestItems", Kind::Stream),
    ("veriframe.v1.EvidenceService/GetItems", Kind::Call),
    ("veriframe.v1.EvidenceService/ListItems", Kind::Call),
    ("veriframe.v1.EvidenceService/DeleteItems", Kind::Call),
    ("veriframe.v1.EvidenceService/SearchEvidence", Kind::Call),
    ("veriframe.v1.AnswerService/VerifyAnswer", Kind::Call),
    ("veriframe.v1.AnswerService/VerifyAnswerStream", Kind::Stream),
    ("veriframe.v1.AnswerService/SplitAnswer", Kind::Call),
    ("veriframe.v1.AdminService/IndexModels", Kind::Around),
    ("veriframe.v1.AdminService/LoadModel", Kind::Around),
    ("veriframe.v1.AdminService/UnloadModel", Kind::Around),
    ("veriframe.v1.AdminService/SwapModel", Kind::Around),
    ("veriframe.v1.AdminService/SetAlias", Kind::Around),
    ("veriframe.v1.AdminService/DeleteAlias", Kind::Around),
    ("veriframe.v1.AdminService/GetServerStatus", Kind::Around),
    ("inference.GRPCInferenceService/ServerLive", Kind::Around),
    ("inference.GRPCInferenceService/ServerReady", Kind::Around),
    ("inference.GRPCInferenceService/ModelReady", Kind::Call),
    ("inference.GRPCInferenceService/ServerMetadata", Kind::Call),
    ("inference.GRPCInferenceService/ModelMetadata", Kind::Call),
    ("inference.GRPCInferenceService/ModelInfer", Kind::Call),
    ("inference.GRPCInferenceService/ModelStreamInfer", Kind::Stream),
    ("inference.GRPCInferenceService/ModelConfig", Kind::Call),
    ("inference.GRPCInferenceService/ModelStatistics", Kind::Call),
    ("inference.GRPCInferenceService/RepositoryIndex", Kind::Call),
    ("inference.GRPCInferenceService/RepositoryModelLoad", Kind::Call),
    ("inference.GRPCInferenceService/RepositoryModelUnload", Kind::Call),
    ("inference.GRPCInferenceService/SystemSharedMemoryStatus", Kind::Call),
    ("inference.GRPCInferenceService/SystemSharedMemoryRegister", Kind::Call),
    ("inference.GRPCInferenceService/SystemSharedMemoryUnregister", Kind::Call),
    ("inference.GRPCInferenceService/CudaSharedMemoryStatus", Kind::Call),
    ("inference.GRPCInferenceService/CudaSharedMemoryRegister", Kind::Call),
    ("inference.GRPCInferenceService/CudaSharedMemoryUnregister", Kind::Call),
    ("inference.GRPCInferenceService/TraceSetting", Kind::Call),
    ("inference.GRPCInferenceService/LogSettings", Kind::Call),
    ("grpc.health.v1.Health/Check", Kind::Around),
    ("grpc.health.v1.Health/Watch", Kind::Around),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Kind::Around),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Kind::Around),
];

impl Method {
    /// By the path of a request's URI, `/veriframe.v1.VerificationService/Verify`.
    pub(super) fn of(path: &str) -> Self {
        let asked = path.strip_prefix('/').unwrap_or(path);
        let known = METHODS.iter().find(|(path, _)| *path == asked);
        let (path, kind) = known.copied().unwrap_or(("unknown", Kind::Around));
        Self { path, kind }
    }

    /// The method without its service: `Verify`.
    pub(super) fn name(self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::proto::DESCRIPTORS;

    #[test]
    fn every_method_of_the_protocol_is_known_with_its_kind() {
        let reflection = [
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let around = [tonic_health::pb::FILE_DESCRIPTOR_SET].into_iter().chain(reflection);
        let sets = around.map(|set| (set, true)).chain([(DESCRIPTORS, false)]);
        let mut served = 0;
        for (set, around) in sets {
            for file in FileDescriptorSet::decode(set).unwrap().file {
                for service in &file.service {
                    for method in &service.method {
                        let path =
                            format!("{}.{}/{}", file.package(), service.name(), method.name());
                        let around = around || service.name() == "AdminService";
                        let streams = method.client_streaming() || method.server_streaming();
                        // The probes of the Open Inference Protocol.
                        let probe = matches!(method.name(), "ServerLive" | "ServerReady");
                        let kind = match (around || probe, streams) {
                            (true, _) => Kind::Around,
                            (false, true) => Kind::Stream,
                            (false, false) => Kind::Call,
                        };
                        let known = Method::of(&format!("/{path}"));
                        assert_eq!((known.path, known.kind), (path.as_str(), kind));
                        served += 1;
                    }
                }
            }
        }
        assert_eq!(served, METHODS.len(), "a method is in the list that is not served");
    }

    #[test]
    fn a_path_that_nobody_serves_has_no_name_of_its_own() {
        for path in ["", "/", "/veriframe.v1.VerificationService/Verify/", "/a/b", "unknown"] {
            let method = Method::of(path);
            assert_eq!((method.path, method.name()), ("unknown", "unknown"), "{path}");
        }
        assert_eq!(Method::of("/grpc.health.v1.Health/Check").name(), "Check");
    }
}
