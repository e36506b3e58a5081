"""The keys that an index takes from a document, as an aggregation expression.

An array gives a key for each of its elements; fields below one array take their values
from the same element. A missing field counts as null. A number in a path is an
element's position if an array stands above it.
Source: MongoDB manual, Multikey Indexes; tried on 6.0 against the index itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

Expr = Any
Node = dict[str, Any]
"""Field name -> the node below it; under LEAF, the number of the key's part."""

LEAF = ""
EMPTY = {"$literal": {"": "an empty array"}}
"""Stands for undefined, which is the key of an empty array."""


def keys_of(fields: Sequence[str], *, sparse: bool = False) -> Expr:
    """Return the expression of a document's keys: an array of `{k0: …, k1: …}`.

    sparse: a document with none of the fields gives no key.
    """
    found = _Keys().of_document(_tree(fields), "$$ROOT")
    if sparse:
        found = {"$filter": {"input": found, "cond": {"$ne": ["$$this", {}]}}}
    whole = {
        f"k{number}": {"$ifNull": [f"$$this.k{number}", None]}
        for number in range(len(fields))
    }
    return {"$map": {"input": found, "in": whole}}


def is_parallel(fields: Sequence[str]) -> Expr:
    """Return the test for two arrays in a document that no index can have both."""
    return _Keys().parallel(_tree(fields), "$$ROOT")


def _tree(fields: Sequence[str]) -> Node:
    root: Node = {}
    for number, field in enumerate(fields):
        node = root
        for part in field.split("."):
            node = node.setdefault(part, {})
        node[LEAF] = number
    return root


class _Keys:
    """Walks the fields of an index, giving each variable a distinct name."""

    def __init__(self) -> None:
        self._names = (f"v{number}" for number in count())

    def of_document(self, node: Node, document: Expr) -> Expr:
        """The keys below a document: each key of a field with each of the others'."""
        parts = [
            self._of_value(below, f"{document}.{name}")
            for name, below in node.items()
            if name != LEAF
        ]
        product = parts[0] if parts else [{}]
        for more in parts[1:]:
            product = self._each_with_each(product, more)
        return product

    def _of_value(self, node: Node, value: Expr) -> Expr:
        """The keys of a field: those of each element if it is an array."""
        element = next(self._names)
        inner, places = _split(node)
        keys = {
            "$reduce": {
                "input": {
                    "$map": {
                        "input": value,
                        "as": element,
                        "in": self._of_one(inner, f"$${element}"),
                    }
                },
                "initialValue": [],
                "in": {"$concatArrays": ["$$value", "$$this"]},
            }
        }
        empty = [_own(inner, EMPTY)]
        of_array: Expr = {"$cond": [{"$eq": [value, []]}, empty, keys]}
        if not inner:
            of_array = [{}]
        for place, below in places.items():
            one = {"$arrayElemAt": [value, int(place)]}
            of_array = self._each_with_each(of_array, self._let(below, one))
        return {"$cond": [{"$isArray": value}, of_array, self._of_one(node, value)]}

    def _let(self, node: Node, value: Expr) -> Expr:
        name = next(self._names)
        inner = self._of_value(node, f"$${name}")
        return {"$let": {"vars": {name: value}, "in": inner}}

    def _of_one(self, node: Node, value: Expr) -> Expr:
        """The keys of a value that is not an array, or of any element."""
        below = {name: inner for name, inner in node.items() if name != LEAF}
        if not below:
            return [_own(node, value)]
        is_document = {"$eq": [{"$type": value}, "object"]}
        keys = {"$cond": [is_document, self.of_document(below, value), [{}]]}
        return self._each_with_each([_own(node, value)], keys) if LEAF in node else keys

    def _each_with_each(self, left: Expr, right: Expr) -> Expr:
        one, other, lefts, rights = (next(self._names) for _ in range(4))
        pairs = {
            "$map": {
                "input": f"$${lefts}",
                "as": one,
                "in": {
                    "$map": {
                        "input": f"$${rights}",
                        "as": other,
                        "in": {"$mergeObjects": [f"$${one}", f"$${other}"]},
                    }
                },
            }
        }
        flat = {
            "$reduce": {
                "input": pairs,
                "initialValue": [],
                "in": {"$concatArrays": ["$$value", "$$this"]},
            }
        }
        return {"$let": {"vars": {lefts: left, rights: right}, "in": flat}}

    def parallel(self, node: Node, document: Expr) -> Expr:
        """True if two fields below a document have arrays, here or deeper."""
        below = {
            f"{document}.{name}": inner for name, inner in node.items() if name != LEAF
        }
        arrays = [
            {"$cond": [self._has_array(inner, value), 1, 0]}
            for value, inner in below.items()
        ]
        further = [self._within(inner, value) for value, inner in below.items()]
        several = [{"$gt": [{"$add": arrays}, 1]}] if len(arrays) > 1 else []
        return {"$or": [*several, *further]}

    def _has_array(self, node: Node, value: Expr) -> Expr:
        deeper = [
            self._has_array(inner, f"{value}.{name}")
            for name, inner in node.items()
            if name != LEAF
        ]
        is_document = {"$eq": [{"$type": value}, "object"]}
        below = [{"$and": [is_document, {"$or": deeper}]}] if deeper else []
        return {"$or": [{"$isArray": value}, *below]}

    def _within(self, node: Node, value: Expr) -> Expr:
        inner, _ = _split(node)
        if all(name == LEAF for name in inner):
            return False
        element = next(self._names)
        some = {
            "$anyElementTrue": {
                "$map": {
                    "input": value,
                    "as": element,
                    "in": self._if_document(inner, f"$${element}"),
                }
            }
        }
        return {"$cond": [{"$isArray": value}, some, self._if_document(inner, value)]}

    def _if_document(self, node: Node, value: Expr) -> Expr:
        is_document = {"$eq": [{"$type": value}, "object"]}
        return {"$and": [is_document, self.parallel(node, value)]}


def _own(node: Mapping[str, Any], value: Expr) -> Expr:
    return {f"k{node[LEAF]}": value} if LEAF in node else {}


def _split(node: Node) -> tuple[Node, Node]:
    """Return the fields that address an array's elements, and those by position."""
    places = {name: below for name, below in node.items() if name.isdigit()}
    return {n: b for n, b in node.items() if n not in places}, places
