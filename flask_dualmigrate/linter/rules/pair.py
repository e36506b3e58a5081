"""Rules for a revision's two scripts together, and for upgrade and downgrade."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...alembic_scripts.change import Change
from ...ops import (
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    CreateIndex,
    DropCollection,
    DropField,
    DropIndex,
    Operation,
    RenameCollection,
    RenameField,
    Run,
    Todo,
    Transform,
    Update,
)
from ...revisions import BackendName
from ...sql.names import quoted
from ..advice.finding import Advice, rule
from ..advice.paste import alter, table_arguments, text
from ..advice.paste_mongo import call
from ..views.facts import collection_of
from ..views.mongo import Placed

Effect = tuple[str, str, str]
"""The action, the collection or table, and the field, index or column ("" for none)."""


@dataclass(frozen=True)
class PairAdvice(Advice):
    """Advice on one of the two scripts. function: used if the line is not known."""

    backend: BackendName = BackendName.POSTGRES
    function: str = "upgrade"


Advices = Iterator[PairAdvice]


@dataclass(frozen=True)
class PairView:
    """A revision; a side that the app does not have is empty.

    wanted: the Mongo operations that its Alembic upgrade amounts to; None:
    unknown, or the app has only one side. mirrored: the collections that correspond
    to tables. down, mongo_down: what the downgrades do; None: unknown, or it
    refuses.
    """

    up: tuple[Change, ...] = ()
    down: tuple[Change, ...] | None = None
    mongo_up: tuple[Placed, ...] = ()
    mongo_down: tuple[Placed, ...] | None = None
    wanted: tuple[Operation, ...] | None = None
    mirrored: frozenset[str] = frozenset()


def _effects(operations: Sequence[Operation]) -> dict[Effect, Operation]:
    """Return what operations do to collections, fields and indexes."""
    found: dict[Effect, Operation] = {}
    for op in operations:
        for effect in _of(op):
            found[effect] = op
    return found


def _of(op: Operation) -> Iterator[Effect]:
    name = collection_of(op) or ""
    match op:
        case CreateCollection():
            yield "create", name, ""
        case DropCollection():
            yield "drop", name, ""
        case RenameCollection():
            yield "drop", name, ""
            yield "create", op.new_name, ""
        case AddField():
            yield "add", name, op.field
        case DropField():
            yield "take", name, op.field
        case RenameField():
            yield "take", name, op.field
            yield "add", name, op.new_name
        case CopyField():
            yield "add", name, op.target
        case ConvertField():
            yield "convert", name, op.field
        case CreateIndex():
            keys = ",".join(f"{field}:{way}" for field, way in op.keys)
            yield "index", name, f"{keys}{' unique' if op.unique else ''}"
        case DropIndex():
            yield "unindex", name, op.name


_WORDS = {
    "create": "creates the collection {0}",
    "drop": "removes the collection {0}",
    "add": "adds {0}.{1}",
    "take": "removes {0}.{1}",
    "convert": "changes the type of {0}.{1}",
    "index": "indexes {0} ({1})",
    "unindex": "drops the index {1} of {0}",
}


@rule("DM301", "the two sides do different things")
def sides_differ(view: PairView) -> Advices:
    """The app finds something in one database that the other lacks."""
    if view.wanted is None or any(isinstance(op, Todo) for op in view.wanted):
        return
    done = [said.operation for said in view.mongo_up]
    wanted, there = _effects(view.wanted), _effects(done)
    lines = {id(said.operation): said.line for said in view.mongo_up}
    opaque = any(isinstance(op, Run | Todo | Transform) for op in done)
    written = _written_by_hand(done)
    for effect, op in wanted.items():
        if effect not in there and not opaque and effect[1:] not in written:
            yield PairAdvice(
                f"The Alembic script {_said(effect)}, but the Mongo script does not.",
                call(op),
                None,
                BackendName.MONGO,
            )
    if any(change.verb == "raw" for change in view.up):
        return
    for effect, op in there.items():
        if effect not in wanted and effect[1] in view.mirrored:
            yield PairAdvice(
                f"The Mongo script {_said(effect)}, but the Alembic script "
                "does not do the same to its table.",
                _alembic(effect),
                lines.get(id(op)),
                BackendName.MONGO,
            )


def _said(effect: Effect) -> str:
    verb, collection, what = effect
    return _WORDS[verb].format(collection, what.removesuffix(" unique"))


def _written_by_hand(operations: Sequence[Operation]) -> set[tuple[str, str]]:
    """Return the fields that updates add or remove, with their collections."""
    return {
        (op.collection, str(field))
        for op in operations
        if isinstance(op, Update) and isinstance(op.update, Mapping)
        for value in op.update.values()
        if isinstance(value, Mapping)
        for field in value
    }


def _alembic(effect: Effect) -> str:
    verb, table, what = effect
    name = text(table)
    match verb:
        case "create":
            return f'op.create_table({name}, sa.Column("id", sa.BigInteger()))'
        case "drop":
            return f"op.drop_table({name})"
        case "add":
            return f"op.add_column({name}, sa.Column({text(what)}, sa.Text()))"
        case "take":
            return f"op.drop_column({name}, {text(what)})"
        case "convert":
            return f"op.alter_column({name}, {text(what)}, type_=sa.Text())"
        case "index":
            fields = [
                k.partition(":")[0] for k in what.removesuffix(" unique").split(",")
            ]
            title = "_".join(["ix", table, *fields]).replace(".", "_")
            listed = ", ".join(map(text, fields))
            return f"op.create_index({text(title)}, {name}, [{listed}])"
    return f"op.drop_index({text(what)}, {name})"


_EXPANDS = ("add_column",)
_CONTRACTS = ("drop_column", "rename_column", "set_not_null")


@rule("DM302", "expand and contract in one revision")
def order(view: PairView) -> Advices:
    """In a rolling deploy one of the two versions of the app fails."""
    grown = {c.table for c in view.up if c.verb in _EXPANDS and c.existing}
    said: set[str | None] = set()
    for change in view.up:
        drops = change.verb == "drop_column" and change.existing
        if drops and change.table in grown and change.table not in said:
            said.add(change.table)
            table, schema = table_arguments(change.table)
            yield PairAdvice(
                f"{change.table} gets a new column and loses {change.column} at once: "
                "during a rolling deploy, the app's old version uses what is gone, "
                "or its new version uses what does not exist yet.",
                "# In a later revision, once no running version uses it:\n"
                f"op.drop_column({table}, {text(change.column or '')}{schema})",
                change.line,
            )
    collections = {
        said_.operation.collection
        for said_ in view.mongo_up
        if isinstance(said_.operation, AddField) and said_.existing
    }
    for each in view.mongo_up:
        op = each.operation
        if isinstance(op, DropField) and each.existing and op.collection in collections:
            collections.discard(op.collection)
            yield PairAdvice(
                f"{op.collection} gets a new field and loses {op.field} at once: "
                "during a rolling deploy, the app's old version uses what is gone, or "
                "its new version uses what does not exist yet.",
                f"# In a later revision, once no running version uses it:\n{call(op)}",
                each.line,
                BackendName.MONGO,
            )


@rule("DM303", "downgrade that does not mirror the upgrade")
def mirror(view: PairView) -> Advices:
    """After it the database is not as it was."""
    if view.down is not None and not any(c.verb == "raw" for c in view.down):
        yield from _mirror_postgres(view.up, view.down)
    if view.mongo_down is not None:
        yield from _mirror_mongo(view.mongo_up, view.mongo_down)


@dataclass(frozen=True)
class _Back:
    """What a downgrade does, by verb: (table, column) and (table, name)."""

    down: Sequence[Change]

    def does(self, *verbs: str, table: str | None, what: str | None = None) -> bool:
        return any(
            each.verb in verbs
            and each.table == table
            and what in (None, each.column, each.name)
            for each in self.down
        )

    def drops(self, change: Change) -> bool:
        """Return whether it removes the table of a change, or one of its columns."""
        columns = {change.column, *change.columns} - {None}
        return self.does("drop_table", table=change.table) or any(
            self.does("drop_column", table=change.table, what=column)
            for column in columns
        )

    def drops_name(self, name: str | None) -> bool:
        """An index is dropped by its name alone."""
        verbs = ("drop_index", "drop_constraint")
        return any(each.verb in verbs and each.name == name for each in self.down)


def _mirror_postgres(up: Sequence[Change], down: Sequence[Change]) -> Advices:
    made = {c.table for c in up if c.verb == "create_table"}
    made |= {c.name for c in up if c.verb == "rename_table"}
    back = _Back(down)
    for change in up:
        # What one script creates and removes again leaves nothing.
        if change.table in made and change.verb != "create_table":
            continue
        if change.verb == "create_table" and _dropped_again(change, up):
            continue
        missing = _missing_back(change, back)
        if missing is not None:
            yield PairAdvice(
                f"The upgrade changes {change.place or change.name} "
                f"({change.verb.replace('_', ' ')}), but the downgrade does not "
                "reverse that, so the next upgrade fails or finds an unexpected state.",
                f"# In downgrade():\n{missing}",
                None,
                BackendName.POSTGRES,
                "downgrade",
            )


def _dropped_again(change: Change, up: Sequence[Change]) -> bool:
    return any(c.verb == "drop_table" and c.table == change.table for c in up)


def _missing_back(change: Change, back: _Back) -> str | None:
    """Return what the downgrade should contain; None if it does."""
    table, column = change.table, change.column or ""
    name, schema = table_arguments(table)
    match change.verb:
        case "create_table" if not back.does("drop_table", table=table):
            return f"op.drop_table({name}{schema})"
        case "drop_table" if not back.does("create_table", table=table):
            key = 'sa.Column("id", sa.BigInteger())'
            return f"op.create_table({name}, {key}{schema})"
        case "add_column" if not back.drops(change):
            return f"op.drop_column({name}, {text(column)}{schema})"
        case "drop_column" if not back.does(
            "add_column", "column", table=table, what=column
        ):
            new = f"sa.Column({text(column)}, sa.Text())"
            return f"op.add_column({name}, {new}{schema})"
        case "create_index" if change.name and not (
            back.drops_name(change.name) or back.drops(change)
        ):
            return f"op.drop_index({text(change.name)}, {name}{schema})"
        case "rename_column" if not back.does(
            "rename_column", table=table, what=change.name
        ):
            renamed = f"{quoted(change.name or '')} TO {quoted(column)}"
            return alter(table, f"RENAME COLUMN {renamed}")
        case "alter_type" if change.old_type and not (
            back.drops(change)
            or back.does("alter_type", "add_column", table=table, what=column)
        ):
            return alter(table, f"ALTER COLUMN {quoted(column)} TYPE {change.old_type}")
    return None


_BACK = {
    "create": "drop",
    "drop": "create",
    "add": "take",
    "take": "add",
    "convert": "convert",
}


def _mirror_mongo(up: Sequence[Placed], down: Sequence[Placed]) -> Advices:
    backwards = [said.operation for said in down]
    if any(isinstance(op, Run | Todo | Transform) for op in backwards):
        return
    there = _effects(backwards)
    gone = {c for verb, c, _ in there if verb in ("drop", "create")}
    indexes = {op.name for op in backwards if isinstance(op, DropIndex)}
    named = {c for said in up for v, c, _ in _of(said.operation) if v == "create"}
    for said in up:
        op = said.operation
        if isinstance(op, CreateIndex):
            lost = op.collection in gone | named
            if not lost and op.name not in indexes:
                yield _unmirrored(op, op.reverse())
            continue
        for verb, collection, what in _of(op):
            back = _BACK.get(verb)
            covered = verb not in ("create", "drop") and collection in gone | named
            if back and not covered and (back, collection, what) not in there:
                yield _unmirrored(op, op.reverse())
                break


def _unmirrored(op: Operation, reverse: Operation | None) -> PairAdvice:
    instead = f"# In downgrade(op):\n{call(reverse)}" if reverse is not None else ""
    return PairAdvice(
        f"The upgrade does this ({op.describe()}), but the downgrade does not reverse "
        "it, so the next upgrade fails or finds an unexpected state.",
        instead,
        None,
        BackendName.MONGO,
        "downgrade",
    )
