"""The statements of each operation, as a person would type them in mongosh.

Filters and updates are those of a run. Where a field is at the top of its document,
they are written with `$exists` and `$set`, which are easier to read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...ops import (
    MISSING,
    NOW,
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    CreateIndex,
    Delete,
    DropCollection,
    DropField,
    DropIndex,
    Insert,
    Operation,
    RenameCollection,
    RenameField,
    SetValidator,
    Update,
)
from ..asides.aside import CATALOG, Holds
from ..batches.step_under_way import Work
from ..expressions.paths import FieldPath
from ..expressions.ranges import Query
from ..operations.fields import value_of
from ..operations.moves import having_both, move, shape_of, with_room
from ..operations.put_back_values import LACKED
from .literals import Raw, call, literal, on

NOT_PLAIN = {
    "convert_field": "it has to count first what a conversion would lose",
    "run": "it is a Python function",
    "transform": "it calls a Python function for each document",
}
"""Verb -> why a script cannot have it."""

_HELPED = {"unique", "sparse", "hidden", "collation", "expireAfterSeconds"} | {
    "partialFilterExpression"
}
"""Options of an index that createIndex() of mongosh takes; of others it drops some."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One operation of a script. aside: where it keeps what it takes away; or empty."""

    work: Work
    aside: str = ""

    def keep(self, operation: Any, query: Query, entry: Any = "$$ROOT") -> list[str]:
        """Copy what is taken away to the aside, and enter that in the catalog."""
        shape = [] if entry == "$$ROOT" else [{"$replaceWith": entry}]
        into = {"$merge": {"into": self.aside, "whenMatched": "fail"}}
        stages = [{"$match": query}, *shape, into]
        return [_aggregate(operation.collection, stages)]

    def enter(self, operation: Any) -> str:
        """Enter the aside in the catalog, if it holds anything."""
        entry = {"$literal": {"_id": self.aside, **self.entry(operation)}}
        stages = [
            {"$limit": 1},
            {"$replaceWith": {"$mergeObjects": [entry, {"created_at": "$$NOW"}]}},
            {"$merge": {"into": CATALOG}},
        ]
        return _aggregate(self.aside, stages)

    def entry(self, operation: Any) -> dict[str, Any]:
        label, holds = kept_by(operation) or ("", Holds.VALUES)
        return {
            **self.work.record.id,
            "verb": operation.verb,
            "holds": str(holds),
            "collection": operation.collection,
            "field": label if holds is Holds.VALUES else "",
            "open": True,
        }


def kept_by(operation: Operation) -> tuple[str, Holds] | None:
    """Return the field that an operation keeps, and how; None if it keeps nothing."""
    match operation:
        case DropField(keep=True):
            return operation.field, Holds.VALUES
        case RenameField(overwrite=True):
            return operation.new_name, Holds.VALUES
        case CopyField(overwrite=True):
            return operation.target, Holds.VALUES
        case ConvertField(keep=True):
            return operation.field, Holds.CONVERSIONS
        case Update(keep=True) | Delete(keep=True):
            return "documents", Holds.DOCUMENTS
        case DropCollection(keep=True):
            return "", Holds.COLLECTION
    return None


_GIVES_BACK: dict[type[Operation], type[Operation]] = {
    AddField: DropField,
    CreateCollection: DropCollection,
    DropField: CopyField,
    Insert: Delete,
    RenameField: RenameField,
}
"""Operation of a downgrade -> the one of the upgrade whose aside it puts back."""


def gives_back(operation: Any, upgrade: Sequence[Operation]) -> bool:
    """True for an operation of a downgrade that puts back what the upgrade kept."""
    for former in upgrade:
        kept = kept_by(former)
        if kept is None or type(former) is not _GIVES_BACK.get(type(operation)):
            continue
        label, holds = kept
        field = operation.field if holds is Holds.VALUES else label
        if (vars(former)["collection"], label) == (operation.collection, field):
            return True
    return False


def _create_collection(operation: CreateCollection, part: Part) -> list[str]:
    name, options = operation.collection, part.work.native(operation.options)
    create = _command({"create": name, **options})
    ordinary = {"name": name, "type": "collection", "options.capped": {"$ne": True}}
    # One with options has to have just these: the server compares, and refuses.
    return [create if options else _if(f"!{_infos(ordinary)}", create)]


