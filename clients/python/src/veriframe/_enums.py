"""Values of enums as lower-case names without their prefix: HEATMAP_QUALITY_OK is "ok"."""

from __future__ import annotations

import re
from typing import Any


def name(enum: Any, number: int) -> str:
    """The name of a value; "unknown_7" for one that a newer server has."""
    value = enum.DESCRIPTOR.values_by_number.get(number)
    if value is None:
        return f"unknown_{number}"
    return str(value.name).removeprefix(_prefix(enum)).lower()


def number(enum: Any, name: str, field: str) -> Any:
    """The value of a name; what is none is an error with those there are."""
    value = enum.DESCRIPTOR.values_by_name.get(_prefix(enum) + name.upper())
    if value is None or value.number == 0:
        known = ", ".join(names(enum))
        raise ValueError(f'{field} is "{name}", none of: {known}')
    return value.number


def names(enum: Any) -> list[str]:
    """All but the unspecified one, in their order."""
    prefix = _prefix(enum)
    values = enum.DESCRIPTOR.values
    return [value.name.removeprefix(prefix).lower() for value in values if value.number]


def _prefix(enum: Any) -> str:
    # "HeatmapQuality" to "HEATMAP_QUALITY_".
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper() + "_"
