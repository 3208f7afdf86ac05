"""A stream over a blocking channel: an iterator over answers, in order, that survives a break."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic

import grpc
from google.protobuf.message import Message

from ._retry import Retry
from ._window import In, Out, Plan, Recovery, Window
from .errors import Unavailable, VeriframeError, from_rpc

# Opens the call for an iterator of messages.
Open = Callable[[Iterator[Message]], Any]


class _Leg:
    """One call of a stream; the next one begins where it broke off."""

    def __init__(self) -> None:
        self.call: Any = None
        self.closed = False
        # The watch cancelled it, for nothing came for too long.
        self.stalled = False


class _Shared:
    """What the stream, its source and its calls share. None of the threads holds the stream itself,
    so that one that nobody iterates any more is collected, and ends them.
    """

    def __init__(self, window: Window) -> None:
        self.changed = threading.Condition()
        self.window = window
        self.leg: _Leg | None = None
        self.closed = False
        # Since when the reader waits for an answer; None while it does something else.
        self.waiting_since: float | None = None


class ResultStream(Generic[In, Out]):
    """The answers of a stream, one for each item of the source, in its order.

    Iterate it once. ``close()``, the end of a ``with``, or letting go of it cancels what is left.
    The source is read in a thread of its own, only as far as the window of unanswered items allows.
    An error of the source is raised after the answers to what it gave before.
    """

    def __init__(
        self,
        plan: Plan[In, Out],
        open_call: Open,
        source: Iterable[In],
        *,
        window: Window,
        retry: Retry,
        resume_limit: float,
        idle_limit: float | None,
    ) -> None:
        self._plan = plan
        self._open_call = open_call
        self._source = source
        self._shared = _Shared(window)
        self._recovery = Recovery(retry, resume_limit)
        self._idle_limit = idle_limit
        self._started = False

    @property
    def resumed(self) -> int:
        """How often the stream went on after a break."""
        return self._recovery.resumed

    def __iter__(self) -> ResultStream[In, Out]:
        return self

    def __next__(self) -> Out:
        shared = self._shared
        try:
            while not shared.closed:
                try:
                    response = self._receive()
                except VeriframeError as error:
                    self._end_leg()
                    self._wait(self._recovery.pause_after(error))
                    continue
                if response is None:
                    break
                received = self._plan.receive(response)
                if received.answers:
                    self._recovery.answered()
                    with shared.changed:
                        shared.window.answer()
                        shared.changed.notify_all()
                if received.result is not None:
                    return received.result
            self._finish()
        except BaseException:
            self.close()
            raise
        raise StopIteration

    def __enter__(self) -> ResultStream[In, Out]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_shared"):
            self.close()

    def close(self) -> None:
        """Cancels what is left. Nothing more comes."""
        shared = self._shared
        with shared.changed:
            shared.closed = True
            leg = _detach(shared)
            shared.changed.notify_all()
        if leg is not None:
            leg.call.cancel()

    def _receive(self) -> Any:
        """The next response; None at the end."""
        shared = self._shared
        if shared.leg is None and not self._open():
            return None
        leg = shared.leg
        if leg is None:  # closed by another thread
            return None
        with shared.changed:
            shared.waiting_since = time.monotonic()
            shared.changed.notify_all()
        try:
            return next(leg.call, None)
        except grpc.RpcError as error:
            if shared.closed:
                return None
            if leg.stalled:
                limit = self._idle_limit
                raise Unavailable(f"no answer came for {limit:g} s, limit {limit:g} s") from None
            raise from_rpc(error) from None
        finally:
            shared.waiting_since = None

    def _open(self) -> bool:
        """Opens the call, or the next one. False where there is nothing left to ask."""
        shared = self._shared
        if not self._started:
            self._started = True
            # The thread alone holds the source, so that its end is the source's end, too.
            source, self._source = self._source, ()
            threading.Thread(
                target=_read_source,
                args=(shared, self._plan, source),
                name="veriframe-source",
                daemon=True,
            ).start()
            if self._idle_limit is not None:
                threading.Thread(
                    target=_watch,
                    args=(shared, self._idle_limit),
                    name="veriframe-watch",
                    daemon=True,
                ).start()
        elif not self._await_item():
            return False
        leg = _Leg()
        # The call starts to take messages at once, so the leg must be in place before.
        with shared.changed:
            if shared.closed:
                return False
            shared.leg = leg
            leg.call = self._open_call(_messages(shared, leg, self._plan.opening()))
        return True

    def _await_item(self) -> bool:
        """Waits until there is something to send: a source that pauses needs no open stream."""
        shared = self._shared
        with shared.changed:
            shared.changed.wait_for(
                lambda: shared.closed or shared.window.ended or not shared.window.empty
            )
            return not shared.closed and not shared.window.empty

    def _end_leg(self) -> None:
        with self._shared.changed:
            _detach(self._shared)
            self._shared.changed.notify_all()

    def _wait(self, seconds: float) -> None:
        with self._shared.changed:
            self._shared.changed.wait_for(lambda: self._shared.closed, seconds)

    def _finish(self) -> None:
        """All is over: raises what the source raised, or what the server left out."""
        window = self._shared.window
        cancelled = self._shared.closed
        self.close()
        if cancelled:
            return
        if window.failure is not None:
            failure, window.failure = window.failure, None
            raise failure
        if not window.empty:
            left = window.end - window.first
            raise VeriframeError(f"the server ended the stream with {left} items unanswered")


def _detach(shared: _Shared) -> _Leg | None:
    """Ends the taking of messages by the current call, which the caller may have to cancel."""
    leg, shared.leg = shared.leg, None
    if leg is not None:
        leg.closed = True
    return leg


def _messages(shared: _Shared, leg: _Leg, opening: Message) -> Iterator[Message]:
    """What one call sends: all that has no answer yet, then what comes."""
    yield opening
    with shared.changed:
        number = shared.window.first
    while True:
        with shared.changed:
            window = shared.window
            shared.changed.wait_for(
                lambda: leg.closed or window.ended or number < window.end  # noqa: B023
            )
            if leg.closed or number >= window.end:
                return
            message = window.get(number)
        yield message
        number += 1


def _read_source(shared: _Shared, plan: Plan[Any, Any], source: Iterable[Any]) -> None:
    """Fills the window from the source, until that ends."""
    failure: BaseException | None = None
    try:
        for item in source:
            message = plan.message(item)
            with shared.changed:
                shared.changed.wait_for(lambda: shared.closed or not shared.window.full)
                if shared.closed:
                    return
                shared.window.add(message)
                shared.changed.notify_all()
    except BaseException as error:
        failure = error
    with shared.changed:
        shared.window.end_with(failure)
        shared.changed.notify_all()


def _watch(shared: _Shared, limit: float) -> None:
    """Cancels a call on which the reader has waited too long for the answer to something sent."""
    with shared.changed:
        while not shared.closed:
            leg, waiting = shared.leg, shared.waiting_since
            if leg is None or waiting is None or shared.window.empty or leg.stalled:
                shared.changed.wait(limit)
                continue
            left = max(waiting, shared.window.since) + limit - time.monotonic()
            if left > 0:
                shared.changed.wait(left)
                continue
            leg.stalled = True
            leg.call.cancel()
