"""Aggregation expressions about one field, dots for embedded documents.

MongoDB's own path operators reach into arrays and overwrite scalars on the way. These
do not: a path holds only if everything above its leaf is a document, and what is taken
out can be put back at its former position.
"""

from __future__ import annotations

import dataclasses
from typing import Any

Expr = Any
Stages = list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class FieldPath:
    """A field's name, such as `status` or `address.city`."""

    text: str

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.text.split("."))

    @property
    def value(self) -> Expr:
        return f"${self.text}"

    @property
    def parent(self) -> str | None:
        """The path of the document that contains the field; None for the root."""
        return ".".join(self.parts[:-1]) or None

    @property
    def present(self) -> Expr:
        """True if the field is present, null included."""
        above = [_is_type(path, "object") for path in self._above]
        return {"$and": [*above, {"$ne": [{"$type": self.value}, "missing"]}]}

    @property
    def absent(self) -> Expr:
        """True if the field is absent but could be there."""
        inner = _is_type(self.text, "missing")
        for path in reversed(self._above):
            inner = {
                "$or": [
                    _is_type(path, "missing"),
                    {"$and": [_is_type(path, "object"), inner]},
                ]
            }
        return inner

    @property
    def unfit(self) -> Expr:
        """True if something other than a document stands above the field."""
        return {"$and": [{"$not": [self.present]}, {"$not": [self.absent]}]}

    @property
    def barred(self) -> Expr:
        """True if something above the field can never hold it.

        Null does not count: it means that there is nothing to hold the field.
        """
        types = [{"$type": f"${path}"} for path in self._above]
        return {"$and": [self.unfit, {"$not": [{"$in": ["null", types]}]}]}

    @property
    def arrays(self) -> list[tuple[str, Expr]]:
        """The paths above the field, each with the test for its being an array.

        An empty array does not count.
        """
        return [(path, _is_filled_array(path)) for path in self._above]

    @property
    def standing(self) -> Expr:
        """How many parts of the path, from the top, exist already.

        For a field that is absent: what writing it creates, and `take_out` removes.
        """
        count: Expr = len(self._above)
        for index in reversed(range(len(self._above))):
            count = {"$cond": [_is_type(self._above[index], "missing"), index, count]}
        return {"$literal": 0} if count == 0 else count

    @property
    def position(self) -> Expr:
        """The field's position among those of its parent, from 0; -1 if absent."""
        hits = {"$map": {"input": self._siblings, "in": _is_named(self.parts[-1])}}
        return {"$indexOfArray": [hits, True]}

    def set_to(self, value: Expr) -> Stages:
        """Give the field a value, in its place or as the last field."""
        return [{"$set": {self.text: value}}]

    def put(self, value: Expr, at: int) -> Stages:
        """Put an absent field in at a position among those of its parent."""
        field = {"k": {"$literal": self.parts[-1]}, "v": value}
        size = {"$max": [{"$size": self._siblings}, 1]}
        head = [{"$slice": [self._siblings, at]}] if at > 0 else []
        tail = {"$slice": [self._siblings, max(at, 0), size]}
        return self._rebuild({"$concatArrays": [*head, [field], tail]})

    def take_out(self, standing: int) -> Stages:
        """Remove the field, and the empty documents above it that were created with it.

        standing: the value of `standing` before the field was written.
        """
        stages: Stages = [{"$unset": [self.text]}]
        for path in reversed(self._above[standing:]):
            emptied = {"$eq": [f"${path}", {"$literal": {}}]}
            stages.append(
                {"$set": {path: {"$cond": [emptied, "$$REMOVE", f"${path}"]}}}
            )
        return stages

    def rename_to(self, name: str) -> Stages:
        """Rename the field in place; another field with that name is removed."""
        others = {
            "$filter": {"input": self._siblings, "cond": {"$not": [_is_named(name)]}}
        }
        renamed = {
            "$cond": [
                _is_named(self.parts[-1]),
                {"k": {"$literal": name}, "v": "$$this.v"},
                "$$this",
            ]
        }
        return self._rebuild({"$map": {"input": others, "in": renamed}})

    def overlaps(self, other: FieldPath) -> bool:
        """True if the two are the same, or one is inside the other."""
        shared = min(len(self.parts), len(other.parts))
        return self.parts[:shared] == other.parts[:shared]

    @property
    def _above(self) -> list[str]:
        parts = self.parts
        return [".".join(parts[: index + 1]) for index in range(len(parts) - 1)]

    @property
    def _siblings(self) -> Expr:
        parent = "$$ROOT" if self.parent is None else f"${self.parent}"
        entries = {"$objectToArray": parent}
        return entries if self.parent is None else {"$ifNull": [entries, []]}

    def _rebuild(self, entries: Expr) -> Stages:
        whole = {"$arrayToObject": entries}
        if self.parent is None:
            return [{"$replaceWith": whole}]
        return [{"$set": {self.parent: whole}}]


def _is_named(name: str) -> Expr:
    """True if `$$this` is the field of that name, byte for byte.

    `$eq` uses the collation of the collection, in which `a` and `A` may be equal.
    """
    return {
        "$and": [
            {"$eq": [{"$strLenBytes": "$$this.k"}, len(name.encode())]},
            {"$eq": [{"$indexOfBytes": ["$$this.k", {"$literal": name}]}, 0]},
        ]
    }


def _is_filled_array(path: str) -> Expr:
    return {"$and": [_is_type(path, "array"), {"$ne": [f"${path}", []]}]}


def _is_type(path: str, name: str) -> Expr:
    return {"$eq": [{"$type": f"${path}"}, name]}
