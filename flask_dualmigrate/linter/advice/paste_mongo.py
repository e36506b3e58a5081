"""Calls of a Mongo script to paste, with the script's own names in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ops import CreateIndex, Operation
from .paste import text


def call(operation: Operation, **changed: Any) -> str:
    """Return the call that records an operation, with some arguments changed."""
    args, kwargs = operation.arguments()
    words = [source(arg) for arg in args]
    if isinstance(operation, CreateIndex):
        pairs = ", ".join(f"({text(k)}, {source(v)})" for k, v in operation.keys)
        words[1] = f"[{pairs}]"
        kwargs = {"name": operation.name, **kwargs}
    named = {**kwargs, **changed}
    words += [f"{key}={source(v)}" for key, v in named.items() if v is not None]
    return f"op.{operation.verb}({', '.join(words)})"


def source(value: Any) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        items = (f"{source(key)}: {source(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(source, value))}]"
    if callable(value):
        name = str(getattr(value, "__name__", "a_function"))
        return name if name.isidentifier() else "a_function"
    return repr(value)
