"""Checks images and video frames against text: the client of a veriframe server.

from veriframe import Client

with Client("127.0.0.1:50051") as client:
    answer = client.verify("face.png", prompts=["uneven teeth", "even teeth"])
    print(answer.best)
"""

from pkgutil import extend_path

from ._channel import Tls
from ._retry import Retry
from .aio import AsyncAnswerStream, AsyncClient, AsyncVerifyStream
from .answers import (
    AnswerResult,
    Citation,
    Claim,
    ClaimResult,
    FrameTestimony,
    Scope,
    SplitResult,
    Testimony,
)
from .client import AnswerStream, Client, VerifyStream
from .errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    VeriframeError,
)
from .evidence import Chunk, Collection, Filter, Hit, Item, ItemResult, Not, SearchResult
from .frames import (
    Frame,
    FrameResult,
    PromptSummary,
    PromptVerdict,
    Segment,
    SegmentEvent,
    StreamSummary,
)
from .images import Bgr
from .options import (
    BoxHeatmaps,
    Detect,
    Heatmaps,
    Regions,
    Reuse,
    VerdictPrompt,
    Verdicts,
    Zoom,
)
from .results import (
    Box,
    BoxHeatmap,
    Calibration,
    Detection,
    DetectResult,
    EmbedResult,
    ExplainResult,
    Heatmap,
    Model,
    ModelInfo,
    Region,
    Score,
    Timing,
    VerifyResult,
)

# An application's own veriframe/v1/*_pb2.py, elsewhere on its path, stay importable beside this.
__path__ = extend_path(__path__, __name__)

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AnswerResult",
    "AnswerStream",
    "AsyncAnswerStream",
    "AsyncClient",
    "AsyncVerifyStream",
    "Bgr",
    "Box",
    "BoxHeatmap",
    "BoxHeatmaps",
    "Calibration",
    "Cancelled",
    "Chunk",
    "Citation",
    "Claim",
    "ClaimResult",
    "Client",
    "Collection",
    "DataLoss",
    "DeadlineExceeded",
    "Detect",
    "DetectResult",
    "Detection",
    "EmbedResult",
    "ExplainResult",
    "FailedPrecondition",
    "FieldViolation",
    "Filter",
    "Frame",
    "FrameResult",
    "FrameTestimony",
    "Heatmap",
    "Heatmaps",
    "Hit",
    "Internal",
    "InvalidArgument",
    "Item",
    "ItemResult",
    "Model",
    "ModelInfo",
    "Not",
    "NotFound",
    "PermissionDenied",
    "PromptSummary",
    "PromptVerdict",
    "Region",
    "Regions",
    "ResourceExhausted",
    "Retry",
    "Reuse",
    "Scope",
    "Score",
    "SearchResult",
    "Segment",
    "SegmentEvent",
    "SplitResult",
    "StreamSummary",
    "Testimony",
    "Timing",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "VerdictPrompt",
    "Verdicts",
    "VeriframeError",
    "VerifyResult",
    "VerifyStream",
    "Zoom",
]
