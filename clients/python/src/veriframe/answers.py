"""Checked answers: claims, what each witness said of them, and what follows."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import _enums
from ._methods import VERIFY_ANSWER_STREAM, Method
from ._proto import answer_pb2
from ._records import Record, optional, seconds
from ._window import Received
from .errors import VeriframeError, from_status
from .evidence import Condition, Filter
from .frames import FrameLike, Numbered
from .results import Box, Calibration, Heatmap, Model, Timing, hidden, model_of


@dataclass(frozen=True)
class Scope:
    """Where evidence is looked for: in a collection, among which of its items. Name the subject in
    the filter where it is known, for evidence about something else is evidence of nothing.
    """

    collection: str
    # A Filter, or its conditions alone: {"subject": "0417"}.
    where: Filter | dict[str, Condition] | None = None
    limit: int | None = None
    min_same_cosine: float | None = None


@dataclass(frozen=True, repr=False)
class Citation(Record):
    """What a witness pointed at: a place in a picture, or a statement of the evidence.

    image, sequence, box, label: of a place: the picture's number, in a stream the frame's, and the
    box, None for the whole picture. item_id, text, title, source_uri: of evidence; item_id is None
    for a place.
    """

    stance: str
    support: float
    image: int | None
    sequence: int | None
    box: Box | None
    label: str
    item_id: str | None
    text: str
    title: str
    source_uri: str
    raw: answer_pb2.Citation = hidden()

    @classmethod
    def of(cls, raw: answer_pb2.Citation) -> Citation:
        picture, evidence = raw.picture, raw.evidence
        of_picture = raw.HasField("picture")
        return cls(
            stance=_enums.name(answer_pb2.Stance, raw.stance),
            support=raw.support,
            image=picture.image if of_picture else None,
            sequence=optional(picture, "sequence"),
            box=Box.of(picture.box) if picture.HasField("box") else None,
            label=picture.label,
            item_id=None if of_picture else evidence.item_id,
            text=evidence.text,
            title=evidence.title,
            source_uri=evidence.source_uri,
            raw=raw,
        )


@dataclass(frozen=True, repr=False)
class Testimony(Record):
    """What one witness said about a claim: stance "for", "against" or, with the reason in
    ``silence``, "silent"; and how strongly.
    """

    # Not a test, whatever pytest takes it for.
    __test__ = False

    witness: str
    stance: str
    support: float
    silence: str
    citations: tuple[Citation, ...]
    raw: answer_pb2.Testimony = hidden()

    @classmethod
    def of(cls, raw: answer_pb2.Testimony) -> Testimony:
        return cls(
            witness=_enums.name(answer_pb2.WitnessKind, raw.witness),
            stance=_enums.name(answer_pb2.Stance, raw.stance),
            support=raw.support,
            silence=raw.silence,
            citations=tuple(map(Citation.of, raw.citations)),
            raw=raw,
        )


@dataclass(frozen=True, repr=False)
class Claim(Record):
    """One statement of an answer; its bytes there, and the texts that would hold if it did not."""

    text: str
    kind: str
    language: str
    start_byte: int
    end_byte: int
    contradictions: tuple[str, ...]
    raw: answer_pb2.Claim = hidden()

    @classmethod
    def of(cls, raw: answer_pb2.Claim) -> Claim:
        return cls(
            text=raw.text,
            kind=_enums.name(answer_pb2.ClaimKind, raw.kind),
            language=raw.language,
            start_byte=raw.start_byte,
            end_byte=raw.end_byte,
            contradictions=tuple(raw.contradictions),
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class ClaimResult(Record):
    """What was found out about a claim. status is "supported", "contradicted", "unsupported",
    "inconclusive" or "unsupported_claim_type"; confidence is the probability that it is true, None
    where no witness judged it.
    """

    text: str
    status: str
    confidence: float | None
    reasons: tuple[str, ...]
    testimonies: tuple[Testimony, ...] = field(repr=False)
    heatmaps: tuple[Heatmap, ...]
    claim: Claim = field(repr=False)
    raw: answer_pb2.ClaimResult = hidden()

    @classmethod
    def of(cls, raw: answer_pb2.ClaimResult) -> ClaimResult:
        return cls(
            text=raw.claim.text,
            status=_enums.name(answer_pb2.ClaimStatus, raw.status),
            confidence=optional(raw, "confidence"),
            reasons=tuple(_enums.name(answer_pb2.ClaimReason, each) for each in raw.reasons),
            testimonies=tuple(map(Testimony.of, raw.testimonies)),
            heatmaps=tuple(map(Heatmap.of, raw.heatmaps.heatmaps)),
            claim=Claim.of(raw.claim),
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class AnswerResult(Record):
    """How far an answer may be believed: as a whole, and claim by claim.

    confidence:  the probability that every claim that could be checked is true; None where none was
    without:     what the confidence would be without each witness that was heard
    calibration: where these probabilities come from; with "UNCALIBRATED" they order, no more
    """

    status: str
    confidence: float | None
    checked: int
    unchecked: int
    claims: tuple[ClaimResult, ...]
    without: dict[str, float | None] = field(repr=False)
    calibration: Calibration
    model: Model | None = field(repr=False)
    detector: Model | None = field(repr=False)
    timing: Timing = field(repr=False)
    raw: answer_pb2.VerifyAnswerResponse = hidden()

    @classmethod
    def of(cls, raw: answer_pb2.VerifyAnswerResponse) -> AnswerResult:
        verdict = raw.verdict
        return cls(
            status=_enums.name(answer_pb2.ClaimStatus, verdict.status),
            confidence=optional(verdict, "confidence"),
            checked=verdict.checked,
            unchecked=verdict.unchecked,
            claims=tuple(map(ClaimResult.of, raw.claims)),
            without={
                _enums.name(answer_pb2.WitnessKind, each.without): optional(each, "confidence")
                for each in verdict.ablations
            },
            calibration=Calibration.of(raw.calibration),
            model=model_of(raw),
            detector=model_of(raw, "detector"),
            timing=Timing.of(raw.timing),
            raw=raw,
        )


@dataclass(frozen=True, repr=False)
class SplitResult(Record):
    """What a text claims, and the cues that it asks to look for."""

    claims: tuple[Claim, ...]
    cues: tuple[str, ...]
    raw: answer_pb2.SplitAnswerResponse = hidden()

    @classmethod
    def of(cls, raw: answer_pb2.SplitAnswerResponse) -> SplitResult:
        return cls(tuple(map(Claim.of, raw.claims)), tuple(cue.text for cue in raw.cues), raw)


@dataclass(frozen=True, repr=False, eq=False)
class FrameTestimony(Record):
    """What one frame says about each claim, above 0 for it; or why it was not looked at."""

    sequence: int
    presentation_time: float | None
    support: tuple[float, ...]
    error: VeriframeError | None
    raw: answer_pb2.FrameTestimony = hidden()

    @classmethod
    def of(cls, raw: answer_pb2.FrameTestimony) -> FrameTestimony:
        return cls(
            sequence=raw.sequence,
            presentation_time=seconds(raw, "presentation_time"),
            support=tuple(raw.support),
            error=from_status(raw.error) if raw.HasField("error") else None,
            raw=raw,
        )


class AnswerPlan:
    """The messages of VerifyAnswerStream; see ``_window.Plan``."""

    method: Method = VERIFY_ANSWER_STREAM

    def __init__(self, config: answer_pb2.VerifyAnswerRequest) -> None:
        self._config = config
        self._numbered = Numbered()
        self.answer: AnswerResult | None = None

    def opening(self) -> answer_pb2.VerifyAnswerStreamRequest:
        return answer_pb2.VerifyAnswerStreamRequest(config=self._config)

    def message(self, item: FrameLike) -> answer_pb2.VerifyAnswerStreamRequest:
        return answer_pb2.VerifyAnswerStreamRequest(frame=self._numbered.message(item))

    def receive(self, response: answer_pb2.VerifyAnswerStreamResponse) -> Received[FrameTestimony]:
        if response.HasField("frame"):
            return Received(FrameTestimony.of(response.frame), answers=True)
        self.answer = AnswerResult.of(response.answer)
        return Received(None, answers=False)
