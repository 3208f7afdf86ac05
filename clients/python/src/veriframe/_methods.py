"""The calls that there are: their paths and messages, read from the services' descriptors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from ._proto import detection_pb2 as detection
from ._proto import health_pb2 as health
from ._proto import heatmap_pb2 as heatmap
from ._proto import model_pb2 as model
from ._proto import similarity_pb2 as similarity
from ._proto import stream_pb2 as stream
from ._proto import verify_pb2 as verify

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Result = TypeVar("Result")

_VERIFICATION = "veriframe.v1.VerificationService"
_ANSWER = "veriframe.v1.AnswerService"
_EVIDENCE = "veriframe.v1.EvidenceService"


@dataclass(frozen=True)
class Method(Generic[Request, Response]):
    """One call of a service."""

    path: str
    response: type[Response]
    # Whether carrying it out twice is as good as once: what a lost connection may have cost.
    repeatable: bool = True


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A unary call to make: to what, with what, and what becomes of the answer."""

    method: Method[Any, Any]
    request: Message
    result: Callable[[Any], Result]


VERIFY: Method[verify.VerifyRequest, verify.VerifyResponse] = Method(
    f"/{_VERIFICATION}/Verify", verify.VerifyResponse
)
VERIFY_STREAM: Method[stream.VerifyStreamRequest, stream.VerifyStreamResponse] = Method(
    f"/{_VERIFICATION}/VerifyStream", stream.VerifyStreamResponse
)
EMBED: Method[similarity.EmbedRequest, similarity.EmbedResponse] = Method(
    f"/{_VERIFICATION}/Embed", similarity.EmbedResponse
)
DETECT: Method[detection.DetectRequest, detection.DetectResponse] = Method(
    f"/{_VERIFICATION}/Detect", detection.DetectResponse
)
EXPLAIN: Method[heatmap.ExplainRequest, heatmap.ExplainResponse] = Method(
    f"/{_VERIFICATION}/Explain", heatmap.ExplainResponse
)
LIST_MODELS: Method[model.ListModelsRequest, model.ListModelsResponse] = Method(
    f"/{_VERIFICATION}/ListModels", model.ListModelsResponse
)
HEALTH: Method[health.HealthCheckRequest, health.HealthCheckResponse] = Method(
    "/grpc.health.v1.Health/Check", health.HealthCheckResponse
)