def _drop_collection(operation: DropCollection, part: Part) -> list[str]:
    name = operation.collection
    if not operation.keep:
        return [call(on(name), "drop")]
    set_on = {"$set": part.entry(operation), "$currentDate": {"created_at": True}}
    return [
        _if(
            _there(name),
            call(on(name), "renameCollection", part.aside),
            call(on(CATALOG), "updateOne", {"_id": part.aside}, set_on, UPSERT),
        )
    ]


def _rename_collection(operation: RenameCollection, part: Part) -> list[str]:
    name = operation.collection
    rename = call(on(name), "renameCollection", operation.new_name)
    return [_if(_there(name), rename)]


def _set_validator(operation: SetValidator, part: Part) -> list[str]:
    name, validator = operation.collection, part.work.native(operation.validator or {})
    modify = {
        "collMod": name,
        "validator": validator,
        "validationLevel": operation.level,
        "validationAction": operation.action,
    }
    if operation.validator is None:
        return [_if(_there(name), _command(modify))]
    return [_if(f"!{_there(name)}", _command({"create": name})), _command(modify)]


def _create_index(operation: CreateIndex, part: Part) -> list[str]:
    key, options = dict(operation.keys), part.work.native(operation.options)
    named = {"name": operation.name, **options}
    if options.keys() <= _HELPED:
        return [call(on(operation.collection), "createIndex", key, named)]
    spec = {"key": key, **named}
    return [_command({"createIndexes": operation.collection, "indexes": [spec]})]


def _drop_index(operation: DropIndex, part: Part) -> list[str]:
    name = operation.collection
    is_it = f"(index) => index.name === {literal(operation.name)}"
    there = f"{_there(name)} && {on(name)}.getIndexes().some({is_it})"
    return [_if(there, call(on(name), "dropIndex", operation.name))]


def _add_field(operation: AddField, part: Part) -> list[str]:
    if not operation.writes:
        return ["// It has no default: no document is written."]
    name, path = operation.collection, FieldPath(operation.field)
    refused = _refuse_arrays(name, path)
    if path.parent is not None:
        problem = f"has something else than a document above {path.text}"
        refused.append(_refuse(name, {"$expr": path.barred}, problem))
    change: Any = path.set_to(value_of(operation, part.work))
    constant = operation.using is MISSING and operation.default is not NOW
    if constant and not isinstance(operation.default, Mapping | list | tuple):
        change = {"$set": {path.text: part.work.native(operation.default)}}
    return [*refused, call(on(name), "updateMany", _lacks(path), change)]


def _drop_field(operation: DropField, part: Part) -> list[str]:
    name, path = operation.collection, FieldPath(operation.field)
    statements = _refuse_arrays(name, path)
    if part.aside:
        entry = {"_id": "$_id", "value": path.value, "at": path.position}
        statements += part.keep(operation, _has(path), entry)
        if not part.work.is_downgrade:
            mark = {"_id": "$_id", "at": -1, "put_back": LACKED}
            statements.append(
                "// Which documents lack it: no downgrade gives it to them."
            )
            statements += part.keep(operation, _lacks(path), mark)
        statements.append(part.enter(operation))
    change = {"$unset": {path.text: ""}}
    return [*statements, call(on(name), "updateMany", _has(path), change)]


def _rename_field(operation: RenameField, part: Part) -> list[str]:
    old, new = FieldPath(operation.field), FieldPath(operation.new_name)
    name, statements = (
        operation.collection,
        _refuse_arrays(operation.collection, old, new),
    )
    if new.parent is not None:
        unfit = {"$expr": {"$and": [old.present, new.unfit]}}
        problem = f"has no document that {new.text} could stand in"
        statements.append(_refuse(name, unfit, problem))
    return [*statements, *_moved(operation, old, new, move(old, new), part)]


