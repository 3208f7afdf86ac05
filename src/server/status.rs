//! Errors to statuses; the only place that makes them.

use std::collections::HashMap;

use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::serving::ServingError;

/// The status of an error, with `google.rpc` details where they help the caller.
pub(super) fn status(error: &ServingError) -> Status {
    let message = error.to_string();
    match error {
        ServingError::Invalid { field, reason } => {
            let details = ErrorDetails::with_bad_request_violation(field, reason);
            Status::with_error_details(Code::InvalidArgument, message, details)
        }
        ServingError::NotFound { .. } => Status::not_found(message),
        ServingError::Overloaded { model, retry_after, .. } => {
            let mut details = ErrorDetails::with_retry_info(Some(*retry_after));
            details.set_error_info(
                "QUEUE_FULL",
                "veriframe",
                HashMap::from([("model".to_owned(), model.clone())]),
            );
            Status::with_error_details(Code::ResourceExhausted, message, details)
        }
        ServingError::Expired(_) => Status::deadline_exceeded(message),
        ServingError::Closed(_) => Status::unavailable(message),
        ServingError::Failed { .. } => {
            tracing::error!(error = %message, "a call failed");
            Status::internal(message)
        }
    }
}

/// A status as a message, for one frame of a stream.
pub(super) fn as_message(status: &Status) -> tonic_types::pb::Status {
    let details = tonic_types::pb::Status::decode(status.details());
    match details {
        Ok(whole) if !status.details().is_empty() => whole,
        _ => tonic_types::pb::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        },
    }
}

/// The code's name as the protocol spells it.
pub(super) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
