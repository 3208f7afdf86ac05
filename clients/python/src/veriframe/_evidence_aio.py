"""Evidence, for asyncio: ``client.evidence``."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _evidence_calls as _calls
from ._astream import AsyncResultStream
from ._evidence_calls import FilterLike
from ._settings import DEFAULT, Default
from ._window import Window
from .evidence import Collection, IngestPlan, Item, ItemResult, SearchResult
from .images import ImageLike

if TYPE_CHECKING:
    from .aio import AsyncClient


class AsyncEvidence:
    """Keeps passages and pictures in collections, and finds them by what they say and show."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(
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
        return await self._client._run(call, timeout)

    async def drop(self, collection: str, *, timeout: float | Default | None = DEFAULT) -> None:
        """Deletes a collection with all that is in it."""
        await self._client._run(_calls.drop(collection), timeout)

    async def describe(
        self, collection: str, *, timeout: float | Default | None = DEFAULT
    ) -> Collection:
        """One collection with its statistics."""
        return await self._client._run(_calls.describe(collection), timeout)

    async def collections(
        self, *, timeout: float | Default | None = DEFAULT
    ) -> tuple[Collection, ...]:
        """All collections, by name."""
        return await self._client._run(_calls.collections(), timeout)

    async def put(
        self,
        collection: str,
        items: Item | Iterable[Item],
        *,
        timeout: float | Default | None = DEFAULT,
    ) -> tuple[ItemResult, ...]:
        """Puts up to 64 items in; one whose id is there is replaced. Each fails by itself: see the
        ``error`` of its result. For more, ``ingest``.
        """
        return await self._client._run(_calls.put(collection, items), timeout)

    def ingest(
        self,
        collection: str,
        items: AsyncIterable[Item] | Iterable[Item],
        *,
        max_unanswered: int = 64,
        max_unanswered_bytes: int = 64 * 1024 * 1024,
        resume_limit: float = 60.0,
        idle_limit: float | None = 120.0,
        priority: str | None = None,
    ) -> AsyncResultStream[Item, ItemResult]:
        """Puts any number of items in: an async iterator with one ``ItemResult`` for each, in
        order. It goes on after a break as ``verify_stream`` does. Iterate it to its end.
        """
        plan = IngestPlan(collection)
        return AsyncResultStream(
            plan,
            self._client._opener(plan.method, priority),
            items,
            window=Window(max_unanswered, max_unanswered_bytes),
            retry=self._client._settings.retry,
            resume_limit=resume_limit,
            idle_limit=idle_limit,
        )

    async def get(
        self,
        collection: str,
        ids: Sequence[str],
        *,
        with_images: bool = False,
        timeout: float | Default | None = DEFAULT,
    ) -> tuple[Item, ...]:
        """Items by their ids, in that order; ids that are not there are left out."""
        return await self._client._run(_calls.get(collection, ids, with_images), timeout)

    async def list(
        self,
        collection: str,
        *,
        where: FilterLike = None,
        page_size: int | None = None,
        timeout: float | Default | None = DEFAULT,
    ) -> AsyncIterator[Item]:
        """All items, without pictures, in the store's own order. Pages are fetched as they are
        needed; the timeout is that of a page.
        """
        token = ""
        while True:
            call = _calls.page(collection, where, page_size, token)
            items, token = await self._client._run(call, timeout)
            for item in items:
                yield item
            if not token:
                return

    async def delete(
        self,
        collection: str,
        ids: Sequence[str],
        *,
        timeout: float | Default | None = DEFAULT,
    ) -> int:
        """Deletes items by their ids; says how many were there."""
        return await self._client._run(_calls.delete(collection, ids), timeout)

    async def search(
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
        return await self._client._run(call, timeout, priority)
