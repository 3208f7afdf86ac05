"""What calls end with, and when they are tried again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from conftest import FACE, TEETH, Either, Fake, abort, error_info, free_port, retry_info

import veriframe
from veriframe import (
    DeadlineExceeded,
    FieldViolation,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Retry,
    Unavailable,
    Unimplemented,
)
from veriframe._proto import evidence_pb2, verify_pb2


def test_a_bad_picture_names_its_field(client: Either) -> None:
    with pytest.raises(InvalidArgument) as refused:
        client.call(lambda c: c.verify(b"no picture", prompts=TEETH))
    (violation,) = refused.value.violations
    assert violation.field == "image"
    assert str(refused.value) == f"INVALID_ARGUMENT: image: {violation.description}"
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_bad_prompt_names_its_place(client: Either) -> None:
    with pytest.raises(InvalidArgument) as refused:
        client.call(lambda c: c.verify(FACE, prompts=["a", ""]))
    assert refused.value.violations == (
        FieldViolation("similarity.prompts[1]", "must not be empty"),
    )


def test_a_text_for_a_list_of_prompts_is_told(client: Either) -> None:
    with pytest.raises(TypeError, match=r"prompts is a text, a list of texts is needed"):
        client.call(lambda c: c.verify(FACE, prompts="uneven teeth"))


def test_an_unknown_model(client: Either) -> None:
    with pytest.raises(NotFound, match="there is clip, evidence") as missing:
        client.call(lambda c: c.verify(FACE, prompts=TEETH, model="none"))
    assert missing.value.resource == "none"


def test_an_unknown_priority(client: Either) -> None:
    client.call(lambda c: c.verify(FACE, prompts=TEETH, priority="high"))
    with pytest.raises(InvalidArgument, match="priority"):
        client.call(lambda c: c.verify(FACE, prompts=TEETH, priority="urgent"))


def test_a_timeout_that_is_none(client: Either) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        client.call(lambda c: c.models(timeout=0))


def test_a_message_beyond_the_limit(connect: Callable[..., Either], address: str) -> None:
    small = connect(address, max_message_bytes=1000)
    before = time.monotonic()
    with pytest.raises(ResourceExhausted, match="larger than max"):
        small.call(lambda c: c.verify(FACE, prompts=TEETH))
    assert time.monotonic() - before < 5


def test_no_server(connect: Callable[..., Either]) -> None:
    nowhere = connect(f"127.0.0.1:{free_port()}", retry=Retry(attempts=2))
    with pytest.raises(Unavailable, match="Connection refused"):
        nowhere.call(lambda c: c.verify(FACE, prompts=TEETH))
    with pytest.raises(DeadlineExceeded, match="not ready after 0.5 s: .*refused"):
        nowhere.call(lambda c: c.wait_until_ready(0.5))


class Script:
    """Answers the n-th call by the n-th step: an error's arguments, or None for success."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.times: list[float] = []

    def __call__(self, request: Any, context: Any) -> Any:
        self.times.append(time.monotonic())
        step = self.steps[min(len(self.times), len(self.steps)) - 1]
        if step is not None:
            abort(context, *step)
        return self.response()

    response = verify_pb2.VerifyResponse


FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full", retry_info(0.3))
GONE = (grpc.StatusCode.UNAVAILABLE, "the server is shutting down")


def ask(either: Either, **options: Any) -> Any:
    return either.call(lambda c: c.verify(b"any", prompts=["a"], **options))


@pytest.fixture
def script(fake: Fake) -> Callable[..., Script]:
    def script(*steps: Any) -> Script:
        made = Script(*steps)
        fake.unary("Verify", verify_pb2.VerifyRequest, made)
        return made

    return script


def test_overload_is_waited_out(
    connect: Callable[..., Either], fake: Fake, script: Callable[..., Script]
) -> None:
    calls = script(FULL, FULL, None)
    ask(connect(fake.address))
    assert len(calls.times) == 3
    # Never before the time that the server told.
    assert calls.times[1] - calls.times[0] >= 0.3
    assert calls.times[2] - calls.times[1] >= 0.3


def test_attempts_end(
    connect: Callable[..., Either], fake: Fake, script: Callable[..., Script]
) -> None:
    calls = script(FULL)
    with pytest.raises(ResourceExhausted, match=r"is full \(try again in 0.3 s\)") as full:
        ask(connect(fake.address, retry=Retry(attempts=2)))
    assert full.value.retry_after == pytest.approx(0.3)
    assert len(calls.times) == 2


