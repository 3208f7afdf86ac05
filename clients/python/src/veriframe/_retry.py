"""When a call that failed is tried again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from .errors import DeadlineExceeded, ResourceExhausted, Unavailable, VeriframeError


@dataclass(frozen=True)
class Retry:
    """How often, and how long apart, a unary call is tried, within its timeout as a whole.

    Tried again is what UNAVAILABLE ended, and what RESOURCE_EXHAUSTED ended with a time to come
    again; never before that time. ``Retry(attempts=1)`` tries once.
    """

    attempts: int = 4
    first_pause: float = 0.1
    longest_pause: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}, at least 1 is needed")
        if not 0 < self.first_pause <= self.longest_pause:
            raise ValueError("pauses must be above 0, and first_pause at most longest_pause")


def may_retry(error: VeriframeError, repeatable: bool) -> bool:
    """Whether the same request can do better and do no harm.

    What is not repeatable is tried again only where the server says that it refused it: of a lost
    connection nobody knows whether the request was carried out.
    """
    if isinstance(error, ResourceExhausted):
        # Without a time, it is a full disk or a message that is too large: nothing to wait for.
        return error.retry_after is not None
    return isinstance(error, Unavailable) and (repeatable or error.retry_after is not None)


def pause(policy: Retry, failures: int, error: VeriframeError) -> float:
    """Seconds to wait after so many failures in a row, 1 or more."""
    if error.retry_after is not None:
        # Spread out, for the server told others the same; never earlier than told.
        return error.retry_after * random.uniform(1.0, 1.25)
    longest = min(policy.longest_pause, policy.first_pause * 2.0 ** min(failures - 1, 30))
    return random.uniform(longest / 2, longest)


class Attempts:
    """The attempts of one call, with one deadline for all of them together."""

    def __init__(self, policy: Retry, timeout: float | None, repeatable: bool = True) -> None:
        self._policy = policy
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._repeatable = repeatable
        self._failures = 0

    def remaining(self) -> float | None:
        """Seconds left for the next attempt; None for no limit."""
        if self._deadline is None:
            return None
        return max(self._deadline - time.monotonic(), 0.0)

    def pause_after(self, error: VeriframeError) -> float:
        """Seconds to wait before the next attempt; raises the error where there is to be none."""
        if isinstance(error, DeadlineExceeded) and error.retry_after is None and self._timeout:
            # Of gRPC, which says only that the deadline was exceeded.
            raise DeadlineExceeded(f"no answer within {self._timeout:g} s, the call's timeout")
        self._failures += 1
        if self._failures >= self._policy.attempts or not may_retry(error, self._repeatable):
            raise error
        seconds = pause(self._policy, self._failures, error)
        remaining = self.remaining()
        if remaining is not None and seconds >= remaining:
            raise error
        return seconds
