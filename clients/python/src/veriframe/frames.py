"""Streams of frames: what is sent, and what each frame and the stream as a whole come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from . import _enums
from ._methods import VERIFY_STREAM, Method
from ._proto import stream_pb2, verdict_pb2
from ._records import Record, optional, seconds, whole_seconds
from ._requests import duration
from ._window import Received
from .errors import VeriframeError, from_status
from .images import ImageLike, to_message
from .results import VerifyResult, hidden


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture with its number in the stream and the time at which it is shown, in seconds.

    Numbers grow from frame to frame. Without one, a frame has that of the one before it plus 1.
    """

    image: ImageLike
    sequence: int | None = None
    presentation_time: float | None = None


FrameLike: TypeAlias = "Frame | ImageLike"


@dataclass(frozen=True, repr=False)
class Segment(Record):
    """A stretch of the video in which a prompt holds; times in seconds."""

    first_sequence: int
    last_sequence: int
    start: float
    end: float
    mean_score: float
    frames: int
    # The number of the frame that shows it best.
    peak_sequence: int
    raw: verdict_pb2.VerdictSegment = hidden()

    @classmethod
    def of(cls, raw: verdict_pb2.VerdictSegment) -> Segment:
        return cls(
            first_sequence=raw.first_sequence,
            last_sequence=raw.last_sequence,
            start=whole_seconds(raw.start),
            end=whole_seconds(raw.end),
            mean_score=raw.mean_score,
            frames=raw.frames,
            peak_sequence=raw.peak.sequence,
            raw=raw,
        )


@dataclass(frozen=True, repr=False)
class SegmentEvent(Record):
    """A segment opened or closed; change is "opened", "closed_score_fell", ..."""

    prompt: str
    change: str
    segment: Segment
    # The number of the frame that was the cause; None where the stream's end was.
    sequence: int | None
    raw: verdict_pb2.SegmentEvent = hidden()

    @classmethod
    def of(cls, raw: verdict_pb2.SegmentEvent) -> SegmentEvent:
        return cls(
            prompt=raw.prompt,
            change=_enums.name(verdict_pb2.SegmentChange, raw.change),
            segment=Segment.of(raw.segment),
            sequence=optional(raw, "sequence"),
            raw=raw,
        )


@dataclass(frozen=True, repr=False)
class PromptVerdict(Record):
    """How a prompt stands after a frame: "present", "absent" or, with reasons, "inconclusive"."""

    prompt: str
    verdict: str
    reasons: tuple[str, ...]
    score: float | None
    segment: Segment | None
    raw: verdict_pb2.PromptVerdict = hidden()

    @classmethod
    def of(cls, raw: verdict_pb2.PromptVerdict) -> PromptVerdict:
        return cls(
            prompt=raw.prompt,
            verdict=_enums.name(verdict_pb2.Verdict, raw.verdict),
            reasons=_reasons(raw.reasons),
            score=optional(raw, "score"),
            segment=Segment.of(raw.segment) if raw.HasField("segment") else None,
            raw=raw,
        )


@dataclass(frozen=True, repr=False)
class PromptSummary(Record):
    """How a prompt stood over the stream, with the segments that show it best."""

    prompt: str
    verdict: str
    reasons: tuple[str, ...]
    share_present: float | None
    observed: float | None
    segments: tuple[Segment, ...]
    segment_count: int
    raw: verdict_pb2.PromptSummary = hidden()

    @classmethod
    def of(cls, raw: verdict_pb2.PromptSummary) -> PromptSummary:
        return cls(
            prompt=raw.prompt,
            verdict=_enums.name(verdict_pb2.Verdict, raw.verdict),
            reasons=_reasons(raw.reasons),
            share_present=optional(raw, "share_present"),
            observed=seconds(raw, "observed"),
            segments=tuple(map(Segment.of, raw.segments)),
            segment_count=raw.segment_count,
            raw=raw,
        )


def _reasons(numbers: Any) -> tuple[str, ...]:
    return tuple(_enums.name(verdict_pb2.VerdictReason, number) for number in numbers)


