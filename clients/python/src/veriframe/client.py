"""The client for code that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from . import _calls, _channel
from ._calls import HeatmapsLike
from ._channel import DEFAULT_ADDRESS, MAX_MESSAGE_BYTES, Tls
from ._evidence_client import Evidence
from ._methods import Call, Method
from ._retry import Attempts, Retry
from ._settings import DEFAULT, Default, Settings
from ._stream import ResultStream
from ._window import Window
from .answers import AnswerPlan, AnswerResult, FrameTestimony, Scope, SplitResult
from .errors import DeadlineExceeded, Unavailable, from_rpc
from .frames import FrameLike, FrameResult, SegmentEvent, StreamSummary, VerifyPlan
from .images import ImageLike
from .options import Detect, Regions, Reuse, Verdicts
from .results import DetectResult, EmbedResult, ExplainResult, ModelInfo, VerifyResult

Result = TypeVar("Result")


class VerifyStream(ResultStream[FrameLike, FrameResult]):
    """The results of a stream of frames, in order. ``summary`` is there when they have ended."""

    _plan: VerifyPlan

    @property
    def summary(self) -> StreamSummary | None:
        """How the stream went; of one that was resumed, the part since then."""
        return self._plan.summary


class AnswerStream(ResultStream[FrameLike, FrameTestimony]):
    """What each frame says about each claim, in order."""

    _plan: AnswerPlan

    @property
    def answer(self) -> AnswerResult | None:
        """What holds over all frames; there when they have ended."""
        return self._plan.answer


class Client:
    """A veriframe server, or several. Threads may share one.

    address:    "HOST:PORT", "https://HOST:PORT" for TLS, "dns:///NAME:PORT", or several "IP:PORT".
                Calls take turns over all addresses there are
    tls:        True, or ``Tls`` with an authority and a certificate of your own
    api_key:    the server's, where it asks for keys
    timeout:    seconds that a call may take, its retries included; None for no limit
    priority:   "high", "normal" or "low"
    retry:      how often, and how far apart; ``Retry(attempts=1)`` tries once
    keepalive:  seconds after which a silent connection is asked whether it is there; None: never
    """

    def __init__(
        self,
        address: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        tls: Tls | bool | None = None,
        api_key: str | None = None,
        timeout: float | None = 10.0,
        priority: str | None = None,
        retry: Retry | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        keepalive: float | None = 30.0,
    ) -> None:
        end = _channel.endpoint(address, tls, api_key, max_message_bytes, keepalive)
        self._settings = Settings(end.target, api_key, timeout, priority, retry or Retry())
        self._channel = (
            grpc.insecure_channel(end.target, end.options)
            if end.credentials is None
            else grpc.secure_channel(end.target, end.credentials, end.options)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.target})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. Calls and streams that run are cancelled."""
        self._channel.close()

    def verify(
        self,
        image: ImageLike,
        *,
        prompts: Sequence[str] = (),
        null_prompts: Sequence[str] = (),
        model: str | None = None,
        detect: bool | Detect = False,
        regions: bool | Regions = False,
        heatmaps: HeatmapsLike = False,
        timeout: float | Default | None = DEFAULT,
        priority: str | None = None,
    ) -> VerifyResult:
        """Everything about one picture: any of scores of prompts, boxes, scores of each box, and
        heatmaps. Nothing is computed that is not asked for.
        """
        call = _calls.verify(image, prompts, null_prompts, model, detect, regions, heatmaps)
        return self._run(call, timeout, priority)

    def verify_stream(
        self,
        frames: Iterable[FrameLike],
        *,
        prompts: Sequence[str] = (),
        null_prompts: Sequence[str] = (),
        model: str | None = None,
        detect: bool | Detect = False,
        regions: bool | Regions = False,
        heatmaps: HeatmapsLike = False,
        policy: str = "wait",
        max_in_flight: int | None = None,
        frame_timeout: float | None = None,
        reuse: bool | Reuse = False,
        verdicts: bool | Verdicts = False,
        on_event: Callable[[SegmentEvent], None] | None = None,
        resume_after: int | None = None,
        resume_limit: float = 60.0,
        idle_limit: float | None = 60.0,
        max_unanswered: int | None = None,
        max_unanswered_bytes: int = _calls.MAX_UNANSWERED_BYTES,
        priority: str | None = None,
    ) -> VerifyStream:
        """The same for the frames of a video: an iterator with one ``FrameResult`` for each frame,
        in their order. A bad frame is answered in place.

        policy, max_in_flight, frame_timeout, reuse, verdicts: docs/streams.md
        on_event:        called with each segment that opens or closes, between two results
        resume_after:    the last frame that an earlier stream answered; frames up to it are dropped
        resume_limit:    where the connection breaks or the server goes down, for how many seconds
                         from the last answer on to try to go on, with the frames that have no
                         answer yet; 0: not at all
        idle_limit:      seconds without an answer after which a stream counts as broken
        max_unanswered, max_unanswered_bytes: how far to read ahead in ``frames``. These frames are
                         in memory, to be sent again
        """
        plan = _calls.verify_plan(
            prompts, null_prompts, model, detect, regions, heatmaps, policy, max_in_flight,
            frame_timeout, reuse, verdicts, resume_after, on_event,
        )  # fmt: skip
        most = max_unanswered or _calls.most_unanswered(policy, max_in_flight)
        return VerifyStream(
            plan,
            self._opener(plan.method, priority),
            frames,
            window=Window(most, max_unanswered_bytes),
            retry=self._settings.retry,
            resume_limit=resume_limit,
            idle_limit=idle_limit,
        )

    def embed(
        self,
        image: ImageLike | None = None,
        *,
        texts: Sequence[str] = (),
        model: str | None = None,
        timeout: float | Default | None = DEFAULT,
        priority: str | None = None,
    ) -> EmbedResult:
        """Places of a picture and of texts in the embedding space."""
        return self._run(_calls.embed(image, texts, model), timeout, priority)

    def detect(
        self,
        image: ImageLike,
        options: Detect | None = None,
        *,
        timeout: float | Default | None = DEFAULT,
        priority: str | None = None,
    ) -> DetectResult:
        """Boxes of one picture."""
        return self._run(_calls.detect(image, options or Detect()), timeout, priority)

    def explain(
        self,
        image: ImageLike,
        *,
        prompts: Sequence[str] = (),
        heatmaps: HeatmapsLike = True,
        timeout: float | Default | None = DEFAULT,
        priority: str | None = None,
    ) -> ExplainResult:
        """Heatmaps of one picture, without scores."""
        return self._run(_calls.explain(image, prompts, heatmaps), timeout, priority)

    def verify_answer(
        self,
        answer: str,
        images: ImageLike | Sequence[ImageLike] = (),
        *,
        question: str = "",
        evidence: str | Scope | None = None,
        model: str | None = None,
        detector: str | None = None,
        witnesses: Sequence[str] = (),
        heatmaps: HeatmapsLike = False,
        timeout: float | Default | None = DEFAULT,
        priority: str | None = None,
    ) -> AnswerResult:
        """How far a generated answer may be believed, claim by claim, by pictures, by evidence, or
        by both. evidence: a collection's name, or a ``Scope`` of one; witnesses: of "pixels",
        "regions", "detector", "text", "images", or all.
        """
        call = _calls.verify_answer(
            answer, images, question, evidence, model, detector, witnesses, heatmaps
        )
        return self._run(call, timeout, priority)

    def verify_answer_stream(
        self,
        answer: str,
        frames: Iterable[FrameLike],
        *,
        question: str = "",
        evidence: str | Scope | None = None,
        model: str | None = None,
        detector: str | None = None,
        witnesses: Sequence[str] = (),
        idle_limit: float | None = 60.0,
        max_unanswered: int = 16,
        priority: str | None = None,
    ) -> AnswerStream:
        """The same over the frames of a video: an iterator with one ``FrameTestimony`` for each
        frame; ``answer`` is there at its end. A stream that breaks off must be begun anew.
        """
        plan = _calls.answer_plan(answer, question, evidence, model, detector, witnesses)
        return AnswerStream(
            plan,
            self._opener(plan.method, priority),
            frames,
            window=Window(max_unanswered, _calls.MAX_UNANSWERED_BYTES),
            retry=self._settings.retry,
            resume_limit=0.0,
            idle_limit=idle_limit,
        )

    def split_answer(
        self, answer: str, *, timeout: float | Default | None = DEFAULT
    ) -> SplitResult:
        """The claims and the cues of a text, without checking them."""
        return self._run(_calls.split_answer(answer), timeout)

    @property
    def evidence(self) -> Evidence:
        """The collections of evidence."""
        return Evidence(self)

    def models(self, *, timeout: float | Default | None = DEFAULT) -> tuple[ModelInfo, ...]:
        """The models that are served; the first of a kind is the default."""
        return self._run(_calls.models(), timeout)

    def health(self, service: str = "", *, timeout: float | Default | None = DEFAULT) -> str:
        """ "serving", "not_serving", or "unknown". The services are "" or "ready": the models are
        loaded; "live": the process answers.
        """
        return self._run(_calls.health(service), timeout)

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Returns when the server is there and its models are loaded; DeadlineExceeded if not."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                state = self.health(timeout=max(deadline - time.monotonic(), 0.001))
            except (Unavailable, DeadlineExceeded) as error:
                state = error.message
            if state == "serving":
                return
            if time.monotonic() >= deadline:
                raise DeadlineExceeded(
                    f"{self._settings.target} is not ready after {timeout:g} s: {state}"
                )
            time.sleep(0.1)

    def _run(
        self,
        call: Call[Result],
        timeout: float | Default | None,
        priority: str | None = None,
    ) -> Result:
        settings = self._settings
        attempts = Attempts(settings.retry, settings.seconds(timeout), call.method.repeatable)
        send = self._channel.unary_unary(
            call.method.path,
            request_serializer=_serialize,
            response_deserializer=call.method.response.FromString,
        )
        metadata = settings.metadata(priority)
        while True:
            try:
                response = send(call.request, timeout=attempts.remaining(), metadata=metadata)
            except grpc.RpcError as error:
                failure = from_rpc(error)
            else:
                return call.result(response)
            # Outside the handler: what is raised here says all that gRPC's own error says.
            time.sleep(attempts.pause_after(failure))

    def _opener(self, method: Method, priority: str | None) -> Callable[[Iterator[Message]], Any]:
        send = self._channel.stream_stream(
            method.path,
            request_serializer=_serialize,
            response_deserializer=method.response.FromString,
        )
        metadata = self._settings.metadata(priority)
        return lambda messages: send(messages, metadata=metadata)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
