"""Every call's request and what becomes of its answer, for both kinds of client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from . import _enums, _methods, _requests
from ._evidence_calls import filter_message
from ._methods import Call
from ._proto import (
    answer_pb2,
    detection_pb2,
    health_pb2,
    heatmap_pb2,
    model_pb2,
    similarity_pb2,
    stream_pb2,
    verify_pb2,
)
from .answers import AnswerPlan, AnswerResult, Scope, SplitResult
from .frames import SegmentEvent, VerifyPlan
from .images import ImageLike, to_message
from .options import Detect, Heatmaps, Regions, Reuse, Verdicts
from .results import DetectResult, EmbedResult, ExplainResult, ModelInfo, VerifyResult

HeatmapsLike: TypeAlias = "bool | str | Sequence[str] | Heatmaps"

# Frames a server works on at once where a stream does not say: `StreamConfig.max_in_flight`.
DEFAULT_WINDOW = 8
# Results of dropped frames that a server keeps waiting at most.
DROPPED_WAITING = 256
# What frames on their way may take of memory: some forty of 1080p, raw.
MAX_UNANSWERED_BYTES = 256 * 1024 * 1024


def verify(
    image: ImageLike,
    prompts: Sequence[str],
    null_prompts: Sequence[str],
    model: str | None,
    detect: bool | Detect,
    regions: bool | Regions,
    heatmaps: HeatmapsLike,
) -> Call[VerifyResult]:
    request = verify_pb2.VerifyRequest(
        image=to_message(image),
        similarity=_requests.similarity(prompts, null_prompts, model),
        detection=_requests.detection(detect),
        regions=_requests.regions(regions),
        heatmaps=_requests.heatmaps(heatmaps),
    )
    return Call(_methods.VERIFY, request, VerifyResult.of)


def embed(image: ImageLike | None, texts: Sequence[str], model: str | None) -> Call[EmbedResult]:
    request = similarity_pb2.EmbedRequest(
        image=None if image is None else to_message(image),
        texts=_requests.strings(texts, "texts"),
        model=model,
    )
    return Call(_methods.EMBED, request, EmbedResult.of)


def detect(image: ImageLike, options: Detect) -> Call[DetectResult]:
    request = detection_pb2.DetectRequest(
        image=to_message(image), detection=_requests.detection(options)
    )
    return Call(_methods.DETECT, request, DetectResult.of)


def explain(
    image: ImageLike, prompts: Sequence[str], heatmaps: HeatmapsLike
) -> Call[ExplainResult]:
    query = _requests.heatmaps(heatmaps)
    if query is None:
        raise ValueError("heatmaps is False: explain makes nothing else")
    if prompts and query.prompts:
        raise ValueError("prompts are given twice: in the call and in Heatmaps")
    query.prompts.extend(_requests.strings(prompts, "prompts"))
    request = heatmap_pb2.ExplainRequest(image=to_message(image), heatmaps=query)
    return Call(_methods.EXPLAIN, request, ExplainResult.of)


def _answer_request(
    answer: str,
    question: str,
    evidence: str | Scope | None,
    model: str | None,
    detector: str | None,
    witnesses: Sequence[str],
) -> answer_pb2.VerifyAnswerRequest:
    kind = answer_pb2.WitnessKind
    return answer_pb2.VerifyAnswerRequest(
        question=question,
        answer=answer,
        evidence=_scope(evidence),
        model=model,
        detector=detector,
        witnesses=[
            _enums.number(kind, each, "witnesses")
            for each in _requests.strings(witnesses, "witnesses")
        ],
    )


def _scope(evidence: str | Scope | None) -> answer_pb2.EvidenceScope | None:
    if evidence is None:
        return None
    scope = Scope(evidence) if isinstance(evidence, str) else evidence
    return answer_pb2.EvidenceScope(
        collection=scope.collection,
        filter=filter_message(scope.where),
        limit=scope.limit,
        min_same_cosine=scope.min_same_cosine,
    )


def verify_answer(
    answer: str,
    images: ImageLike | Sequence[ImageLike],
    question: str,
    evidence: str | Scope | None,
    model: str | None,
    detector: str | None,
    witnesses: Sequence[str],
    heatmaps: HeatmapsLike,
) -> Call[AnswerResult]:
    request = _answer_request(answer, question, evidence, model, detector, witnesses)
    many = images if isinstance(images, (list, tuple)) else [images]
    request.images.extend(map(to_message, many))
    query = _requests.heatmaps(heatmaps)
    if query is not None:
        request.heatmaps.CopyFrom(query)
    return Call(_methods.VERIFY_ANSWER, request, AnswerResult.of)


def answer_plan(
    answer: str,
    question: str,
    evidence: str | Scope | None,
    model: str | None,
    detector: str | None,
    witnesses: Sequence[str],
) -> AnswerPlan:
    return AnswerPlan(_answer_request(answer, question, evidence, model, detector, witnesses))


def split_answer(answer: str) -> Call[SplitResult]:
    request = answer_pb2.SplitAnswerRequest(answer=answer)
    return Call(_methods.SPLIT_ANSWER, request, SplitResult.of)


def models() -> Call[tuple[ModelInfo, ...]]:
    def result(response: model_pb2.ListModelsResponse) -> tuple[ModelInfo, ...]:
        return tuple(map(ModelInfo.of, response.models))

    return Call(_methods.LIST_MODELS, model_pb2.ListModelsRequest(), result)


def health(service: str) -> Call[str]:
    def result(response: health_pb2.HealthCheckResponse) -> str:
        status = health_pb2.HealthCheckResponse.ServingStatus
        return status.Name(response.status).lower()

    return Call(_methods.HEALTH, health_pb2.HealthCheckRequest(service=service), result)


def verify_plan(
    prompts: Sequence[str],
    null_prompts: Sequence[str],
    model: str | None,
    detect: bool | Detect,
    regions: bool | Regions,
    heatmaps: HeatmapsLike,
    policy: str,
    max_in_flight: int | None,
    frame_timeout: float | None,
    reuse: bool | Reuse,
    verdicts: bool | Verdicts,
    resume_after: int | None,
    on_event: Callable[[SegmentEvent], None] | None,
) -> VerifyPlan:
    config = stream_pb2.StreamConfig(
        similarity=_requests.similarity(prompts, null_prompts, model),
        detection=_requests.detection(detect),
        regions=_requests.regions(regions),
        heatmaps=_requests.heatmaps(heatmaps),
        policy=_enums.number(stream_pb2.OverloadPolicy, policy, "policy"),
        max_in_flight=max_in_flight,
        frame_timeout=_requests.duration(frame_timeout),
        resume_after=resume_after,
        reuse=_requests.reuse(reuse),
        verdicts=_requests.verdicts(verdicts),
    )
    return VerifyPlan(config, on_event)


def most_unanswered(policy: str, max_in_flight: int | None) -> int:
    """How many frames may be on their way at once where a stream does not say.

    Of a stream that waits, the server's window and as many again, so that it never runs dry. Of one
    that drops, as many as the server answers late, or it would never see its window full.
    """
    window = max_in_flight or DEFAULT_WINDOW
    return 2 * window if policy == "wait" else window + DROPPED_WAITING
