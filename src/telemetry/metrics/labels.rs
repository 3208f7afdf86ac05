//! The labels that have a fixed set of values, each value with its meaning; and what is shown
//! together.

use std::time::Duration;

/// An enum of a label's values, with `ALL` of them and the `name` that Prometheus sees.
macro_rules! label {
    ($(#[$about:meta])* $label:ident { $($(#[$meaning:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $label {
            $($(#[$meaning])* $value,)+
        }

        impl $label {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The label's value.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }
        }
    };
}

label! {
    /// A part of a frame's way, in the order of the way.
    Stage {
        /// Bytes to pixels.
        Decode = "decode",
        /// Prompts to vectors, mostly from the cache.
        Texts = "texts",
        /// Pixels to the model's size.
        Preprocess = "preprocess",
        /// Waiting for a batch.
        Queue = "queue",
        /// The net.
        Infer = "infer",
        /// Heatmaps: a part of the net's time.
        Explain = "explain",
        /// Results to the answer.
        Postprocess = "postprocess",
        /// Looking for evidence in its store.
        Retrieve = "retrieve",
        /// Evidence to its store's disk.
        Store = "store",
        /// The answer to the client, as fast as it reads; in a stream, after the frames before it.
        Send = "send",
    }
}

label! {
    /// How a frame ended.
    FrameOutcome {
        /// With a result.
        Ok = "ok",
        /// Left out by its stream's policy.
        Dropped = "dropped",
        /// Its deadline passed.
        Expired = "expired",
        /// It was no valid input: the caller's fault.
        Invalid = "invalid",
        /// The server failed or refused it: ours.
        Failed = "failed",
    }
}

impl FrameOutcome {
    /// Whether the frame counts towards the target.
    pub(super) const fn counts(self) -> bool {
        match self {
            Self::Ok | Self::Expired | Self::Failed => true,
            Self::Dropped | Self::Invalid => false,
        }
    }
}

label! {
    /// Why a stream left a frame out.
    DropReason {
        /// A newer frame took its place: `DROP_OLDEST`.
        Replaced = "replaced",
        /// The window was full when it came: `DROP_NEWEST`.
        WindowFull = "window_full",
        /// It had its result in an earlier stream.
        AlreadyAnswered = "already_answered",
    }
}

label! {
    /// Why a stream ended.
    StreamEnd {
        /// The client closed its side.
        ClientClosed = "client_closed",
        /// The client reset the stream, or its connection broke; or the stream was never opened.
        ClientGone = "client_gone",
        /// The client sent nothing for too long.
        Idle = "idle",
        /// The client read nothing for too long.
        ReaderStuck = "reader_stuck",
        /// The server shut down.
        Draining = "draining",
        /// It was as old as one may grow.
        Aged = "aged",
        /// The call's deadline passed.
        Deadline = "deadline",
        /// A message could not be accepted.
        Refused = "refused",
    }
}

label! {
    /// Where the deadline of an item or a frame passed.
    ExpiryStage {
        /// Refused as it came: too late, or the wait would be too long.
        Admission = "admission",
        /// While it waited for a batch.
        Queue = "queue",
        /// While its batch ran.
        Device = "device",
        /// Elsewhere: waiting for a processor, being decoded or drawn.
        Elsewhere = "elsewhere",
    }
}

label! {
    /// Why something was refused before any work was done for it.
    Rejection {
        /// As many calls run as may.
        TooManyCalls = "too_many_calls",
        /// As many streams are open as may.
        TooManyStreams = "too_many_streams",
        /// As many connections are open as may, in all or of one address.
        TooManyConnections = "too_many_connections",
        /// The system could not accept a connection, such as for want of file descriptors.
        AcceptFailed = "accept_failed",
        /// A TLS handshake failed: no TLS, no trust, or a client that went away.
        HandshakeFailed = "handshake_failed",
        /// A TLS handshake, or the beginning of HTTP/2 after it, took too long.
        HandshakeTimeout = "handshake_timeout",
        /// A TLS handshake was the oldest of too many.
        TooManyHandshakes = "too_many_handshakes",
        /// A model's queue was full of items or bytes.
        QueueFull = "queue_full",
        /// It would wait for longer than its deadline allows.
        Late = "late",
        /// Its caller asks too often.
        RateQuota = "rate_quota",
        /// Its caller has as many calls as it may.
        ConcurrencyQuota = "concurrency_quota",
        /// A message was longer than the server reads. (What a message asks for beyond a limit is
        /// the caller's error, INVALID_ARGUMENT.)
        TooLarge = "too_large",
        /// No valid key or certificate came with it.
        Unauthenticated = "unauthenticated",
        /// The caller is known and may not do this.
        Forbidden = "forbidden",
    }
}

label! {
    /// How an item submitted to an engine ended.
    ItemOutcome {
        /// With an output.
        Ok = "ok",
        /// The queue was full.
        Full = "full",
        /// Its deadline passed.
        Expired = "expired",
        /// Its caller went away.
        Abandoned = "abandoned",
        /// The engine was closed.
        Closed = "closed",
        /// The item was bad.
        Invalid = "invalid",
        /// The device failed or the model panicked.
        Failed = "failed",
    }
}

label! {
    /// What a replica of a model does.
    ReplicaState {
        /// It runs batches, or waits for one.
        Ready = "ready",
        /// Its model failed and is being built anew.
        Rebuilding = "rebuilding",
        /// It has had a batch for too long and has not come back.
        Stalled = "stalled",
        /// Its model could not be built; it is tried again with pauses.
        Down = "down",
    }
}

label! {
    /// What is read again while the server runs.
    Reloaded {
        /// A model.
        Model = "model",
        /// TLS certificates and their keys.
        Certificates = "certificates",
        /// API keys.
        Keys = "keys",
    }
}

label! {
    /// What became of an item of evidence that was to be kept.
    StoredOutcome {
        /// It is new.
        Created = "created",
        /// It took the place of one with its id.
        Replaced = "replaced",
        /// It could not be kept: the caller's fault.
        Invalid = "invalid",
        /// The models or the store failed or refused it: ours.
        Failed = "failed",
    }
}

label! {
    /// What follows for a claim of an answer.
    ClaimOutcome {
        /// It is likely true.
        Supported = "supported",
        /// It is likely false.
        Contradicted = "contradicted",
        /// Nothing speaks for or against it.
        Unsupported = "unsupported",
        /// What was said does not suffice, or does not agree.
        Inconclusive = "inconclusive",
        /// No witness at hand judges such claims.
        UnsupportedClaimType = "unsupported_claim_type",
    }
}

label! {
    /// By what evidence was found.
    ChunkKind {
        /// A passage of its text.
        Text = "text",
        /// Its picture.
        Image = "image",
        /// A box in its picture.
        Region = "region",
    }
}

label! {
    /// Which certificate.
    CertificateKind {
        /// The server's own, and those between it and the root.
        Server = "server",
        /// Those of the authorities whose client certificates are believed.
        ClientAuthority = "client_ca",
    }
}

label! {
    /// What became of a span.
    SpanOutcome {
        /// The collector took it.
        Sent = "sent",
        /// The collector did not answer, or refused it.
        Failed = "failed",
        /// Too many waited to be sent.
        Dropped = "dropped",
    }
}

/// What an engine holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLoad {
    /// Items that wait.
    pub queued_items: usize,
    /// Their weight.
    pub queued_bytes: usize,
    /// Items in batches on a device.
    pub running: usize,
}

/// What the store of evidence holds, all collections together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EvidenceSize {
    /// Collections.
    pub collections: u64,
    /// Collections that could not be opened, beside those.
    pub damaged: u64,
    /// Items.
    pub items: u64,
    /// Embeddings.
    pub chunks: u64,
    /// Bytes on this machine's disk.
    pub disk_bytes: u64,
}

