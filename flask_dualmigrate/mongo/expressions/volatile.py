"""Expressions that may give a different value each time they are computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OPERATORS = frozenset({"$rand", "$sampleRate", "$function", "$accumulator"})
_VARIABLES = ("$$NOW", "$$CLUSTER_TIME")


def is_volatile(expression: Any) -> bool:
    """True if the value must be computed once, and that result written."""
    if isinstance(expression, str):
        return expression.startswith(_VARIABLES)
    if isinstance(expression, Mapping):
        return any(
            name in _OPERATORS or (name != "$literal" and is_volatile(inner))
            for name, inner in expression.items()
        )
    return isinstance(expression, list | tuple) and any(map(is_volatile, expression))
