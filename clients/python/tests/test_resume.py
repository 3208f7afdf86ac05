"""Streams that break off and go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from conftest import (
    FRAMES,
    TEETH,
    Either,
    Fake,
    Program,
    abort,
    error_info,
    free_port,
    retry_info,
)

from veriframe import Aborted, Item, PermissionDenied, Unavailable
from veriframe._proto import evidence_pb2, stream_pb2


def test_a_stream_goes_on_after_a_restart(
    connect: Callable[..., Either], start: Callable[..., Program]
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    first = start(listen=listen)
    restarted = threading.Event()

    def restart() -> None:
        assert first.stop() == 0
        start(listen=listen)
        restarted.set()

    def at_tenth(result: Any) -> None:
        if result.sequence == 10:
            threading.Thread(target=restart).start()

    def frames() -> Iterator[Any]:
        # Frames are still to come when the server is back, as from a camera.
        for number in range(10_000):
            if restarted.is_set() and number > 60:
                return
            yield FRAMES[number % len(FRAMES)]

    client = connect(listen)
    results, stream = client.stream(
        lambda c: c.verify_stream(frames(), prompts=TEETH, max_in_flight=4), at_tenth
    )
    assert restarted.is_set()
    assert [each.sequence for each in results] == list(range(len(results)))
    assert all(each.ok for each in results)
    assert stream.resumed >= 1
    # The summary is that of the part since then.
    assert 0 < stream.summary.frames < len(results)


DRAINING = (grpc.StatusCode.UNAVAILABLE, "shutting down", error_info("DRAINING", resume_after="1"))
IDLE = (grpc.StatusCode.ABORTED, "nothing came", error_info("STREAM_IDLE"))


class Streams:
    """Answers each stream's frames until it has answered so many of them, then ends it so."""

    def __init__(self, *ends: Any) -> None:
        self._ends = list(ends)
        self.configs: list[Any] = []
        self.frames: list[list[int]] = []

    def __call__(self, messages: Any, context: Any) -> Iterator[Any]:
        end = self._ends.pop(0) if self._ends else None
        self.configs.append(next(messages).config)
        sent: list[int] = []
        self.frames.append(sent)
        if end is not None and end[0] == 0:
            abort(context, *end[1])
        for message in messages:
            sent.append(message.frame.sequence)
            result = stream_pb2.FrameResult(sequence=message.frame.sequence)
            result.dropped.reason = stream_pb2.DROP_REASON_REPLACED
            yield stream_pb2.VerifyStreamResponse(result=result)
            if end is not None and len(sent) == end[0]:
                abort(context, *end[1])
        yield stream_pb2.VerifyStreamResponse(summary=stream_pb2.StreamSummary(frames=len(sent)))


@pytest.fixture
def streams(fake: Fake) -> Callable[..., Streams]:
    def streams(*ends: Any) -> Streams:
        made = Streams(*ends)
        fake.stream("VerifyStream", stream_pb2.VerifyStreamRequest, made)
        return made

    return streams


def test_a_stream_goes_on_at_another_server(
    connect: Callable[..., Either], fake: Fake, streams: Callable[..., Streams]
) -> None:
    server, other = streams(), Streams()
    place = f"127.0.0.1:{free_port()}"
    second: list[Fake] = []

    def change(result: Any) -> None:
        # Only one server is there when the stream begins; it goes once the other one has come.
        if result.sequence == 5:
            second.append(Fake(place))
            second[0].stream("VerifyStream", stream_pb2.VerifyStreamRequest, other)
            fake.stop()

    frames = [b"any"] * 200
    results, stream = connect([fake.address, place]).stream(
        lambda c: c.verify_stream(frames, prompts=TEETH), change
    )
    second[0].stop()
    assert [each.sequence for each in results] == list(range(200))
    assert (len(server.configs), len(other.configs), stream.resumed) == (1, 1, 1)
    assert other.frames[0][0] == other.configs[0].resume_after + 1


def run(client: Either, count: int = 8, **options: Any) -> Any:
    return client.stream(lambda c: c.verify_stream([b"any"] * count, prompts=TEETH, **options))


@pytest.mark.parametrize("end", [DRAINING, IDLE])
def test_the_next_stream_says_where_it_goes_on(
    connect: Callable[..., Either], fake: Fake, streams: Callable[..., Streams], end: Any
) -> None:
    server = streams((2, end), (3, end))
    results, stream = run(connect(fake.address))
    assert [each.sequence for each in results] == list(range(8))
    assert 1 <= stream.resumed <= len(server.configs) - 1
    assert not server.configs[0].HasField("resume_after")
    for config, sent in zip(server.configs[1:], server.frames[1:], strict=True):
        # It goes on right after the last answer that was handed out: nothing is left out or sent
        # although it was answered.
        assert sent == [] or sent[0] == config.resume_after + 1
    assert server.configs[-1].similarity.prompts == TEETH


