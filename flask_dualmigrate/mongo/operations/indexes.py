"""Building and dropping indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...backend import Failing
from ...errors import OperationError
from ...indexes import DeclaredIndex, Definition, normalise
from ...ops import CreateIndex, DropIndex
from ..batches.step_under_way import Work
from ..forecast.counting import Count
from ..forecast.duplicates import duplicates, indexed_by, shown_key
from ..forecast.index_documents import tell_untaken
from ..forecast.look import Look, Told
from ..forecast.names import ANY, Names, roots
from ..forecast.sample import try_index
from ..mongosh.literals import call, literal, on
from ..mongosh.statements import Part, db_command, is_there, only_if
from ..server.failures import shown
from ..server.special import refuse_index, refuse_indexes
from ..server.transactions import supports_transactions
from ..server.views import collection_info, index_specs, same_bson
from .handler import Declared, Handler, name_spare, remove_created
from .shared.index_builds import build, drop, other_definition

PLAIN = frozenset({"unique", "sparse", "expireAfterSeconds", "background"})
"""Index options that all servers support."""

_HELPED = {"unique", "sparse", "hidden", "collation", "expireAfterSeconds"} | {
    "partialFilterExpression"
}
"""Options of an index that createIndex() of mongosh takes; of others it drops some."""


class CreateIndexHandler(Handler[CreateIndex]):
    """Builds an index; a repeated request joins a build that outlived its client."""

    creates = True
    keeps_collections = True

    def before(self, operation: CreateIndex, work: Work) -> Mapping[str, Any]:
        spec, name = _spec_of(operation, work), operation.collection
        info = work.bench.known.info(name)
        specs = {} if info is None else index_specs(work.db, name)
        if info is not None and not specs:  # a time series has none at first
            info = collection_info(work.db, name)
        if info is None:
            return {"existed": False, "spec": spec, "spare": name_spare(work, name)}
        refuse_index(operation, info, work.db)
        return {"existed": operation.name in specs, "spec": spec}

    def apply(self, operation: CreateIndex, work: Work) -> None:
        build(work, operation.collection, _spec_of(operation, work))

    def undo(self, operation: CreateIndex, work: Work) -> None:
        name, before = operation.collection, work.before
        there = index_specs(work.db, name).get(operation.name)
        if not before["existed"]:
            # The command of a killed run may still be waiting: queue behind it, then.
            if there is None or _is_ours(work, name, there):
                drop(work, name, operation.name)
            else:
                work.note(
                    f"{name} now has a different index {operation.name}, which remains"
                )
        remove_created(work, name)

    def forecast(self, look: Look[CreateIndex]) -> Told:
        told = Told(builds=True)
        if look.problem is not None:
            return told
        options: Mapping[str, Any] = look.work.native(look.operation.options)
        info = collection_info(look.db, look.collection) if look.is_there else None
        collation = info["options"].get("collation") if info else None
        if _is_known(look, options, collation, told):
            return told
        spec = {
            "key": dict(look.operation.keys),
            "name": look.operation.name,
            **options,
        }
        indexed = indexed_by(look.operation, options)
        told.matches = look.count(indexed) if info else Count(0)
        if not supports_transactions(look.db):
            told.notes.append(
                "it was not tried whether the server accepts the definition"
            )
        else:
            refused = try_index(look.work, spec, collation=collation)
            told.lasting += [refused] if refused else []
        if told.lasting or info is None:
            return told
        if options.get("unique"):
            _tell_duplicates(look, options, told)
        if supports_transactions(look.db):
            tell_untaken(look, spec, indexed, told, collation=collation)
        return told

    def reads(self, operation: CreateIndex) -> frozenset[str]:
        if "partialFilterExpression" in operation.options:
            return ANY
        return roots(*(field for field, _ in operation.keys))

    def writes(self, operation: CreateIndex) -> frozenset[str]:
        return frozenset()

    def replay(
        self, operation: CreateIndex, names: Names, *, source: str | None
    ) -> None:
        spec = {"key": dict(operation.keys), **operation.options}
        names.index(operation.collection, operation.name, spec)

    def actions(self, operation: CreateIndex) -> tuple[str, ...]:
        return ("createIndex",)

    def why_not_standalone(self, operation: CreateIndex) -> str | None:
        return None

    def to_try(self, operation: CreateIndex) -> Mapping[str, Any] | None:
        plain = operation.options.keys() <= PLAIN and all(
            way in (1, -1) for _, way in operation.keys
        )
        if plain:
            return None
        key = dict(operation.keys)
        return {"key": key, "name": operation.name, **operation.options}

    def statements(self, operation: CreateIndex, part: Part) -> list[str]:
        key, options = dict(operation.keys), part.work.native(operation.options)
        named = {"name": operation.name, **options}
        if options.keys() <= _HELPED:
            return [call(on(operation.collection), "createIndex", key, named)]
        spec = {"key": key, **named}
        return [db_command({"createIndexes": operation.collection, "indexes": [spec]})]

    def declare(self, operation: CreateIndex, declared: Declared, source: str) -> None:
        """Declare the index; an existing one stays as it is, as the operation says."""
        place, name = operation.collection, operation.name
        made = DeclaredIndex(place, name, operation.keys, operation.options, (source,))
        declared.setdefault((place, name), made)


class DropIndexHandler(Handler[DropIndex]):
    """Drops an index; its full specification is kept, so that an undo rebuilds it."""

    eases = True
    keeps_collections = True

    def before(self, operation: DropIndex, work: Work) -> Mapping[str, Any]:
        if operation.name == "_id_":
            raise OperationError(
                f"The index on _id of {operation.collection} cannot be dropped"
            )
        info = collection_info(work.db, operation.collection)
        if info is not None:
            refuse_indexes(operation.collection, info)
        spec = index_specs(work.db, operation.collection).get(operation.name)
        if spec is not None and spec.get("clustered"):
            raise OperationError(
                f"{operation.name} is the clustered index of {operation.collection}, "
                "which cannot be dropped"
            )
        return {} if spec is None else {"spec": spec}

    def apply(self, operation: DropIndex, work: Work) -> None:
        if work.before:
            drop(work, operation.collection, operation.name)
        else:
            work.note(f"{operation.collection} had no index {operation.name}")

    def undo(self, operation: DropIndex, work: Work) -> None:
        spec, name = dict(work.before.get("spec", {})), operation.collection
        if not spec or collection_info(work.db, name) is None:
            return
        spec.pop("ns", None)  # listed by servers before 4.4, refused by later ones
        there = index_specs(work.db, name).get(operation.name)
        if there is None or same_bson(there, spec):
            build(work, name, spec)
        else:
            told = f"{name} now has a different index {operation.name}, which remains"
            work.note(f"{told}; the former one is not rebuilt: {shown(spec)}")

    def forecast(self, look: Look[DropIndex]) -> Told:
        told = Told()
        said = look.said
        now = index_specs(look.db, look.collection) if look.is_there else {}
        if said.name not in look.names.indexes(said.collection, now):
            told.notes.append(
                f"{said.collection} has no index {said.name}: nothing to do"
            )
        return told

    def reads(self, operation: DropIndex) -> frozenset[str]:
        return frozenset()

    def writes(self, operation: DropIndex) -> frozenset[str]:
        return frozenset()

    def replay(self, operation: DropIndex, names: Names, *, source: str | None) -> None:
        names.index(operation.collection, operation.name, None)

    def actions(self, operation: DropIndex) -> tuple[str, ...]:
        return ("dropIndex",)

    def why_not_standalone(self, operation: DropIndex) -> str | None:
        return None

    def statements(self, operation: DropIndex, part: Part) -> list[str]:
        name = operation.collection
        is_it = f"(index) => index.name === {literal(operation.name)}"
        there = f"{is_there(name)} && {on(name)}.getIndexes().some({is_it})"
        return [only_if(there, call(on(name), "dropIndex", operation.name))]

    def declare(self, operation: DropIndex, declared: Declared, source: str) -> None:
        declared.pop((operation.collection, operation.name), None)


def _spec_of(operation: CreateIndex, work: Work) -> dict[str, Any]:
    """Return what createIndexes is asked for."""
    options = work.native(operation.options)
    return {"key": dict(operation.keys), "name": operation.name, **options}


def _is_ours(work: Work, collection: str, there: Mapping[str, Any]) -> bool:
    """Return whether an index is the one that the step built."""
    built = work.record.checkpoint.get("built")  # in journals of earlier versions
    if built is not None:
        return same_bson(built, there)
    if "spec" not in work.before:
        return True
    info = collection_info(work.db, collection) or {"options": {}}
    collation = info["options"].get("collation")
    found, asked = (
        normalise(
            tuple(spec["key"].items()),
            {key: spec[key] for key in spec if key not in ("key", "name")},
            collation=collation,
        )
        for spec in (there, work.before["spec"])
    )
    return not found.differing(asked)


def _is_known(
    look: Look[CreateIndex],
    options: Mapping[str, Any],
    collation: Mapping[str, Any] | None,
    told: Told,
) -> bool:
    """Report the index of that name, or the same index under another name."""
    now = index_specs(look.db, look.collection) if look.is_there else {}
    specs = look.names.indexes(look.said.collection, now)
    wanted = normalise(look.operation.keys, options, collation=collation)
    name, collection = look.operation.name, look.said.collection
    if name in specs:
        if not _definition(look, specs[name], collation).differing(wanted):
            told.notes.append(f"{name} already exists")
        else:
            told.problems.append(other_definition(collection, name, specs[name]))
        return True
    for twin, spec in specs.items():
        if _definition(look, spec, collation).identity == wanted.identity:
            told.problems.append(
                f"The index {name} of {collection} cannot be built: {twin} has the "
                "same key"
            )
            return True
    return False


def _definition(
    look: Look[CreateIndex],
    spec: Mapping[str, Any],
    collation: Mapping[str, Any] | None,
) -> Definition:
    options = {k: v for k, v in spec.items() if k not in ("key", "name")}
    keys = tuple(spec["key"].items())
    return normalise(keys, look.work.native(options), collation=collation)


def _tell_duplicates(
    look: Look[CreateIndex], options: Mapping[str, Any], told: Told
) -> None:
    found = duplicates(look.db, look.collection, look.operation, options)
    if found is None:
        told.notes.append("the keys could not be checked for duplicates in time")
        return
    total = found["total"]
    if not total:
        return
    shown = tuple(shown_key(look.operation.keys, key) for key in found["samples"])
    documents, keys = int(total[0]["documents"]), int(total[0]["keys"])
    told.failing.append(Failing("duplicate", documents, shown))
    noun = "one key" if keys == 1 else f"{keys} keys"
    more_keys = ", …" if keys > len(shown) else ""
    told.problems.append(
        f"The unique index {look.operation.name} cannot be built: {documents} "
        f"documents share {noun}: {', '.join(shown)}{more_keys}"
    )
