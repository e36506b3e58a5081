"""The JavaScript of each operation: what it looks at first, and what it does.

The functions that are called stand in batches.js and operations.js.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ...ops import (
    MISSING,
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
from ..apply_convert import converted, lost, queries
from ..apply_fields import value_of
from ..apply_moves import having_both, move, shape_of, with_room
from ..aside import Holds
from ..paths import FieldPath
from ..putback import LACKED
from ..work import Work
from .literals import Raw, literal
from .puts import same_as, with_kept_value, with_value

INDENT = 8
"""Spaces before the statements of a step."""

BATCH_SIZE = 1000
"""Documents in a batch where the operation leaves it open: a script cannot adapt."""


@dataclasses.dataclass
class Body:
    """The statements of one step, in the making.

    downgrade: only then there are asides of an upgrade to put back.
    before: run once, before the step is begun: they may throw. found: what is
    remembered of it, name -> JavaScript; the work knows it as `kept`.
    """

    downgrade: bool = False
    before: list[str] = dataclasses.field(default_factory=list)
    found: dict[str, str] = dataclasses.field(default_factory=dict)
    work: list[str] = dataclasses.field(default_factory=list)

    def const(self, name: str, value: Any) -> Raw:
        self.work.append(f"const {name} = {js(value)};")
        return Raw(name)

    def do(self, function: str, *arguments: Any) -> None:
        self.work.append(f"{function}({', '.join(map(js, arguments))});")

    def check(self, function: str, *arguments: Any) -> None:
        self.before.append(f"{function}({', '.join(map(js, arguments))});")


def js(value: Any) -> str:
    return literal(value, INDENT)


def _create_collection(operation: CreateCollection, work: Work) -> Body:
    body = Body()
    body.do("createCollection", operation.collection, work.native(operation.options))
    return body


def _drop_collection(operation: DropCollection, work: Work) -> Body:
    body = Body()
    name = operation.collection
    base = work.bench.asides.first_name(work.record.revision, name)
    body.do("dropCollection", name, operation.keep, base)
    return body


def _rename_collection(operation: RenameCollection, work: Work) -> Body:
    body = Body()
    body.do("renameCollection", operation.collection, operation.new_name)
    return body


def _set_validator(operation: SetValidator, work: Work) -> Body:
    body = Body()
    options = {
        "validator": work.native(operation.validator or {}),
        "validationLevel": operation.level,
        "validationAction": operation.action,
    }
    body.do("setValidator", operation.collection, options)
    return body


def _create_index(operation: CreateIndex, work: Work) -> Body:
    body = Body()
    key = dict(operation.keys)
    options = work.native(operation.options)
    body.do(
        "createIndex",
        operation.collection,
        {"key": key, "name": operation.name, **options},
    )
    return body


def _drop_index(operation: DropIndex, work: Work) -> Body:
    body = Body()
    body.do("dropIndex", operation.collection, operation.name)
    return body


def _refuse_arrays(body: Body, operation: Any, *paths: FieldPath) -> None:
    """Refuse documents where a path goes through an array, as a normal run does."""
    for path in paths:
        for above, is_array in path.arrays:
            problem = f"have an array at {above}, above {path.text}"
            name, query = operation.collection, {"$expr": is_array}
            body.check("refuseAny", name, query, problem, {"field": above})


def _add_field(operation: AddField, work: Work) -> Body:
    body, path = _on_documents(operation, work), FieldPath(operation.field)
    if operation.writes:
        _refuse_arrays(body, operation, path)
    _find_sources(body, operation, DropField)
    _put_back(body, operation, path)
    if operation.writes:
        body.const("query", {"$expr": path.absent})
        body.const("change", path.set_to(value_of(operation, work)))
        options = _after_sources() if body.downgrade else {}
        problem: str | None = f"lack {path.text}"
        # An expression may give no value: then the field stays missing.
        if operation.using is not MISSING:
            problem, options = None, options | {"details": path.standing}
        _walk(body, operation, options, problem=problem)
    return body


def _drop_field(operation: DropField, work: Work) -> Body:
    body, path = _on_documents(operation, work), FieldPath(operation.field)
    _refuse_arrays(body, operation, path)
    _find_sources(body, operation, CopyField)
    options: dict[str, Any] = {"phase": 1}
    if operation.keep:
        entry = {"_id": "$_id", "value": path.value, "at": path.position}
        _keep(body, operation, work, path.text, Holds.VALUES)
        options["keep"] = {"aside": Raw("kept.aside"), "entry": entry}
        if not body.downgrade:
            lacking, size = {"$expr": path.absent}, _size(operation)
            name, mark = operation.collection, {"at": -1, "put_back": LACKED}
            body.do("keepLacking", Raw("kept.aside"), name, lacking, size, mark)
    body.const("query", {"$expr": path.present})
    body.const("change", [{"$unset": [path.text]}])
    _walk(body, operation, options, problem=f"have {path.text}")
    _put_back(body, operation, path)
    return body


def _rename_field(operation: RenameField, work: Work) -> Body:
    body = _on_documents(operation, work)
    old, new = FieldPath(operation.field), FieldPath(operation.new_name)
    _refuse_arrays(body, operation, old, new)
    if not operation.overwrite:
        _refuse_both(body, operation.collection, old, new)
    unfit = {"$expr": {"$and": [old.present, new.unfit]}}
    where = f"have no document that {new.text} could stand in"
    body.check("refuseAny", operation.collection, unfit, where)
    _find_sources(body, operation, RenameField)
    options: dict[str, Any] = {"left": {"$expr": old.present}}
    if operation.overwrite:
        _keep(body, operation, work, new.text, Holds.VALUES)
        options["keep"] = _overwritten(old, new)
    body.const("query", with_room(old, new, overwrite=operation.overwrite))
    body.const("change", move(old, new))
    _walk(body, operation, options, problem=f"have {old.text}")
    _put_back(body, operation, old)
    return body


def _copy_field(operation: CopyField, work: Work) -> Body:
    body = _on_documents(operation, work)
    source, target = FieldPath(operation.field), FieldPath(operation.target)
    _refuse_arrays(body, operation, source, target)
    options: dict[str, Any] = {}
    if operation.overwrite:
        _keep(body, operation, work, target.text, Holds.VALUES)
        options = {"keep": _overwritten(source, target), "details": target.standing}
    else:
        _refuse_both(body, operation.collection, source, target)
    body.const("query", with_room(source, target, overwrite=operation.overwrite))
    body.const("change", target.set_to(source.value))
    problem = None if operation.overwrite else f"lack {target.text}"
    _walk(body, operation, options, problem=problem)
    return body


def _overwritten(old: FieldPath, new: FieldPath) -> dict[str, Any]:
    """Return what is kept of the documents whose second field has a value already."""
    entry = {**shape_of(old, new), "_id": "$_id"}
    query = {"$expr": new.present}
    return {"aside": Raw("kept.aside"), "query": query, "entry": entry}


def _convert_field(operation: ConvertField, work: Work) -> Body:
    body, path = _on_documents(operation, work), FieldPath(operation.field)
    name, to = operation.collection, operation.to
    _refuse_arrays(body, operation, path)
    _find_sources(body, operation, ConvertField)
    if body.downgrade:
        _convert_what_was_converted(body, work)
    to_convert, left = queries(operation, work)
    result = converted(operation, work)
    options: dict[str, Any] = {"left": left}
    if body.downgrade:
        fits = {"fits": same_as(path, "became"), "put": with_value(path, "$$value")}
        body.work.append(
            f"for (const aside of kept.sources) putBack(aside, {js(name)}, {js(fits)});"
        )
        options |= _after_sources()
    if operation.on_error == "fail":
        _refuse_lost(body, operation, lost(operation, work))
    if operation.keep:
        entry = {"_id": "$_id", "value": path.value, "became": result}
        _keep(body, operation, work, path.text, Holds.CONVERSIONS)
        options["keep"] = {"aside": Raw("kept.aside"), "entry": entry}
    body.const("query", to_convert)
    body.const("change", path.set_to(result))
    _walk(body, operation, options, problem=f"have a {path.text} that is no {to}")
    return body


def _convert_what_was_converted(body: Body, work: Work) -> None:
    """Have the filters of a downgrade look for the types that the upgrade made."""
    work.record = dataclasses.replace(work.record, before={"only": Raw("only")})
    body.before.append("const only = typesToConvert(sources);")
    body.found["only"] = "only"
    body.const("only", Raw("kept.only"))


def _refuse_lost(body: Body, operation: ConvertField, query: Mapping[str, Any]) -> None:
    """Refuse what would be lost; in a downgrade, after what is put back is back."""
    problem = f"have a {operation.field} that cannot become {operation.to} unchanged"
    call = f"refuseAny({js(operation.collection)}, lost, {js(problem)}"
    options: dict[str, Any] = {"field": operation.field}
    body.before.append(f"const lost = {js(query)};")
    if not body.downgrade:
        body.before.append(f"{call}, {js(options)});")
        return
    body.before.append(f"if (sources.length === 0) {call}, {js(options)});")
    options["exempt"] = Raw("kept.sources")
    body.work.append(f"const lost = {js(query)};")
    body.work.append(
        f"if (current.checkpoint.phase === undefined) {call}, {js(options)});"
    )


def _update(operation: Update, work: Work) -> Body:
    body = _on_documents(operation, work)
    options = _images(body, operation, work)
    body.const("query", work.native(operation.filter))
    body.const("change", work.native(operation.update))
    _walk(body, operation, options, problem=None)
    return body


def _delete(operation: Delete, work: Work) -> Body:
    body = _on_documents(operation, work)
    options = _images(body, operation, work)
    body.const("query", work.native(operation.filter))
    write = f"deletes({js(operation.collection)})"
    _walk(body, operation, options, problem="match the filter", write=write)
    return body


def _images(body: Body, operation: Update | Delete, work: Work) -> dict[str, Any]:
    if not operation.keep:
        return {}
    _keep(body, operation, work, "documents", Holds.DOCUMENTS)
    return {"keep": {"aside": Raw("kept.aside"), "entry": "$$ROOT"}}


def _insert(operation: Insert, work: Work) -> Body:
    body = _on_documents(operation, work)
    documents = []
    for document in operation.documents:
        native = dict(work.native(document))
        # Given here, so that it comes first; mongosh would make one too.
        documents.append({"_id": native.pop("_id", Raw("ObjectId()")), **native})
    body.do("insertAll", operation.collection, documents)
    return body


def _on_documents(operation: Any, work: Work) -> Body:
    body = Body(downgrade=work.is_downgrade)
    body.check("requireOrdinary", operation.collection)
    return body


def _refuse_both(body: Body, name: str, old: FieldPath, new: FieldPath) -> None:
    problem = f"have both {old.text} and {new.text}"
    both = having_both(old, new)
    body.check("refuseAny", name, both, problem, {"field": new.text})


def _find_sources(body: Body, operation: Any, kept_by: type[Operation]) -> None:
    """Find what the upgrade kept, for a downgrade to give back."""
    if not body.downgrade:
        body.found["sources"] = "[]"
        return
    arguments = js([kept_by.verb, operation.collection, operation.field])
    body.before.append(f"const sources = keptByUpgrade(...{arguments});")
    body.found["sources"] = "sources"


def _after_sources() -> dict[str, Any]:
    """Return the options of a walk that passes over what a downgrade has put back."""
    return {"phase": Raw("kept.sources.length"), "exempt": Raw("kept.sources")}


def _put_back(body: Body, operation: Any, path: FieldPath) -> None:
    if not body.downgrade:
        return
    how = {"fits": path.absent, "put": with_kept_value(path)}
    body.work.append(
        f"for (const aside of kept.sources) "
        f"putBack(aside, {js(operation.collection)}, {js(how)});"
    )


def _keep(body: Body, operation: Any, work: Work, label: str, holds: Holds) -> None:
    name = operation.collection
    base = work.bench.asides.first_name(work.record.revision, f"{name}.{label}")
    body.check("requireCopyable", name)
    body.found["aside"] = f"asideName({js(base)})"
    entry = {
        "verb": operation.verb,
        "holds": str(holds),
        "collection": name,
        "field": "" if holds is Holds.DOCUMENTS else label,
        **(
            {"to": operation.to, "on_error": operation.on_error}
            if holds is Holds.CONVERSIONS
            else {}
        ),
    }
    body.do("enterAside", Raw("kept.aside"), entry)


def _walk(
    body: Body,
    operation: Any,
    options: Mapping[str, Any],
    *,
    problem: str | None,
    write: str | None = None,
) -> None:
    """Walk by `query`, writing `change`.

    problem: with one, until none is left; without, each document once.
    """
    name, size = js(operation.collection), _size(operation)
    write = write or f"updates({name}, change)"
    function = "eachOnce"
    if problem is not None:
        function, options = "untilNoneLeft", {**options, "problem": f"still {problem}"}
    more = f", {js(options)}" if options else ""
    body.work.append(f"{function}({name}, query, {size}, {write}{more});")


def _size(operation: Any) -> int:
    return getattr(operation, "batch_size", None) or BATCH_SIZE


BODIES: dict[type[Operation], Callable[[Any, Work], Body]] = {
    AddField: _add_field,
    ConvertField: _convert_field,
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
"""Every operation that has a form for the server; `run` and `transform` are Python."""