@dataclass(frozen=True, repr=False, eq=False)
class FrameResult(Record):
    """How one frame ended. status is one of:

    "ok":       ``result`` has all that was asked
    "dropped":  it was left out; ``reason`` is "replaced", "window_full" or "already_answered"
    "expired":  its time ran out
    "error":    it was refused or failed; ``error`` is what ``verify`` would have raised
    """

    sequence: int
    status: str
    presentation_time: float | None
    result: VerifyResult | None
    error: VeriframeError | None
    reason: str | None
    verdicts: tuple[PromptVerdict, ...]
    # The number of the earlier frame whose result this is, with ``reuse``.
    reused_from: int | None
    raw: stream_pb2.FrameResult = hidden()

    @classmethod
    def of(cls, raw: stream_pb2.FrameResult) -> FrameResult:
        status = raw.WhichOneof("outcome") or "unknown"
        dropped = status == "dropped"
        return cls(
            sequence=raw.sequence,
            status=status,
            presentation_time=seconds(raw, "presentation_time"),
            result=VerifyResult.of(raw.ok) if status == "ok" else None,
            error=from_status(raw.error) if status == "error" else None,
            reason=_enums.name(stream_pb2.DropReason, raw.dropped.reason) if dropped else None,
            verdicts=tuple(map(PromptVerdict.of, raw.verdicts)),
            reused_from=optional(raw, "reused_from"),
            raw=raw,
        )

    @property
    def ok(self) -> bool:
        return self.status == "ok"


@dataclass(frozen=True, repr=False)
class StreamSummary(Record):
    """How a stream went; times in seconds. Of one that was resumed, only the part since then."""

    frames: int
    ok: int
    dropped: int
    expired: int
    errors: int
    reused: int
    # Why it ended: "client_closed", "draining", ...
    end: str
    elapsed: float | None
    mean_latency: float | None
    max_latency: float | None
    last_sequence: int | None
    prompts: tuple[PromptSummary, ...]
    raw: stream_pb2.StreamSummary = hidden()

    @classmethod
    def of(cls, raw: stream_pb2.StreamSummary) -> StreamSummary:
        return cls(
            frames=raw.frames,
            ok=raw.ok,
            dropped=raw.dropped,
            expired=raw.expired,
            errors=raw.errors,
            reused=raw.reused,
            end=_enums.name(stream_pb2.StreamEnd, raw.end),
            elapsed=seconds(raw, "elapsed"),
            mean_latency=seconds(raw, "mean_latency"),
            max_latency=seconds(raw, "max_latency"),
            last_sequence=optional(raw, "last_sequence"),
            prompts=tuple(map(PromptSummary.of, raw.verdicts.prompts)),
            raw=raw,
        )


class Numbered:
    """Makes the messages of frames, and gives numbers to those that have none."""

    def __init__(self) -> None:
        self._last: int | None = None

    def message(self, item: FrameLike) -> stream_pb2.Frame:
        given = item if isinstance(item, Frame) else Frame(item)
        last = self._last
        sequence = given.sequence
        if sequence is None:
            sequence = 0 if last is None else last + 1
        elif last is not None and sequence <= last:
            raise ValueError(f"frame {sequence} comes after frame {last}; numbers must grow")
        self._last = sequence
        return stream_pb2.Frame(
            sequence=sequence,
            presentation_time=duration(given.presentation_time),
            image=to_message(given.image),
        )


class VerifyPlan:
    """The messages of VerifyStream; see ``_window.Plan``."""

    method: Method = VERIFY_STREAM

    def __init__(
        self,
        config: stream_pb2.StreamConfig,
        on_event: Callable[[SegmentEvent], None] | None,
    ) -> None:
        self._config = config
        self._on_event = on_event
        self._numbered = Numbered()
        # Where a further stream goes on.
        self._last_answered = optional(config, "resume_after")
        # Of the call that ended last.
        self.summary: StreamSummary | None = None

    def opening(self) -> stream_pb2.VerifyStreamRequest:
        config = stream_pb2.StreamConfig()
        config.CopyFrom(self._config)
        if self._last_answered is not None:
            config.resume_after = self._last_answered
        return stream_pb2.VerifyStreamRequest(config=config)

    def message(self, item: FrameLike) -> stream_pb2.VerifyStreamRequest:
        return stream_pb2.VerifyStreamRequest(frame=self._numbered.message(item))

    def receive(self, response: stream_pb2.VerifyStreamResponse) -> Received[FrameResult]:
        kind = response.WhichOneof("message")
        if kind == "result":
            self._last_answered = response.result.sequence
            return Received(FrameResult.of(response.result), answers=True)
        if kind == "summary":
            self.summary = StreamSummary.of(response.summary)
        elif kind == "event" and self._on_event is not None:
            self._on_event(SegmentEvent.of(response.event))
        return Received(None, answers=False)