def _copy_field(operation: CopyField, part: Part) -> list[str]:
    source, target = FieldPath(operation.field), FieldPath(operation.target)
    name = operation.collection
    statements = _refuse_arrays(name, source, target)
    if target.parent is not None:
        problem = f"has something else than a document above {target.text}"
        statements.append(_refuse(name, {"$expr": target.barred}, problem))
    change = target.set_to(source.value)
    return [*statements, *_moved(operation, source, target, change, part)]


def _moved(
    operation: RenameField | CopyField,
    old: FieldPath,
    new: FieldPath,
    change: Any,
    part: Part,
) -> list[str]:
    """Write one field's value to another one, which may have one only if it is kept."""
    name, statements = operation.collection, []
    query = with_room(old, new, overwrite=operation.overwrite)
    if part.aside:
        over = {"$expr": {"$and": [old.present, new.present]}}
        entry = {**shape_of(old, new), "_id": "$_id"}
        statements = [*part.keep(operation, over, entry), part.enter(operation)]
    else:
        problem = f"has both {old.text} and {new.text}"
        statements.append(_refuse(name, having_both(old, new), problem))
        if old.parent is None and new.parent is None:
            query = {**_has(old), **_lacks(new)}
    return [*statements, call(on(name), "updateMany", query, change)]


def _update(operation: Update, part: Part) -> list[str]:
    query, change = map(part.work.native, (operation.filter, operation.update))
    write = call(on(operation.collection), "updateMany", query, change)
    return [*_images(operation, query, part), write]


def _delete(operation: Delete, part: Part) -> list[str]:
    query = part.work.native(operation.filter)
    write = call(on(operation.collection), "deleteMany", query)
    return [*_images(operation, query, part), write]


def _images(operation: Update | Delete, query: Query, part: Part) -> list[str]:
    if not part.aside:
        return []
    return [*part.keep(operation, query), part.enter(operation)]


def _insert(operation: Insert, part: Part) -> list[str]:
    name = operation.collection
    documents = [part.work.native(document) for document in operation.documents]
    if not documents:
        return [_if(f"!{_there(name)}", _command({"create": name}))]
    return [call(on(name), "insertMany", documents)]


STATEMENTS: dict[type[Operation], Callable[[Any, Part], list[str]]] = {
    AddField: _add_field,
    CopyField: _copy_field,
    CreateCollection: _create_collection,
    CreateIndex: _create_index,
    Delete: _delete,
    DropCollection: _drop_collection,
    DropField: _drop_field,
    DropIndex: _drop_index,
    Insert: _insert,
    RenameCollection: _rename_collection,
    RenameField: _rename_field,
    SetValidator: _set_validator,
    Update: _update,
}
"""Every operation that has a plain form; NOT_PLAIN has the others."""

UPSERT = {"upsert": True}


def _aggregate(name: str, stages: Sequence[Any]) -> str:
    return call(on(name), "aggregate", stages, then=".toArray()")


def _command(command: Mapping[str, Any]) -> str:
    return call("db", "runCommand", command)


def _infos(query: Mapping[str, Any]) -> str:
    return f"db.getCollectionInfos({literal(query)}).length"


def _there(name: str) -> str:
    return _infos({"name": name})


def _if(condition: str, *statements: str) -> str:
    inner = "\n".join(statements).replace("\n", "\n  ")
    return f"if ({condition}) {{\n  {inner}\n}}"


def _refuse(name: str, query: Query, problem: str) -> str:
    found = call(on(name), "findOne", query).removesuffix(";")
    error = Raw(f"new Error({literal(f'A document of {name} {problem}')})")
    return _if(f"{found} !== null", f"throw {error.text};")


def _refuse_arrays(name: str, *paths: FieldPath) -> list[str]:
    """Refuse documents where a path goes through an array, as a run does."""
    return [
        _refuse(
            name, {"$expr": is_array}, f"has an array at {above}, above {path.text}"
        )
        for path in paths
        for above, is_array in path.arrays
    ]


def _has(path: FieldPath) -> Query:
    return {path.text: {"$exists": True}} if _is_top(path) else {"$expr": path.present}


def _lacks(path: FieldPath) -> Query:
    return {path.text: {"$exists": False}} if _is_top(path) else {"$expr": path.absent}


def _is_top(path: FieldPath) -> bool:
    return path.parent is None and not path.text.startswith("$")
