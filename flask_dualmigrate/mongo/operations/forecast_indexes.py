"""What stands in the way of an index: definitions, double keys, and odd documents.

Source: MongoDB manual, Indexes; Multikey Indexes; Specify Language for Text Index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...backend import Failing
from ...indexes import Definition, normalise
from ...ops import CreateIndex, DropIndex
from ..forecast.counting import Count
from ..forecast.duplicates import duplicates, indexed_by, shown_key
from ..forecast.index_documents import tell_untaken
from ..forecast.look import Look, Told
from ..forecast.sample import try_index
from ..server.transactions import supports_transactions
from ..server.views import collection_info, index_specs
from .indexes import other_definition


def tell_create_index(look: Look[CreateIndex]) -> Told:
    told = Told(builds=True)
    if look.problem is not None:
        return told
    options: Mapping[str, Any] = look.work.native(look.operation.options)
    info = collection_info(look.db, look.collection) if look.is_there else None
    collation = info["options"].get("collation") if info else None
    if _is_known(look, options, collation, told):
        return told
    spec = {"key": dict(look.operation.keys), "name": look.operation.name, **options}
    indexed = indexed_by(look.operation, options)
    told.matches = look.count(indexed) if info else Count(0)
    if not supports_transactions(look.db):
        told.notes.append("it was not tried whether the server accepts the definition")
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


def _is_known(
    look: Look[CreateIndex],
    options: Mapping[str, Any],
    collation: Mapping[str, Any] | None,
    told: Told,
) -> bool:
    """Tell of the index under that name, or of one that is the same under another."""
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


def tell_drop_index(look: Look[DropIndex]) -> Told:
    told = Told()
    said = look.said
    now = index_specs(look.db, look.collection) if look.is_there else {}
    if said.name not in look.names.indexes(said.collection, now):
        told.notes.append(f"{said.collection} has no index {said.name}: nothing to do")
    return told
