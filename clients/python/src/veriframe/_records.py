"""What all results have in common: how they are read out of messages, and how they look."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


class Record:
    """A result. Its repr is for people: rounded, and without what is empty; ``raw`` has it all."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.repr and not _empty(value):
                shown.append(f"{field.name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, (tuple, dict, str, bytes)) and not value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {' x '.join(map(str, value.shape))}>"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, tuple):
        inner = ", ".join(map(_shown, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def optional(message: Any, field: str) -> Any:
    """The value of an optional field, or None where it is absent."""
    return getattr(message, field) if message.HasField(field) else None


def seconds(message: Any, field: str) -> float | None:
    """A duration in seconds, or None where it is absent."""
    if not message.HasField(field):
        return None
    return whole_seconds(getattr(message, field))


def whole_seconds(duration: Any) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


# DataType: F32, F16, U8. Little-endian on the wire.
_TYPES = {1: "<f4", 2: "<f2", 3: "u1"}


def array(tensor: Any, low: float, high: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A tensor as float32. Of bytes, 0 stands for `low` and 255 for `high`."""
    kind = _TYPES.get(tensor.data_type)
    if kind is None:
        raise ValueError(f"the server sent a tensor of kind {tensor.data_type}: update this client")
    values = np.frombuffer(tensor.data, kind).reshape(tuple(tensor.shape))
    if kind == "u1":
        return (low + values.astype(np.float32) / 255.0 * (high - low)).astype(np.float32)
    # A copy, so that it can be written to and is of the machine's own byte order.
    return values.astype(np.float32)
