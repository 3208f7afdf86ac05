//! Errors to gRPC statuses: the one place where a [`Status`] is made from one.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};

use super::auth::Refusal;
use crate::evidence;
use crate::retrieval::RetrievalError;
use crate::serving::{CatalogError, ServingError};
use crate::telemetry::metrics::FrameOutcome;

/// When to ask again where all places for calls are taken: nobody knows when one ends.
const PLACE_RETRY: Duration = Duration::from_millis(100);
/// When to ask again where as many wait for the store of evidence as may.
const STORE_RETRY: Duration = Duration::from_millis(100);
/// When to ask again for a model that is being loaded.
const LOADING_RETRY: Duration = Duration::from_secs(1);

/// The status of an error, with the details that a client can act on.
pub(super) fn status(error: &ServingError) -> Status {
    let (code, details) = match error {
        ServingError::Invalid { field, reason } => {
            (Code::InvalidArgument, ErrorDetails::with_bad_request_violation(field, reason))
        }
        ServingError::NotFound { kind, name, known: _ } => {
            let kind = format!("{kind} model");
            let details = ErrorDetails::with_resource_info(kind, name, "", error.to_string());
            (Code::NotFound, details)
        }
        ServingError::Overloaded { retry_after, .. } => {
            (Code::ResourceExhausted, ErrorDetails::with_retry_info(Some(*retry_after)))
        }
        ServingError::TooLate { retry_after, .. } => {
            (Code::DeadlineExceeded, ErrorDetails::with_retry_info(Some(*retry_after)))
        }
        ServingError::Loading(_) => {
            (Code::Unavailable, ErrorDetails::with_retry_info(Some(LOADING_RETRY)))
        }
        ServingError::Expired(_) => return Status::deadline_exceeded(error.to_string()),
        ServingError::Closed(_) => return Status::unavailable(error.to_string()),
        ServingError::Failed { .. } => {
            tracing::error!(%error, "a request failed");
            return Status::internal(error.to_string());
        }
    };
    Status::with_error_details(code, error.to_string(), details)
}

/// Why evidence was not kept or found.
pub(super) fn retrieval_failed(error: &RetrievalError) -> Status {
    match error {
        RetrievalError::Serving(error) => status(error),
        RetrievalError::Store(error) => store_failed(error),
        RetrievalError::NoModel { collection, .. } => {
            precondition("MODEL", collection, &error.to_string())
        }
    }
}

/// Why the store of evidence refuses or fails, with the details that a caller can act on.
fn store_failed(error: &evidence::Error) -> Status {
    use evidence::Error;

    let text = error.to_string();
    let (code, details) = match error {
        Error::Off => return precondition("EVIDENCE", "evidence.store", &text),
        Error::UnknownCollection { name, nearest: _ } => {
            let details = ErrorDetails::with_resource_info("collection", name, "", &text);
            (Code::NotFound, details)
        }
        Error::CollectionExists(name) => {
            let details = ErrorDetails::with_resource_info("collection", name, "", &text);
            (Code::AlreadyExists, details)
        }
        Error::ModelMismatch { collection, .. } => {
            return precondition("MODEL", collection, &text);
        }
        Error::WrongDimension { field, .. }
        | Error::UnknownField { field, .. }
        | Error::Invalid { field, .. } => {
            let reason = text.strip_prefix(field.as_str()).unwrap_or(&text);
            let reason = reason.trim_start_matches([':', ' ']);
            (Code::InvalidArgument, ErrorDetails::with_bad_request_violation(field, reason))
        }
        Error::DiskFull { .. } => {
            tracing::error!(%error, "evidence cannot be kept");
            let details = ErrorDetails::with_quota_failure_violation("disk", &text);
            (Code::ResourceExhausted, details)
        }
        Error::Busy { .. } => {
            (Code::ResourceExhausted, ErrorDetails::with_retry_info(Some(STORE_RETRY)))
        }
        Error::ReadOnly { path, .. } | Error::InUse(path) => {
            tracing::error!(%error, "evidence cannot be kept");
            return precondition("DISK", &path.display().to_string(), &text);
        }
        Error::Failed { collection, reason: _ } => {
            tracing::error!(%error, "evidence cannot be kept");
            return precondition("COLLECTION", collection, &text);
        }
        Error::Closed => return Status::unavailable(text),
        Error::Cluster { .. } => {
            tracing::error!(%error, "evidence cannot be reached");
            return Status::unavailable(text);
        }
        Error::Damaged { .. } | Error::Unopened { .. } => {
            tracing::error!(%error, "evidence cannot be read");
            return Status::data_loss(text);
        }
        Error::Disk { .. } => {
            tracing::error!(%error, "evidence cannot be kept");
            return Status::internal(text);
        }
    };
    Status::with_error_details(code, text, details)
}

