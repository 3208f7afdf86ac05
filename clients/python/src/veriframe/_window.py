"""What a stream has sent, or is about to, and has no answer for: the frames to send again should
the connection break. Knows no thread and no task.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from ._methods import Method
from ._retry import Retry, may_retry, pause
from .errors import Aborted, VeriframeError

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out")


class Received(Generic[Out]):
    """What one response came down to."""

    __slots__ = ("answers", "result")

    def __init__(self, result: Out | None, answers: bool) -> None:
        # What to hand out, if anything.
        self.result = result
        # Whether it is the answer to the oldest item without one.
        self.answers = answers


class Plan(Protocol[In, Out]):
    """What a kind of stream sends, and makes of what comes: for every item one answer, in order."""

    @property
    def method(self) -> Method: ...

    def opening(self) -> Message:
        """The first message of a stream, also of one that goes on where another broke off."""

    def message(self, item: In) -> Message:
        """The message of an item. May read a file: it runs beside everything else."""

    def receive(self, response: Any) -> Received[Out]:
        """Takes in a response."""


class Window:
    """Messages in their order, each under its number from 0 on, until they are answered."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._messages: deque[Message] = deque()
        self._bytes = 0
        # The number of the oldest message without an answer.
        self.first = 0
        # Whether the source has no more; and the error that it ended with, if with one.
        self.ended = False
        self.failure: BaseException | None = None
        # Since when the oldest message is the oldest.
        self.since = time.monotonic()

    @property
    def end(self) -> int:
        """The number that the next message will have."""
        return self.first + len(self._messages)

    @property
    def empty(self) -> bool:
        return not self._messages

    @property
    def full(self) -> bool:
        """Whether nothing more may come in. One message always may, however large."""
        count = len(self._messages)
        return count >= self._most or (count > 0 and self._bytes >= self._most_bytes)

    def add(self, message: Message) -> None:
        if self.empty:
            self.since = time.monotonic()
        self._messages.append(message)
        self._bytes += message.ByteSize()

    def get(self, number: int) -> Message:
        """A message without an answer, by a number from `first` to before `end`."""
        return self._messages[number - self.first]

    def answer(self) -> None:
        """The oldest message has its answer."""
        if self.empty:
            raise VeriframeError("the server answered a frame that was never sent")
        self._bytes -= self._messages.popleft().ByteSize()
        self.first += 1
        self.since = time.monotonic()

    def end_with(self, failure: BaseException | None) -> None:
        self.ended = True
        self.failure = failure


class Recovery:
    """Whether a stream that broke off is opened again, and when.

    Until it has answered something, it counts as a call of its own, with its few attempts. After
    that it is given `limit` seconds from one answer to the next: as long as a server needs to start
    again, or a balancer to find another one. 0 means never.
    """

    def __init__(self, policy: Retry, limit: float) -> None:
        self._policy = policy
        self._limit = limit
        self._failures = 0
        self._failing_since: float | None = None
        self._answered = False
        # How often answers came again after a break.
        self.resumed = 0

    def answered(self) -> None:
        self.resumed += self._answered and self._failing_since is not None
        self._answered = True
        self._failures = 0
        self._failing_since = None

    def pause_after(self, error: VeriframeError) -> float:
        """Seconds to wait before it is opened again; raises the error where it is not to be."""
        ended_in_order = isinstance(error, Aborted) and error.reason in (
            "STREAM_IDLE",
            "READER_STUCK",
        )
        if self._limit <= 0 or not (ended_in_order or may_retry(error, repeatable=True)):
            raise error
        now = time.monotonic()
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = now
        seconds = pause(self._policy, self._failures, error)
        if self._answered:
            if now + seconds - self._failing_since > self._limit:
                raise error
        elif self._failures >= self._policy.attempts:
            raise error
        return seconds
