"""Plain mongosh statements, as a person would type them, shared by operations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..asides.aside import CATALOG, Holds
from ..batches.step_under_way import Work
from ..expressions.paths import FieldPath
from ..expressions.ranges import Query
from .literals import Raw, call, literal, on


class Kept(NamedTuple):
    """What an operation keeps aside. label: the field, for the name of the aside."""

    label: str
    holds: Holds


@dataclasses.dataclass(frozen=True)
class Part:
    """One operation of a script.

    aside: where it keeps what it removes, and kept: what that is; or empty.
    """

    work: Work
    aside: str = ""
    kept: Kept | None = None

    def keep(self, operation: Any, query: Query, entry: Any = "$$ROOT") -> list[str]:
        """Copy what is removed to the aside, and enter it in the catalog."""
        shape = [] if entry == "$$ROOT" else [{"$replaceWith": entry}]
        into = {"$merge": {"into": self.aside, "whenMatched": "fail"}}
        stages = [{"$match": query}, *shape, into]
        return [aggregate(operation.collection, stages)]

    def enter(self, operation: Any) -> str:
        """Enter the aside in the catalog, if it holds anything."""
        entry = {"$literal": {"_id": self.aside, **self.entry(operation)}}
        stages = [
            {"$limit": 1},
            {"$replaceWith": {"$mergeObjects": [entry, {"created_at": "$$NOW"}]}},
            {"$merge": {"into": CATALOG}},
        ]
        return aggregate(self.aside, stages)

    def entry(self, operation: Any) -> dict[str, Any]:
        label, holds = self.kept or Kept("", Holds.VALUES)
        return {
            **self.work.record.id,
            "verb": operation.verb,
            "holds": str(holds),
            "collection": operation.collection,
            "field": label if holds is Holds.VALUES else "",
            "open": True,
        }


UPSERT = {"upsert": True}


def aggregate(name: str, stages: Sequence[Any]) -> str:
    return call(on(name), "aggregate", stages, then=".toArray()")


def db_command(what: Mapping[str, Any]) -> str:
    return call("db", "runCommand", what)


def infos_of(query: Mapping[str, Any]) -> str:
    return f"db.getCollectionInfos({literal(query)}).length"


def is_there(name: str) -> str:
    return infos_of({"name": name})


def only_if(condition: str, *statements: str) -> str:
    inner = "\n".join(statements).replace("\n", "\n  ")
    return f"if ({condition}) {{\n  {inner}\n}}"


def refuse_any(name: str, query: Query, problem: str) -> str:
    found = call(on(name), "findOne", query).removesuffix(";")
    error = Raw(f"new Error({literal(f'A document of {name} {problem}')})")
    return only_if(f"{found} !== null", f"throw {error.text};")


def refuse_arrays_above(name: str, *paths: FieldPath) -> list[str]:
    """Refuse documents where a path goes through an array, as a run does."""
    return [
        refuse_any(
            name, {"$expr": is_array}, f"has an array at {above}, above {path.text}"
        )
        for path in paths
        for above, is_array in path.arrays
    ]


def has(path: FieldPath) -> Query:
    return {path.text: {"$exists": True}} if _is_top(path) else {"$expr": path.present}


def lacks(path: FieldPath) -> Query:
    return {path.text: {"$exists": False}} if _is_top(path) else {"$expr": path.absent}


def _is_top(path: FieldPath) -> bool:
    return path.parent is None and not path.text.startswith("$")
