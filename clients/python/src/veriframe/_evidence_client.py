"""Evidence, for code that waits: ``client.evidence``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _evidence_calls as _calls
from ._evidence_calls import FilterLike
from ._settings import DEFAULT, Default
from ._stream import ResultStream
from ._window import Window
from .evidence import Collection, IngestPlan, Item, ItemResult, SearchResult
from .images import ImageLike

if TYPE_CHECKING:
    from .client import Client


class Evidence:
    """Keeps passages and pictures in collections, and finds them by what they say and show."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
        self,
        collection: str,
        *,
        model: str | None = None,
        keep_images: bool = True,
        detector: str | None = None,
        min_confidence: float | None = None,
        quantised: bool = False,
        timeout: float | Default | None = DEFAULT,
    ) -> Collection:
        """Makes an empty collection. With a detector, its boxes are found by themselves."""
        call = _calls.create(collection, model, keep_images, detector, min_confidence, quantised)
        return self._client._run(call, timeout)

    def drop(self, collection: str, *, timeout: float | Default | None = DEFAULT) -> None:
        """Deletes a collection with all that is in it."""
        self._client._run(_calls.drop(collection), timeout)

    def describe(self, collection: str, *, timeout: float | Default | None = DEFAULT) -> Collection:
        """One collection with its statistics."""
        return self._client._run(_calls.describe(collection), timeout)

    def collections(self, *, timeout: float | Default | None = DEFAULT) -> tuple[Collection, ...]:
        """All collections, by name."""
        return self._client._run(_calls.collections(), timeout)

    def put(
        self,
        collection: str,
        items: Item | Iterable[Item],
        *,
        timeout: float | Default | None = DEFAULT,
    ) -> tuple[ItemResult, ...]:
        """Puts up to 64 items in; one whose id is there is replaced. Each fails by itself: see the
        ``error`` of its result. For more, ``ingest``.
        """
        return self._client._run(_calls.put(collection, items), timeout)

    def ingest(
        self,
        collection: str,
        items: Iterable[Item],
        *,
        max_unanswered: int = 64,
        max_unanswered_bytes: int = 64 * 1024 * 1024,
        resume_limit: float = 60.0,
        idle_limit: float | None = 120.0,
        priority: str | None = None,
    ) -> ResultStream[Item, ItemResult]:
        """Puts any number of items in: an iterator with one ``ItemResult`` for each, in order. It
        goes on after a break as ``verify_stream`` does. Iterate it to its end.
        """
        plan = IngestPlan(collection)
        return ResultStream(
            plan,
            self._client._opener(plan.method, priority),
            items,
            window=Window(max_unanswered, max_unanswered_bytes),
            retry=self._client._settings.retry,
            resume_limit=resume_limit,
            idle_limit=idle_limit,
        )

    def get(
        self,
        collection: str,
        ids: Sequence[str],
        *,
        with_images: bool = False,
        timeout: float | Default | None = DEFAULT,
    ) -> tuple[Item, ...]:
        """Items by their ids, in that order; ids that are not there are left out."""
        return self._client._run(_calls.get(collection, ids, with_images), timeout)

    def list(
        self,
        collection: str,
        *,
        where: FilterLike = None,
        page_size: int | None = None,
        timeout: float | Default | None = DEFAULT,
    ) -> Iterator[Item]:
        """All items, without pictures, in the store's own order. Pages are fetched as they are
        needed; the timeout is that of a page.
        """
        token = ""
        while True:
            call = _calls.page(collection, where, page_size, token)
            items, token = self._client._run(call, timeout)
            yield from items
            if not token:
                return

    def delete(
        self,
        collection: str,
        ids: Sequence[str],
        *,
        timeout: float | Default | None = DEFAULT,
    ) -> int:
        """Deletes items by their ids; says how many were there."""
        return self._client._run(_calls.delete(collection, ids), timeout)

    def search(
        self,
        collection: str,
        text: str = "",
        *,
        image: ImageLike | None = None,
        embedding: np.ndarray[Any, Any] | None = None,
        weights: Mapping[str, float] | None = None,
        where: FilterLike = None,
        kinds: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        min_score: float | None = None,
        group_by_item: bool = True,
        exact: bool = False,
        timeout: float | Default | None = DEFAULT,
        priority: str | None = None,
    ) -> SearchResult:
        """The chunks nearest to a text, a picture, an embedding, or a mix of these by ``weights``
        ({"text": 1, "image": 0.5}). kinds: of "text", "image", "region"; where: a ``Filter``, or
        its conditions alone.
        """
        call = _calls.search(
            collection, text, image, embedding, weights, where, kinds, limit, offset, min_score,
            group_by_item, exact,
        )  # fmt: skip
        return self._client._run(call, timeout, priority)
