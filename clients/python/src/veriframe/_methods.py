"""The calls that there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from ._proto import (
    answer_pb2,
    detection_pb2,
    evidence_pb2,
    health_pb2,
    heatmap_pb2,
    model_pb2,
    similarity_pb2,
    stream_pb2,
    verify_pb2,
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Method:
    """One call of a service."""

    path: str
    response: type[Message]
    # Whether carrying it out twice is as good as once: what a lost connection may come to.
    repeatable: bool = True


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A unary call to make: to what, with what, and what becomes of the answer."""

    method: Method
    request: Message
    result: Callable[[Any], Result]


def _verification(name: str, response: type[Message]) -> Method:
    return Method(f"/veriframe.v1.VerificationService/{name}", response)


VERIFY = _verification("Verify", verify_pb2.VerifyResponse)
VERIFY_STREAM = _verification("VerifyStream", stream_pb2.VerifyStreamResponse)
EMBED = _verification("Embed", similarity_pb2.EmbedResponse)
DETECT = _verification("Detect", detection_pb2.DetectResponse)
EXPLAIN = _verification("Explain", heatmap_pb2.ExplainResponse)
LIST_MODELS = _verification("ListModels", model_pb2.ListModelsResponse)


def _answer(name: str, response: type[Message]) -> Method:
    return Method(f"/veriframe.v1.AnswerService/{name}", response)


VERIFY_ANSWER = _answer("VerifyAnswer", answer_pb2.VerifyAnswerResponse)
VERIFY_ANSWER_STREAM = _answer("VerifyAnswerStream", answer_pb2.VerifyAnswerStreamResponse)
SPLIT_ANSWER = _answer("SplitAnswer", answer_pb2.SplitAnswerResponse)


def _evidence(name: str, response: type[Message], repeatable: bool = True) -> Method:
    return Method(f"/veriframe.v1.EvidenceService/{name}", response, repeatable)


# Made or deleted twice, a collection is an error.
CREATE_COLLECTION = _evidence("CreateCollection", evidence_pb2.CreateCollectionResponse, False)
DELETE_COLLECTION = _evidence("DeleteCollection", evidence_pb2.DeleteCollectionResponse, False)
GET_COLLECTION = _evidence("GetCollection", evidence_pb2.GetCollectionResponse)
LIST_COLLECTIONS = _evidence("ListCollections", evidence_pb2.ListCollectionsResponse)
UPSERT_ITEMS = _evidence("UpsertItems", evidence_pb2.UpsertItemsResponse)
INGEST_ITEMS = _evidence("IngestItems", evidence_pb2.IngestItemsResponse)
GET_ITEMS = _evidence("GetItems", evidence_pb2.GetItemsResponse)
LIST_ITEMS = _evidence("ListItems", evidence_pb2.ListItemsResponse)
DELETE_ITEMS = _evidence("DeleteItems", evidence_pb2.DeleteItemsResponse)
SEARCH_EVIDENCE = _evidence("SearchEvidence", evidence_pb2.SearchEvidenceResponse)

HEALTH = Method("/grpc.health.v1.Health/Check", health_pb2.HealthCheckResponse)
