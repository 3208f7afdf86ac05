"""What a call can end with: one class for each code, with the details that the server sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request that must be changed: its path, and what is wrong with it."""

    field: str
    description: str


class VeriframeError(Exception):
    """The server, or the way to it, answered a call with an error.

    code:         the gRPC code, as grpc.StatusCode
    message:      what is wrong, with the value and the limit
    violations:   of INVALID_ARGUMENT: the fields that must be changed
    retry_after:  in how many seconds to try again; None where the server did not say
    reason:       of a stream that ended: "DRAINING", "STREAM_IDLE", "READER_STUCK"; else None
    metadata:     what came with the reason, such as "resume_after"
    resource:     of NOT_FOUND and ALREADY_EXISTS: the name that was asked for
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
        reason: str | None = None,
        metadata: dict[str, str] | None = None,
        resource: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.violations = violations
        self.retry_after = retry_after
        self.reason = reason
        self.metadata = metadata or {}
        self.resource = resource

    def __str__(self) -> str:
        text = f"{self.code.name}: {self.message}"
        # The server's message of one violation is the field and the description already.
        for violation in self.violations:
            if violation.field not in self.message:
                text += f"; {violation.field}: {violation.description}"
        if self.retry_after is not None:
            text += f" (try again in {self.retry_after:.3g} s)"
        return text


class InvalidArgument(VeriframeError):  # noqa: N818, the names are those of the codes
    """The request must be changed; see ``violations``."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(VeriframeError):  # noqa: N818
    """No such model, collection or method."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(VeriframeError):  # noqa: N818
    """There is a collection of that name."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(VeriframeError):  # noqa: N818
    """Something else must be done first; the message says what."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class ResourceExhausted(VeriframeError):  # noqa: N818
    """The server is full, or a quota is used up; ``retry_after`` says when to come again."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(VeriframeError):  # noqa: N818
    """No connection, or the server is starting or shutting down."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(VeriframeError):  # noqa: N818
    """The call's time is up, or hardly would have sufficed: then ``retry_after`` is set."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unauthenticated(VeriframeError):  # noqa: N818
    """No key, or one that the server does not know."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(VeriframeError):  # noqa: N818
    """The key lacks the scope that the call needs."""

    code = grpc.StatusCode.PERMISSION_DENIED


class Aborted(VeriframeError):  # noqa: N818
    """The server ended a stream; ``reason`` says why."""

    code = grpc.StatusCode.ABORTED


class Cancelled(VeriframeError):  # noqa: N818
    """The call was cancelled."""

    code = grpc.StatusCode.CANCELLED


class Unimplemented(VeriframeError):  # noqa: N818
    """The server does not know this call: it is another version, or another program."""

    code = grpc.StatusCode.UNIMPLEMENTED


class DataLoss(VeriframeError):  # noqa: N818
    """What lies on the server's disk is not what was written."""

    code = grpc.StatusCode.DATA_LOSS


class Internal(VeriframeError):  # noqa: N818
    """The server failed; the next request is served."""

    code = grpc.StatusCode.INTERNAL


_CLASSES: dict[grpc.StatusCode, type[VeriframeError]] = {
    one.code: one for one in VeriframeError.__subclasses__()
}
_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def from_rpc(error: grpc.RpcError) -> VeriframeError:
    """What gRPC raised, of either kind of channel."""
    # Both kinds have these, and neither kind's base class declares them.
    call: Any = error
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS:
            return from_status(status_pb2.Status.FromString(value))
    return _error(call.code(), call.details() or "the call failed without a message")


def from_status(status: Any) -> VeriframeError:
    """A google.rpc.Status, whichever pool its class is from."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    details: dict[str, Any] = {}
    for packed in status.details:
        # The last part of "type.googleapis.com/google.rpc.BadRequest" says what it is.
        kind = packed.type_url.rpartition("/")[2]
        if kind == "google.rpc.BadRequest":
            bad = error_details_pb2.BadRequest.FromString(packed.value)
            details["violations"] = tuple(
                FieldViolation(each.field, each.description) for each in bad.field_violations
            )
        elif kind == "google.rpc.RetryInfo":
            delay = error_details_pb2.RetryInfo.FromString(packed.value).retry_delay
            details["retry_after"] = delay.seconds + delay.nanos / 1e9
        elif kind == "google.rpc.ErrorInfo":
            info = error_details_pb2.ErrorInfo.FromString(packed.value)
            details["reason"] = info.reason
            details["metadata"] = dict(info.metadata)
        elif kind == "google.rpc.ResourceInfo":
            resource = error_details_pb2.ResourceInfo.FromString(packed.value)
            details["resource"] = resource.resource_name
    return _error(code, status.message, **details)


def _error(code: grpc.StatusCode, message: str, **details: Any) -> VeriframeError:
    # UNKNOWN and OUT_OF_RANGE have no class of their own: the server sends neither.
    return _CLASSES.get(code, VeriframeError)(message, code=code, **details)


def of_code(code: int, message: str) -> VeriframeError:
    """An error that came as a bare code and text."""
    return _error(_CODES.get(code, grpc.StatusCode.UNKNOWN), message)
