"""Streams of frames, on a server that stays."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import FACE, FRAMES, TEETH, Either
from PIL import Image

from veriframe import (
    Client,
    Frame,
    InvalidArgument,
    SegmentEvent,
    Unavailable,
    VerdictPrompt,
    Verdicts,
)


def test_one_result_for_each_frame_in_order(client: Either) -> None:
    frames = FRAMES * 5
    results, stream = client.stream(lambda c: c.verify_stream(frames, prompts=TEETH, detect=True))
    assert [each.sequence for each in results] == list(range(len(frames)))
    assert all(each.ok and each.result.scores and each.result.detections for each in results)
    assert (stream.summary.frames, stream.summary.ok) == (len(frames), len(frames))
    assert (stream.summary.end, stream.resumed) == ("client_closed", 0)
    # The same picture at the same place of each round.
    assert results[3].result.best.cosine == pytest.approx(results[11].result.best.cosine, abs=1e-5)


def test_frames_of_numpy_and_of_other_kinds(client: Either) -> None:
    pillow = Image.open(FACE)
    pixels = np.asarray(pillow)
    frames = [pixels, FACE, Frame(pillow, sequence=7, presentation_time=1.5), FACE.read_bytes()]
    results, _ = client.stream(lambda c: c.verify_stream(frames, prompts=TEETH))
    assert [each.sequence for each in results] == [0, 1, 7, 8]
    assert [each.presentation_time for each in results] == [None, None, 1.5, None]
    cosines = [each.result.best.cosine for each in results]
    assert cosines == pytest.approx([cosines[0]] * 4, abs=0.02)


def test_a_bad_frame_is_answered_in_place(client: Either) -> None:
    frames = [FACE, b"no picture", FACE]
    results, stream = client.stream(lambda c: c.verify_stream(frames, prompts=TEETH))
    assert [each.status for each in results] == ["ok", "error", "ok"]
    assert isinstance(results[1].error, InvalidArgument)
    assert results[1].error.violations[0].field == "frame.image"
    assert results[1].result is None
    assert (stream.summary.ok, stream.summary.errors) == (2, 1)


def test_a_refused_configuration(client: Either) -> None:
    for _ in range(5):
        with pytest.raises(InvalidArgument, match=r"config\.similarity: nothing is asked"):
            client.collect(lambda c: c.verify_stream(FRAMES))
    with pytest.raises(ValueError, match='policy is "drop", none of: wait, drop_oldest'):
        client.collect(lambda c: c.verify_stream(FRAMES, prompts=TEETH, policy="drop"))


def test_no_frames(client: Either) -> None:
    results, stream = client.stream(lambda c: c.verify_stream([], prompts=TEETH))
    assert (results, stream.summary.frames) == ([], 0)


def test_an_error_of_the_source_comes_after_the_answers(client: Either) -> None:
    def frames() -> Iterator[Any]:
        yield from FRAMES[:3]
        raise OSError("the camera is gone")

    seen: list[int] = []
    with pytest.raises(OSError, match="the camera is gone"):
        client.stream(
            lambda c: c.verify_stream(frames(), prompts=TEETH),
            lambda result: seen.append(result.sequence),
        )
    assert seen == [0, 1, 2]


def test_numbers_must_grow(client: Either) -> None:
    with pytest.raises(ValueError, match="frame 4 comes after frame 4"):
        frames = [Frame(FACE, 4), Frame(FACE, 4)]
        client.stream(lambda c: c.verify_stream(frames, prompts=TEETH))


def test_no_server_is_told_soon(connect: Callable[..., Either]) -> None:
    before = time.monotonic()
    with pytest.raises(Unavailable, match="refused"):
        connect("127.0.0.1:1").collect(lambda c: c.verify_stream(FRAMES, prompts=TEETH))
    assert time.monotonic() - before < 10


def test_the_source_is_read_no_further_than_the_window(client: Either) -> None:
    read = 0

    def frames() -> Iterator[Any]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield FACE

    ahead = []

    def slowly(result: Any) -> None:
        time.sleep(0.02)
        ahead.append(read - result.sequence - 1)

    client.stream(
        lambda c: c.verify_stream(frames(), prompts=TEETH, max_in_flight=2, max_unanswered=5),
        slowly,
    )
    assert len(ahead) == 100
    # Five without an answer, the one that was handed out, and one that waits for a place.
    assert max(ahead) <= 6


def test_a_limit_of_bytes_holds_large_frames_back(client: Either) -> None:
    pixels = np.zeros((300, 300, 3), np.uint8)
    results, _ = client.stream(
        lambda c: c.verify_stream([pixels] * 6, prompts=TEETH, max_unanswered_bytes=1)
    )
    assert [each.sequence for each in results] == list(range(6))


def test_frames_are_dropped_where_they_may_be(client: Either) -> None:
    frames = FRAMES * 10
    results, stream = client.stream(
        lambda c: c.verify_stream(
            frames, prompts=TEETH, heatmaps=True, policy="drop_newest", max_in_flight=1
        )
    )
    assert [each.sequence for each in results] == list(range(len(frames)))
    dropped = [each for each in results if each.status == "dropped"]
    assert dropped
    assert {each.reason for each in dropped} == {"window_full"}
    assert stream.summary.dropped == len(dropped)


def test_frames_expire(client: Either) -> None:
    results, _ = client.stream(
        lambda c: c.verify_stream(FRAMES, prompts=TEETH, frame_timeout=0.001)
    )
    assert {each.status for each in results} == {"expired"}


def test_what_was_answered_before_is_not_again(client: Either) -> None:
    results, _ = client.stream(lambda c: c.verify_stream(FRAMES[:4], prompts=TEETH, resume_after=1))
    assert [(each.sequence, each.status, each.reason) for each in results] == [
        (0, "dropped", "already_answered"),
        (1, "dropped", "already_answered"),
        (2, "ok", None),
        (3, "ok", None),
    ]


def test_still_scenes_are_reused(client: Either) -> None:
    results, stream = client.stream(
        lambda c: c.verify_stream([FACE] * 8, prompts=TEETH, max_in_flight=1, reuse=True)
    )
    assert stream.summary.reused == sum(each.reused_from is not None for each in results) > 0


def test_verdicts_and_their_events(client: Either) -> None:
    events: list[SegmentEvent] = []
    ask = Verdicts(
        prompts=[VerdictPrompt("uneven teeth", "even teeth")],
        figure="margin",
        open_at=0.1,
        close_at=-0.1,
        frame_interval=0.2,
    )
    results, stream = client.stream(
        lambda c: c.verify_stream([FACE] * 10, prompts=TEETH, verdicts=ask, on_event=events.append)
    )
    assert results[0].verdicts[0].verdict == "inconclusive"
    assert results[-1].verdicts[0].verdict == "present"
    assert [event.change for event in events] == ["opened", "closed_stream_ended"]
    (prompt,) = stream.summary.prompts
    assert (prompt.verdict, prompt.segment_count) == ("present", 1)
    assert prompt.segments[0].end == pytest.approx(1.8)


def test_closing_ends_source_and_stream(address: str) -> None:
    before = threading.active_count()
    with Client(address) as client:
        ended = threading.Event()

        def frames() -> Iterator[Any]:
            try:
                while True:
                    yield FACE
            finally:
                ended.set()

        stream = client.verify_stream(frames(), prompts=TEETH)
        assert next(stream).ok
        stream.close()
        assert list(stream) == []
        # One that nobody holds any more ends as well.
        dropped = client.verify_stream([FACE] * 1000, prompts=TEETH)
        assert next(dropped).ok
        del dropped
        gc.collect()
    end = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert threading.active_count() <= before
    gc.collect()
    assert ended.is_set()