def test_a_stream_that_finds_the_server_starting_waits(
    connect: Callable[..., Either], fake: Fake, streams: Callable[..., Streams]
) -> None:
    starting = (grpc.StatusCode.UNAVAILABLE, "models are being loaded", retry_info(0.05))
    server = streams((3, DRAINING), *[(0, starting)] * 8)
    results, stream = run(connect(fake.address))
    assert [each.sequence for each in results] == list(range(8))
    assert len(server.configs) == 10
    assert stream.resumed == 1


def test_waiting_has_a_limit(
    connect: Callable[..., Either], fake: Fake, streams: Callable[..., Streams]
) -> None:
    server = streams((3, DRAINING), *[(0, DRAINING)] * 1000)
    before = time.monotonic()
    with pytest.raises(Unavailable) as ended:
        run(connect(fake.address), resume_limit=1.0)
    assert ended.value.reason == "DRAINING"
    assert 0.3 < time.monotonic() - before < 5
    assert 2 < len(server.configs) < 20


def test_resuming_can_be_declined(
    connect: Callable[..., Either], fake: Fake, streams: Callable[..., Streams]
) -> None:
    server = streams((3, DRAINING))
    with pytest.raises(Unavailable):
        run(connect(fake.address), resume_limit=0)
    assert len(server.configs) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [(grpc.StatusCode.ABORTED, Aborted), (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied)],
)
def test_other_ends_are_raised(
    connect: Callable[..., Either],
    fake: Fake,
    streams: Callable[..., Streams],
    code: grpc.StatusCode,
    error: type[Exception],
) -> None:
    server = streams((0, (code, "no")))
    with pytest.raises(error):
        run(connect(fake.address))
    assert len(server.configs) == 1


def test_a_silent_server_counts_as_gone(connect: Callable[..., Either], fake: Fake) -> None:
    opened = []

    def silent(messages: Any, context: Any) -> Iterator[Any]:
        opened.append(next(messages).config)
        fake.over.wait(10)
        yield from ()

    fake.stream("VerifyStream", stream_pb2.VerifyStreamRequest, silent)
    with pytest.raises(Unavailable, match=r"no answer came for 0.4 s, limit 0.4 s"):
        run(connect(fake.address), idle_limit=0.4, resume_limit=0)
    assert len(opened) == 1


def test_a_source_that_pauses_is_no_silent_server(
    connect: Callable[..., Either], fake: Fake, streams: Callable[..., Streams]
) -> None:
    server = streams()

    def frames() -> Iterator[bytes]:
        yield b"one"
        time.sleep(1.2)
        yield b"two"

    results, _ = connect(fake.address).stream(
        lambda c: c.verify_stream(frames(), prompts=TEETH, idle_limit=0.4)
    )
    assert [each.sequence for each in results] == [0, 1]
    assert len(server.configs) == 1


def test_an_answer_that_is_missing_is_told(connect: Callable[..., Either], fake: Fake) -> None:
    def forgetful(messages: Any, context: Any) -> Iterator[Any]:
        for _ in messages:
            pass
        yield stream_pb2.VerifyStreamResponse(summary=stream_pb2.StreamSummary())

    fake.stream("VerifyStream", stream_pb2.VerifyStreamRequest, forgetful)
    with pytest.raises(Exception, match="ended the stream with 8 items unanswered"):
        run(connect(fake.address))


def test_an_ingest_goes_on_with_the_items_without_an_answer(
    connect: Callable[..., Either], fake: Fake
) -> None:
    legs: list[list[str]] = []

    def ingest(messages: Any, context: Any) -> Iterator[Any]:
        assert next(messages).collection == "faces"
        ids: list[str] = []
        legs.append(ids)
        for message in messages:
            ids.append(message.item.id)
            result = evidence_pb2.ItemResult(id=message.item.id)
            yield evidence_pb2.IngestItemsResponse(result=result)
            if len(legs) == 1 and len(ids) == 3:
                abort(context, *DRAINING)

    fake.stream("IngestItems", evidence_pb2.IngestItemsRequest, ingest)
    items = [Item("text", id=str(number)) for number in range(10)]
    results, stream = connect(fake.address).stream(lambda c: c.evidence.ingest("faces", items))
    assert [each.id for each in results] == [item.id for item in items]
    assert stream.resumed == 1
    assert legs[1][-1] == "9"
