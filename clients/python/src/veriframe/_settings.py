"""What a client was made with, and every call of it goes by."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from . import _channel
from ._retry import Retry


class Default(enum.Enum):
    """Stands where None has a meaning of its own."""

    DEFAULT = "the client's"

    def __repr__(self) -> str:
        return "the client's"


DEFAULT = Default.DEFAULT


@dataclass(frozen=True)
class Settings:
    target: str
    api_key: str | None = field(repr=False)
    timeout: float | None
    priority: str | None
    retry: Retry

    def metadata(self, priority: str | None) -> tuple[tuple[str, str], ...]:
        return _channel.metadata(self.api_key, priority or self.priority)

    def seconds(self, timeout: float | Default | None) -> float | None:
        """The time of a call, which is more than none."""
        seconds = self.timeout if isinstance(timeout, Default) else timeout
        if seconds is not None and seconds <= 0:
            raise ValueError(f"timeout is {seconds:g} s, it must be above 0")
        return seconds