def test_a_wait_beyond_the_timeout_is_not_begun(
    connect: Callable[..., Either], fake: Fake, script: Callable[..., Script]
) -> None:
    calls = script((*FULL[:2], retry_info(30)))
    before = time.monotonic()
    with pytest.raises(ResourceExhausted):
        ask(connect(fake.address), timeout=5)
    assert time.monotonic() - before < 2
    assert len(calls.times) == 1


def test_a_server_that_goes_is_tried_again(
    connect: Callable[..., Either], fake: Fake, script: Callable[..., Script]
) -> None:
    calls = script(GONE, GONE, None)
    ask(connect(fake.address))
    assert len(calls.times) == 3


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (code, getattr(veriframe, name))
        for code, name in [
            (grpc.StatusCode.INVALID_ARGUMENT, "InvalidArgument"),
            (grpc.StatusCode.NOT_FOUND, "NotFound"),
            (grpc.StatusCode.ALREADY_EXISTS, "AlreadyExists"),
            (grpc.StatusCode.FAILED_PRECONDITION, "FailedPrecondition"),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "ResourceExhausted"),
            (grpc.StatusCode.UNAUTHENTICATED, "Unauthenticated"),
            (grpc.StatusCode.PERMISSION_DENIED, "PermissionDenied"),
            (grpc.StatusCode.ABORTED, "Aborted"),
            (grpc.StatusCode.CANCELLED, "Cancelled"),
            (grpc.StatusCode.DATA_LOSS, "DataLoss"),
            (grpc.StatusCode.INTERNAL, "Internal"),
            (grpc.StatusCode.UNKNOWN, "VeriframeError"),
        ]
    ],
)
def test_what_cannot_do_better_is_tried_once(
    connect: Callable[..., Either],
    fake: Fake,
    script: Callable[..., Script],
    code: grpc.StatusCode,
    error: type[Exception],
) -> None:
    calls = script((code, "no", error_info("REASON", key="value")))
    with pytest.raises(error) as refused:
        ask(connect(fake.address))
    assert type(refused.value) is error
    assert str(refused.value) == f"{code.name}: no"
    assert (refused.value.reason, refused.value.metadata) == ("REASON", {"key": "value"})
    assert len(calls.times) == 1


def test_what_must_not_be_done_twice_is_tried_again_only_where_it_was_refused(
    connect: Callable[..., Either], fake: Fake
) -> None:
    client = connect(fake.address)
    lost, refused = Script(GONE, None), Script((*GONE, retry_info(0.05)), None)
    lost.response = refused.response = evidence_pb2.CreateCollectionResponse  # type: ignore[assignment]
    fake.unary("CreateCollection", evidence_pb2.CreateCollectionRequest, lost)
    with pytest.raises(Unavailable):
        client.call(lambda c: c.evidence.create("a"))
    assert len(lost.times) == 1
    fake.unary("CreateCollection", evidence_pb2.CreateCollectionRequest, refused)
    client.call(lambda c: c.evidence.create("a"))
    assert len(refused.times) == 2


def test_the_timeout_reaches_the_server_and_ends_the_call(
    connect: Callable[..., Either], fake: Fake
) -> None:
    left: list[float] = []

    def sleep(request: Any, context: Any) -> Any:
        left.append(context.time_remaining())
        fake.over.wait(5)
        return verify_pb2.VerifyResponse()

    fake.unary("Verify", verify_pb2.VerifyRequest, sleep)
    before = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"no answer within 0.4 s, the call's timeout"):
        ask(connect(fake.address), timeout=0.4)
    assert 0.3 < time.monotonic() - before < 2
    assert 0 < left[0] <= 0.4


def test_another_program_is_told(connect: Callable[..., Either], fake: Fake) -> None:
    with pytest.raises(Unimplemented):
        connect(fake.address).call(lambda c: c.models())


def test_key_and_priority_are_sent(connect: Callable[..., Either], fake: Fake) -> None:
    seen: dict[str, Any] = {}

    def answer(request: Any, context: Any) -> Any:
        seen.update(context.invocation_metadata())
        return verify_pb2.VerifyResponse()

    fake.unary("Verify", verify_pb2.VerifyRequest, answer)
    client = connect(fake.address, api_key="vf_secret", priority="low")
    ask(client)
    assert seen["authorization"] == "Bearer vf_secret"
    assert seen["x-veriframe-priority"] == "low"
    assert seen["user-agent"].startswith("veriframe-python/")
    assert "vf_secret" not in repr(client.client) + repr(client.client._settings)
    ask(client, priority="high")
    assert seen["x-veriframe-priority"] == "high"
