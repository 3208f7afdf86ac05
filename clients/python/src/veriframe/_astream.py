"""A stream over an asyncio channel: as ``_stream``, with tasks in place of threads."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Generic

import grpc

from ._retry import Retry
from ._window import In, Out, Plan, Recovery, Window
from .errors import Internal, Unavailable, VeriframeError, from_rpc

# Opens a call.
Open = Callable[[], Any]

# Seconds to wait for a server to take up a stream before frames are sent all the same.
_HEADERS_LIMIT = 1.0


class AsyncResultStream(Generic[In, Out]):
    """The answers of a stream, one for each item of the source, in its order.

    Iterate it once. ``await close()`` or the end of an ``async with`` cancels what is left. The
    source is read only as far as the window of unanswered items allows; one that is not async is
    read in threads. An error of the source is raised after the answers to what it gave before.
    """

    def __init__(
        self,
        plan: Plan[In, Out],
        open_call: Open,
        source: AsyncIterable[In] | Iterable[In],
        *,
        window: Window,
        retry: Retry,
        resume_limit: float,
        idle_limit: float | None,
    ) -> None:
        self._plan = plan
        self._open_call = open_call
        self._source = source
        self._window = window
        self._recovery = Recovery(retry, resume_limit)
        self._idle_limit = idle_limit
        self._changed = asyncio.Condition()
        self._closed = False
        self._reader: asyncio.Task[None] | None = None
        self._call: Any = None
        # Since when the call takes frames; None while it does not yet.
        self._frames_since: float | None = None
        self._writer: asyncio.Task[None] | None = None

    @property
    def resumed(self) -> int:
        """How often the stream went on after a break."""
        return self._recovery.resumed

    def __aiter__(self) -> AsyncResultStream[In, Out]:
        return self

    async def __anext__(self) -> Out:
        try:
            while not self._closed:
                try:
                    response = await self._receive()
                except VeriframeError as error:
                    await self._end_call()
                    await asyncio.sleep(self._recovery.pause_after(error))
                    continue
                if response is None:
                    break
                received = self._plan.receive(response)
                if received.answers:
                    self._recovery.answered()
                    async with self._changed:
                        self._window.answer()
                        self._changed.notify_all()
                if received.result is not None:
                    return received.result
            await self._finish()
        except BaseException:
            await self.close()
            raise
        raise StopAsyncIteration

    async def __aenter__(self) -> AsyncResultStream[In, Out]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancels what is left. Nothing more comes."""
        self._closed = True
        await self._end_call()
        reader, self._reader = self._reader, None
        await _cancel(reader)

    async def _receive(self) -> Any:
        """The next response; None at the end."""
        if self._call is None and not await self._open():
            return None
        try:
            response = await self._read(self._call)
        except grpc.RpcError as error:
            failure = _told(from_rpc(error))
        else:
            return None if response is grpc.aio.EOF else response
        raise failure

    async def _read(self, call: Any) -> Any:
        """Reads, for as long as something may come: an answer is due only of what was sent."""
        read = asyncio.ensure_future(call.read())
        begun = time.monotonic()
        try:
            while not read.done():
                left = None
                if self._idle_limit is not None:
                    now = time.monotonic()
                    due = not self._window.empty and self._frames_since is not None
                    since = max(self._window.since, self._frames_since or now) if due else now
                    left = max(begun, since) + self._idle_limit - now
                    if left <= 0:
                        limit = f"{self._idle_limit:g} s"
                        raise Unavailable(f"no answer came for {limit}, limit {limit}")
                await asyncio.wait([read], timeout=left)
            return read.result()
        finally:
            if not read.done():
                call.cancel()
                with contextlib.suppress(grpc.RpcError, asyncio.CancelledError):
                    await read

    async def _open(self) -> bool:
        """Opens the call, or the next one. False where there is nothing left to ask."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_source())
        else:
            # A source that pauses needs no open stream.
            async with self._changed:
                await self._changed.wait_for(lambda: self._window.ended or not self._window.empty)
            if self._window.empty:
                return False
        self._frames_since = None
        self._call = self._open_call()
        self._writer = asyncio.create_task(self._write(self._call))
        return True

    async def _end_call(self) -> None:
        call, self._call = self._call, None
        writer, self._writer = self._writer, None
        if call is not None:
            call.cancel()
        await _cancel(writer)

    async def _finish(self) -> None:
        """All is over: raises what the source raised, or what the server left out."""
        cancelled = self._closed
        await self.close()
        window = self._window
        if cancelled:
            return
        if window.failure is not None:
            failure, window.failure = window.failure, None
            raise failure
        if not window.empty:
            left = window.end - window.first
            raise VeriframeError(f"the server ended the stream with {left} items unanswered")

    async def _write(self, call: Any) -> None:
        """Sends all that has no answer yet, then what comes."""
        # Where the call has ended, the reader of its responses is told, and why.
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            window = self._window
            number = window.first
            await call.write(self._plan.opening())
            # A refused opening is known by now or within a moment: see _told. A proxy may hold
            # headers back until the first answer, so nothing depends on them.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(call.initial_metadata(), _HEADERS_LIMIT)
            self._frames_since = time.monotonic()
            while True:
                async with self._changed:
                    await self._changed.wait_for(
                        lambda: window.ended or number < window.end  # noqa: B023
                    )
                    if number >= window.end:
                        break
                    message = window.get(number)
                await call.write(message)
                number += 1
            await call.done_writing()

    async def _read_source(self) -> None:
        """Fills the window from the source, until that ends."""
        failure: BaseException | None = None
        try:
            async for item in _items(self._source):
                message = await asyncio.to_thread(self._plan.message, item)
                async with self._changed:
                    await self._changed.wait_for(lambda: not self._window.full)
                    self._window.add(message)
                    self._changed.notify_all()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            failure = error
        async with self._changed:
            self._window.end_with(failure)
            self._changed.notify_all()


def _told(error: VeriframeError) -> VeriframeError:
    """What the error means. Where the server ends a stream while a message is being written, gRPC's
    asyncio calls may give that as the reason in place of the server's own. Then the next stream
    is told the reason, or there is none and it goes on.
    """
    if isinstance(error, Internal) and error.message.startswith("Internal error from Core"):
        return Unavailable("the stream ended while a message was being sent")
    return error


async def _items(source: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield item
        return
    iterator = iter(source)
    end = object()
    while (item := await asyncio.to_thread(next, iterator, end)) is not end:
        yield item


async def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, grpc.RpcError):
            await task
