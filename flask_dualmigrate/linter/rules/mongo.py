"""Rules for Mongo scripts.

Source: MongoDB manual, Limits and Thresholds, Schema Validation, Update Operators.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...ops import (
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    DropCollection,
    DropField,
    Operation,
    RenameCollection,
    RenameField,
    Run,
    SetValidator,
    Todo,
    Update,
)
from ..advice.finding import Advice, Advices, Severity, rule
from ..advice.paste import text
from ..advice.paste_mongo import call, source
from ..views.facts import collection_of
from ..views.mongo import MongoView, Placed, code_names

_MANY = {
    *("update_many", "delete_many", "insert_many", "bulk_write"),
    *("$out", "$merge", "find_one_and_update", "update_one", "replace_one"),
}


@rule("DM202", "update without batches")
def without_batches(view: MongoView) -> Advices:
    """A single command over all documents cannot be resumed, watched or stopped."""
    for run, said in view.of(Run):
        found = sorted(_MANY & code_names(run.fn))
        if found:
            yield Advice(
                f"{run.label}() writes with {found[0]} in one go: it reports no "
                "progress, has no checkpoint to resume from, and is left half done "
                "if it is killed.",
                'op.update("items", {"status": None}, {"$set": {"status": "new"}}, '
                "keep=True)",
                said.line,
            )


@rule("DM203", "op.run that cannot be undone or repeated")
def unsafe_run(view: MongoView) -> Advices:
    """After a crash someone must decide; if a later step fails, its changes remain."""
    for run, said in view.of(Run):
        unsafe = str(run.kind) == "unsafe"
        if run.undo is not None and not unsafe:
            continue
        dangers = []
        if unsafe:
            dangers.append(
                f"After a crash inside {run.label}(), someone has to decide "
                "whether it was done."
            )
        if run.undo is None:
            dangers.append(
                "If a later step fails, or on a downgrade, its changes remain."
            )
        name = source(run.fn)
        yield Advice(
            " ".join(dangers),
            f"# idempotent=True: it may be called again after a crash\n"
            f"op.run({name}, undo=undo_{name}, idempotent=True)",
            said.line,
        )


@rule("DM204", "update that a standalone server could run twice", counts=True)
def not_standalone(view: MongoView) -> Advices:
    """Without transactions a crash can make a batch run twice."""
    transactions = view.facts.has_transactions()
    if transactions:
        return
    for said in view.said:
        why = view.why_not_standalone(said.operation)
        if why is None:
            continue
        if transactions is None and not _adds_up(said.operation):
            continue
        yield Advice(
            "On a standalone server, which has no transactions, a crash makes the "
            f"next run repeat a batch, and {why}. Such a server refuses it.",
            _marked(said.operation),
            said.line,
        )


def _adds_up(operation: Operation) -> bool:
    """Return whether repeating an update changes more, whatever it runs on."""
    return (
        isinstance(operation, Update)
        and isinstance(operation.update, Mapping)
        and bool({"$inc", "$mul", "$push"} & operation.update.keys())
    )


def _marked(operation: Operation) -> str:
    if not isinstance(operation, Update) or not isinstance(operation.update, Mapping):
        return "# Run it on a replica set; one member is enough: mongod --replSet rs0"
    marked = {
        **operation.update,
        "$set": {**operation.update.get("$set", {}), "migrated": True},
    }
    query = {**operation.filter, "migrated": {"$ne": True}}
    name, unset = text(operation.collection), '{"$unset": {"migrated": 1}}'
    return (
        "# A marker in the document prevents it from being processed twice:\n"
        f"op.update({name}, {source(query)}, {source(marked)})\n"
        f'op.update({name}, {{"migrated": True}}, {unset})'
    )


@rule("DM205", "dropped for good (keep=False)", severity=Severity.DESTRUCTIVE)
def kept_nothing(view: MongoView) -> Advices:
    """Neither a downgrade nor an undo restores it."""
    for said in view.said:
        if said.operation.destructive:
            yield Advice(
                "With keep=False no copy is kept: neither a downgrade "
                "nor the undo of a failed revision can restore "
                f"it ({said.operation.describe()}).",
                call(said.operation, keep=None),
                said.line,
            )


_JAVASCRIPT = ("$where", "$function", "$accumulator", "mapReduce", "map_reduce")


@rule("DM207", "JavaScript on the server")
def javascript(view: MongoView) -> Advices:
    """Slow, often turned off, and deprecated since MongoDB 8.0."""
    for said in view.said:
        found = _keys(said.operation) & {*_JAVASCRIPT}
        if found:
            yield Advice(
                f"{sorted(found)[0]} runs JavaScript for each document: it is "
                "slow, uses no index, is refused if the server has it turned off, and "
                "is deprecated since MongoDB 8.0.",
                'op.update("items", {"$expr": {"$gt": ["$price", "$limit"]}}, '
                '{"$set": {"dear": True}}, keep=True)',
                said.line,
            )


def _keys(operation: Operation) -> set[str]:
    """Return all keys in the arguments of an operation, and names in its functions."""
    args, kwargs = operation.arguments()
    found: set[str] = set()
    todo: list[Any] = [*args, *kwargs.values()]
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            found |= {str(key) for key in value}
            todo += value.values()
        elif isinstance(value, list | tuple):
            todo += value
        elif callable(value):
            found |= code_names(value)
    return found


@rule("DM208", "renaming over an existing field", counts=True)
def over_field(view: MongoView) -> Advices:
    """A document that has both loses one of the two values."""
    for said in view.said:
        operation = said.operation
        if isinstance(operation, RenameField):
            target = operation.new_name
        elif isinstance(operation, CopyField):
            target = operation.target
        else:
            continue
        name, old = operation.collection, operation.field
        count = view.facts.having_both(name, old, target) if said.existing else None
        if not (operation.overwrite or said.has_target or count) or count == 0:
            continue
        which = f"{count:,} documents have" if count else "If a document has"
        yield Advice(
            f"{which} both {name}.{old} and {name}.{target}"
            f"{': one of the two values' if count else ', one of its values'} is "
            "overwritten, or the revision is refused.",
            "# First decide which of the two to keep, and remove the other one:\n"
            f'op.update({text(name)}, {{{text(old)}: {{"$exists": True}}}}, '
            f'{{"$unset": {{{text(target)}: 1}}}}, keep=True)\n'
            f"{call(operation, overwrite=None)}"
            "  # dualmigrate: allow DM208 removed above",
            said.line,
        )


@rule("DM209", "validator on an existing collection", counts=True)
def validator(view: MongoView) -> Advices:
    """A document that does not fit can no longer be updated."""
    for operation, said in view.of(SetValidator):
        strict = operation.level == "strict" and operation.action == "error"
        if operation.validator is None or not strict or not said.existing:
            continue
        count = view.facts.refused(operation)
        if count == 0:
            continue
        what = (
            f"{count:,} {'document' if count == 1 else 'documents'} of "
            f"{operation.collection} {'does' if count == 1 else 'do'} not fit"
            if count
            else f"Documents of {operation.collection} that do not fit remain"
        )
        yield Advice(
            f"{what}: with level strict, every later update of such a document fails, "
            "whatever it changes.",
            call(operation, level="moderate"),
            said.line,
        )


_SHARDING = (
    *("shardCollection", "reshardCollection", "refineCollectionShardKey"),
    *("abortReshardCollection", "unshardCollection"),
)


@rule("DM211", "shard key changed", counts=True)
def shard_key(view: MongoView) -> Advices:
    """It moves all documents, or is refused."""
    for said in view.said:
        if isinstance(said.operation, Run):
            found = code_names(said.operation.fn) & {*_SHARDING}
            if found:
                yield Advice(
                    f"{sorted(found)[0]} moves documents between shards for hours, "
                    "blocks writes at the end, and cannot be undone by a downgrade.",
                    "# Do it by hand at a quiet time, and wait for it; "
                    "then check the result here:\ndef verify(db):\n"
                    "    assert db.client.config.collections.find_one()",
                    said.line,
                )
            continue
        name, changed = collection_of(said.operation), _written(said.operation)
        key = view.facts.shard_key(name) if name and changed else None
        hit = sorted(changed & {*(key or ())})
        if hit:
            yield Advice(
                f"{name}.{hit[0]} is part of the shard key: MongoDB refuses to remove "
                "it, and moves each document whose value changes to another shard.",
                "# Copy it to a field with another name, and leave the key as it is:\n"
                f"op.copy_field({text(name or '')}, {text(hit[0])}, "
                f"{text(hit[0] + '_new')})",
                said.line,
            )


def _written(operation: Operation) -> set[str]:
    """Return the fields that an operation removes or changes."""
    if isinstance(operation, DropField | RenameField | ConvertField):
        return {operation.field.partition(".")[0]}
    if isinstance(operation, Update) and isinstance(operation.update, Mapping):
        values = operation.update.values()
        return {str(f) for value in values if isinstance(value, Mapping) for f in value}
    return set()


@rule("DM214", "a view loses what it reads", counts=True)
def views(view: MongoView) -> Advices:
    """A view refers to names: from then on it is silently empty."""
    for number, said in enumerate(view.said):
        if not isinstance(said.operation, RenameCollection | DropCollection):
            continue
        name, created = said.operation.collection, _created(view, number)
        if name in created:
            continue
        known = {*said.views, *(view.facts.views_on(name) or ())}
        dropped = {operation.collection for operation, _ in view.of(DropCollection)}
        for hit in sorted(known - dropped - created):
            yield Advice(
                f"The view {hit} reads {name}, and is empty once that is gone.",
                "# Create it again, based on what exists then:\n"
                f"op.drop_collection({text(hit)})\n"
                f'op.create_collection({text(hit)}, viewOn="items", pipeline=[])',
                said.line,
            )


def _created(view: MongoView, number: int) -> set[str]:
    """Return what the script creates after an operation."""
    after = [said.operation for said in view.said[number:]]
    return {
        operation.collection
        for operation in after
        if isinstance(operation, CreateCollection)
    }


_LONGEST_NAMESPACE = 255
_ROOM_FOR_DATABASE = 64


@rule("DM212", "a name that causes trouble")
def names(view: MongoView) -> Advices:
    """mongosh, drivers and tools have trouble with it, or MongoDB refuses it."""
    for said in view.said:
        for name, instead, danger in _names(said):
            yield Advice(danger.format(name=name), instead, said.line)


def _names(said: Placed) -> Iterator[tuple[str, str, str]]:
    operation = said.operation
    made = []
    if isinstance(operation, CreateCollection):
        made = [operation.collection]
    elif isinstance(operation, RenameCollection):
        made = [operation.new_name]
    for name in made:
        good = "".join(c if c.isalnum() or c in "_." else "_" for c in name)[:120]
        good = f"c_{good}" if good[0].isdigit() else good
        if len(name.encode()) > _LONGEST_NAMESPACE - _ROOM_FOR_DATABASE:
            yield (
                name,
                f"op.create_collection({text(good)})",
                "{name}: with the database name in front, a collection "
                "name may have at most 255 bytes.",
            )
        elif good != name:
            yield (
                name,
                f"op.create_collection({text(good)})",
                "{name} cannot be written as db.NAME in mongosh, and "
                "every tool has to quote it.",
            )
    fields = []
    if isinstance(operation, AddField):
        fields = [operation.field]
    elif isinstance(operation, RenameField):
        fields = [operation.new_name]
    elif isinstance(operation, CopyField):
        fields = [operation.target]
    for name in fields:
        if any(part != part.strip() or " " in part for part in name.split(".")):
            good = ".".join("_".join(part.split()) for part in name.split("."))
            yield (
                name,
                f"op.add_field({text(collection_of(operation) or '')}, {text(good)})",
                "{name!r} contains a space: it looks like another field, "
                "and every tool has to quote it.",
            )


@rule("DM213", "op.todo left in a script")
def todo(view: MongoView) -> Advices:
    """`upgrade` refuses it."""
    for operation, said in view.of(Todo):
        yield Advice(
            "A part that could not be translated is not written yet "
            f"({operation.text}), so `upgrade` refuses the revision.",
            'op.update("items", {}, {"$set": {"status": "new"}}, keep=True)',
            said.line,
        )