fn precondition(kind: &str, subject: &str, text: &str) -> Status {
    let details = ErrorDetails::with_precondition_failure_violation(kind, subject, text);
    Status::with_error_details(Code::FailedPrecondition, text, details)
}

/// A status as a message within a stream, with its details.
pub(super) fn in_band(status: &Status) -> pb::Status {
    pb::Status::decode(status.details())
        .ok()
        .filter(|whole| !whole.details.is_empty())
        .unwrap_or_else(|| pb::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
}

/// How a frame that ended so counts.
pub(super) fn outcome<T>(result: &Result<T, ServingError>) -> FrameOutcome {
    match result {
        Ok(_) => FrameOutcome::Ok,
        Err(ServingError::Invalid { .. } | ServingError::NotFound { .. }) => FrameOutcome::Invalid,
        Err(ServingError::Expired(_) | ServingError::TooLate { .. }) => FrameOutcome::Expired,
        Err(
            ServingError::Overloaded { .. }
            | ServingError::Loading(_)
            | ServingError::Closed(_)
            | ServingError::Failed { .. },
        ) => FrameOutcome::Failed,
    }
}

/// Why the models were not changed, with the details that an operator can act on.
pub(super) fn change_refused(error: &CatalogError) -> Status {
    let text = error.to_string();
    let precondition = |subject: &str| {
        let details = ErrorDetails::with_precondition_failure_violation("MODEL", subject, &text);
        (Code::FailedPrecondition, details)
    };
    let (code, details) = match error {
        CatalogError::Invalid { field, reason } => {
            let details = ErrorDetails::with_bad_request_violation(*field, reason);
            (Code::InvalidArgument, details)
        }
        CatalogError::NotFound { what, name, known: _ } => {
            (Code::NotFound, ErrorDetails::with_resource_info(*what, name, "", &text))
        }
        CatalogError::Conflict { model, reason: _ } | CatalogError::Broken { model, reason: _ } => {
            precondition(model)
        }
        CatalogError::Busy { .. } => {
            (Code::Aborted, ErrorDetails::with_retry_info(Some(LOADING_RETRY)))
        }
        CatalogError::Full { .. } => {
            let details = ErrorDetails::with_quota_failure_violation("models", &text);
            (Code::ResourceExhausted, details)
        }
        CatalogError::TooSlow { .. } => return Status::deadline_exceeded(text),
        CatalogError::Closed => return Status::unavailable(text),
    };
    Status::with_error_details(code, &text, details)
}

/// The deadline came before the end of a change of the models.
pub(super) fn change_unfinished() -> Status {
    Status::deadline_exceeded("the deadline passed; the change goes on, the index tells its end")
}

/// The server's own call limit is reached.
pub(super) fn too_many_calls(limit: usize) -> Status {
    Status::with_error_details(
        Code::ResourceExhausted,
        format!("{limit} calls are running, limit {limit}; try again in {PLACE_RETRY:?}"),
        ErrorDetails::with_retry_info(Some(PLACE_RETRY)),
    )
}

/// The caller may not make this call, or not now.
pub(super) fn refused(refusal: &Refusal) -> Status {
    let (code, retry_after) = match refusal {
        Refusal::NoKey
        | Refusal::OtherCertificate { .. }
        | Refusal::WrongKey
        | Refusal::Expired { .. }
        | Refusal::Revoked { .. } => (Code::Unauthenticated, None),
        Refusal::Scope { .. } | Refusal::AdminClosed => (Code::PermissionDenied, None),
        Refusal::Rate { retry_after, .. } => (Code::ResourceExhausted, Some(*retry_after)),
        Refusal::Concurrency { .. } => (Code::ResourceExhausted, Some(PLACE_RETRY)),
    };
    match retry_after {
        None => Status::new(code, refusal.message()),
        Some(after) => {
            let details = ErrorDetails::with_retry_info(Some(after));
            Status::with_error_details(code, refusal.message(), details)
        }
    }
}

/// The server's own stream limit is reached.
pub(super) fn too_many_streams(limit: usize) -> Status {
    Status::with_error_details(
        Code::ResourceExhausted,
        format!("{limit} streams are open, limit {limit}; try again in {PLACE_RETRY:?}"),
        ErrorDetails::with_retry_info(Some(PLACE_RETRY)),
    )
}

/// A stream has more frames than one answer is checked over.
pub(super) fn too_many_frames(limit: usize) -> Status {
    let message = format!("more frames than limit {limit}; send every second one, or open another");
    let details = ErrorDetails::with_quota_failure_violation("frames", &message);
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// Nothing came on a stream, and no frame was worked on.
pub(super) fn stream_idle(limit: Duration) -> Status {
    let message =
        format!("nothing came on the stream for {limit:?}, limit {limit:?}; open another");
    stream_ended(Code::Aborted, message, "STREAM_IDLE", None)
}

/// A stream's results were not read; those after the frame `last` are given up.
pub(super) fn reader_stuck(limit: Duration, last: Option<u64>) -> Status {
    let message = format!("no result was read for {limit:?}, limit {limit:?}; {}", resume(last));
    stream_ended(Code::Aborted, message, "READER_STUCK", last)
}

/// The server shuts down; frames up to `last` have their results.
pub(super) fn stream_drained(last: Option<u64>) -> Status {
    let message = format!("the server is shutting down; {}", resume(last));
    stream_ended(Code::Unavailable, message, "DRAINING", last)
}

/// The stream is as old as one may grow; frames up to `last` have their results.
pub(super) fn stream_aged(last: Option<u64>) -> Status {
    let message = format!("the stream is as old as one may grow; {}", resume(last));
    stream_ended(Code::Unavailable, message, "STREAM_AGED", last)
}

/// A stream's responses were not read; those to come are given up.
pub(super) fn responses_unread(limit: Duration) -> Status {
    let message = format!("no response was read for {limit:?}, limit {limit:?}; open another");
    stream_ended(Code::Aborted, message, "READER_STUCK", None)
}

/// The server shuts down; every request that was accepted has its response.
pub(super) fn responses_end() -> Status {
    let message = "the server is shutting down; open another stream".to_owned();
    stream_ended(Code::Unavailable, message, "DRAINING", None)
}

fn resume(last: Option<u64>) -> String {
    match last {
        Some(last) => format!("open another stream with resume_after {last}"),
        None => "open another stream, no frame was answered".to_owned(),
    }
}

fn stream_ended(code: Code, message: String, reason: &str, last: Option<u64>) -> Status {
    let metadata = last.map(|last| ("resume_after".to_owned(), last.to_string()));
    let metadata: HashMap<String, String> = metadata.into_iter().collect();
    let details = ErrorDetails::with_error_info(reason, "veriframe", metadata);
    Status::with_error_details(code, message, details)
}

/// A call of a foreign protocol that is known only to be refused.
pub(super) fn unsupported(reason: &str) -> Status {
    Status::unimplemented(reason)
}

/// A handler panicked.
pub(super) fn panicked() -> Status {
    Status::internal("the server failed on this call; the next one is served")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_the_code_and_details_that_a_client_acts_on() {
        let invalid = status(&ServingError::invalid("similarity.prompts[3]", "must not be empty"));
        assert_eq!(invalid.code(), Code::InvalidArgument);
        let violations =
            invalid.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(violations[0].field, "similarity.prompts[3]");

        let overloaded = status(&ServingError::Overloaded {
            model: "clip".to_owned(),
            queued: 9,
            limit: 8,
            unit: "items",
            retry_after: Duration::from_millis(40),
        });
        assert_eq!(overloaded.code(), Code::ResourceExhausted);
        let retry = overloaded.get_error_details().retry_info().unwrap().retry_delay;
        assert_eq!(retry, Some(Duration::from_millis(40)));

        let late = status(&ServingError::TooLate {
            model: "clip".to_owned(),
            predicted: Duration::from_secs(3),
            left: Duration::from_secs(1),
            retry_after: Duration::from_secs(2),
        });
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert!(late.message().contains("3s") && late.message().contains("1s"), "{late:?}");
        let retry = late.get_error_details().retry_info().unwrap().retry_delay;
        assert_eq!(retry, Some(Duration::from_secs(2)));

        let missing = status(&ServingError::NotFound {
            kind: "CLIP",
            name: "x".to_owned(),
            known: "clip".to_owned(),
        });
        assert_eq!(missing.code(), Code::NotFound);
        assert_eq!(missing.get_error_details().resource_info().unwrap().resource_name, "x");

        for (error, code) in [
            (ServingError::Expired("clip".to_owned()), Code::DeadlineExceeded),
            (ServingError::Loading("clip".to_owned()), Code::Unavailable),
            (ServingError::Closed("clip".to_owned()), Code::Unavailable),
        ] {
            assert_eq!(status(&error).code(), code);
        }
    }

    #[test]
    fn each_error_of_the_store_has_the_code_and_details_that_a_caller_acts_on() {
        use evidence::Error;

        let text = || "x".to_owned();
        let check = |error: Error, code: Code| {
            let status = retrieval_failed(&error.clone().into());
            assert_eq!((status.code(), status.message()), (code, error.to_string().as_str()));
            status.get_error_details()
        };
        check(Error::Off, Code::FailedPrecondition).precondition_failure().unwrap();
        let found = check(Error::UnknownCollection { name: text(), nearest: None }, Code::NotFound);
        assert_eq!(found.resource_info().unwrap().resource_name, "x");
        check(Error::CollectionExists(text()), Code::AlreadyExists);
        let mismatch = Error::ModelMismatch { collection: text(), expected: text(), found: text() };
        check(mismatch, Code::FailedPrecondition);
        let field = "query.embedding".to_owned();
        let wrong = Error::WrongDimension { field, expected: 2, found: 1 };
        let details = check(wrong, Code::InvalidArgument);
        let violation = details.bad_request().unwrap().field_violations[0].clone();
        assert_eq!(violation.field, "query.embedding");
        assert!(violation.description.starts_with("has 1 values"), "{violation:?}");
        let path = || std::path::PathBuf::from("/data");
        let full = Error::DiskFull { path: path(), free_bytes: 1, reserve_bytes: 2 };
        check(full, Code::ResourceExhausted).quota_failure().unwrap();
        let busy = Error::Busy { waiting: 1, limit: 1 };
        check(busy, Code::ResourceExhausted).retry_info().unwrap();
        check(Error::ReadOnly { path: path(), reason: text() }, Code::FailedPrecondition);
        check(Error::InUse(path()), Code::FailedPrecondition);
        check(Error::Failed { collection: text(), reason: text() }, Code::FailedPrecondition);
        check(Error::Closed, Code::Unavailable);
        check(Error::Cluster { address: text(), reason: text() }, Code::Unavailable);
        check(Error::Damaged { path: path(), reason: text() }, Code::DataLoss);
        check(Error::Unopened { collection: text(), reason: text() }, Code::DataLoss);
    }

    #[test]
    fn a_stream_that_ends_early_tells_where_to_go_on() {
        let resume_after = |status: &Status| {
            let details = status.get_error_details();
            let info = details.error_info().unwrap().clone();
            (info.reason, info.metadata.get("resume_after").cloned())
        };
        let drained = stream_drained(Some(41));
        assert_eq!(drained.code(), Code::Unavailable);
        assert!(drained.message().contains("resume_after 41"), "{drained:?}");
        assert_eq!(resume_after(&drained), ("DRAINING".to_owned(), Some("41".to_owned())));
        let stuck = reader_stuck(Duration::from_mins(1), None);
        assert_eq!(stuck.code(), Code::Aborted);
        assert_eq!(resume_after(&stuck), ("READER_STUCK".to_owned(), None));
        let idle = stream_idle(Duration::from_mins(1));
        assert_eq!(resume_after(&idle), ("STREAM_IDLE".to_owned(), None));
        let full = too_many_streams(9).get_error_details();
        assert!(full.retry_info().is_some());
    }

    #[test]
    fn each_refused_change_has_the_code_and_details_that_an_operator_acts_on() {
        let model = || "clip@2".to_owned();
        let check = |error: CatalogError, code: Code, detail: fn(&ErrorDetails) -> bool| {
            let status = change_refused(&error);
            assert_eq!(status.code(), code, "{error}");
            assert_eq!(status.message(), error.to_string());
            assert!(detail(&status.get_error_details()), "{error}: {status:?}");
        };
        let reason = || "no".to_owned();
        check(
            CatalogError::Invalid { field: "alias", reason: reason() },
            Code::InvalidArgument,
            |details| details.bad_request().is_some(),
        );
        check(
            CatalogError::NotFound { what: "loaded model", name: model(), known: Vec::new() },
            Code::NotFound,
            |details| details.resource_info().is_some(),
        );
        for error in [
            CatalogError::Conflict { model: model(), reason: reason() },
            CatalogError::Broken { model: model(), reason: reason() },
        ] {
            check(error, Code::FailedPrecondition, |details| {
                details.precondition_failure().is_some()
            });
        }
        check(CatalogError::Busy { model: model(), doing: "loaded" }, Code::Aborted, |details| {
            details.retry_info().is_some()
        });
        check(CatalogError::Full { loaded: 2, limit: 2 }, Code::ResourceExhausted, |details| {
            details.quota_failure().is_some()
        });
        check(CatalogError::Closed, Code::Unavailable, |_| true);
    }

    #[test]
    fn a_status_keeps_its_details_in_band() {
        let bare = in_band(&Status::internal("no"));
        assert_eq!((bare.code, bare.message.as_str()), (Code::Internal.into(), "no"));
        let rich = in_band(&status(&ServingError::invalid("image", "is missing")));
        assert_eq!((rich.code, rich.details.len()), (Code::InvalidArgument.into(), 1));
    }
}