/// A model that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLabels<'a> {
    /// The name requests use.
    pub name: &'a str,
    /// Its version, as the operator wrote it.
    pub version: &'a str,
    /// `clip`, `detector`, …
    pub kind: &'a str,
    /// `cpu`, `cuda:0`, …
    pub device: &'a str,
}

/// What the process uses; `None` of what the system does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessUse {
    /// Processor time since the start, over all threads.
    pub cpu: Option<Duration>,
    /// Memory that is held.
    pub resident_bytes: Option<u64>,
    /// Memory that is addressed.
    pub virtual_bytes: Option<u64>,
    /// File handles that are open.
    pub open_files: Option<u64>,
    /// File handles that may be.
    pub max_open_files: Option<u64>,
    /// Threads that there are.
    pub threads: Option<u64>,
}

/// What one GPU is used for, by whomever; `None` of what its driver does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuUse {
    /// The driver's number of it, from 0. Not CUDA's where `CUDA_VISIBLE_DEVICES` is set.
    pub index: u32,
    /// The driver's name of it for ever.
    pub uuid: String,
    /// Memory that is taken.
    pub used_bytes: Option<u64>,
    /// Memory that there is.
    pub total_bytes: Option<u64>,
    /// Share of the last moment in which it ran anything, 0 to 100.
    pub busy_percent: Option<u32>,
}
