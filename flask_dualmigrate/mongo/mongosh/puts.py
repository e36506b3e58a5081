"""Expressions that give a whole document with one field put in, or set.

A `$merge` updates document by document, and cannot be told to pass one over: it gets
the document as it is to be, by an expression that looks before it writes.
"""

from __future__ import annotations

from typing import Any

from ..paths import FieldPath

Expr = Any


def with_value(path: FieldPath, value: Expr) -> Expr:
    """Return the document with a field set: where it stands, or as the last one."""
    return _with(path.parts, value)


def with_kept_value(path: FieldPath) -> Expr:
    """Return the document with `$$value` put in as its field number `$$at`."""
    parent = path.parent
    entries: Expr = {"$objectToArray": "$$ROOT"}
    if parent is not None:
        entries = {"$ifNull": [{"$objectToArray": f"${parent}"}, []]}
    field = {"k": {"$literal": path.parts[-1]}, "v": "$$value"}
    head = {"$cond": [{"$gt": ["$$at", 0]}, {"$slice": [entries, "$$at"]}, []]}
    size = {"$max": [{"$size": entries}, 1]}
    tail = {"$slice": [entries, {"$max": ["$$at", 0]}, size]}
    whole = {"$arrayToObject": {"$concatArrays": [head, [field], tail]}}
    return whole if parent is None else _with(path.parts[:-1], whole)


def same_as(path: FieldPath, variable: str) -> Expr:
    """True where a field is there, with the value and the type of a variable."""
    value, other = path.value, f"$${variable}"
    same_type = {"$eq": [{"$type": value}, {"$type": other}]}
    return {"$and": [path.present, same_type, {"$eq": [value, other]}]}


def _with(parts: tuple[str, ...], value: Expr, above: str = "") -> Expr:
    name, *rest = parts
    here = f"${above.removesuffix('.')}" if above else "$$ROOT"
    inner = _with(tuple(rest), value, f"{above}{name}.") if rest else value
    return {"$mergeObjects": [here, {name: inner}]}
