"""The commands that build and drop an index, and their refusals in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from ....errors import OperationError
from ....ops import CreateIndex
from ...batches.step_under_way import Work
from ...forecast.duplicates import duplicates, shown_key
from ...server.failures import (
    DUPLICATE_KEY,
    INDEX_KEY_SPECS_CONFLICT,
    INDEX_NOT_FOUND,
    INDEX_OPTIONS_CONFLICT,
    NAMESPACE_NOT_FOUND,
    duplicate_of,
)
from ...server.views import command, exact_view, index_specs


def build(work: Work, collection: str, spec: Mapping[str, Any]) -> None:
    """Build an index, or join its build; an existing one stays as it is.

    Raises OperationError that names the index in the way, or the duplicate key.
    """
    try:
        with work.bench.stop.at_once():  # the server continues; the next run joins it
            command(work.db, {"createIndexes": collection, "indexes": [spec]})
    except OperationFailure as error:
        told = index_error(work.db, collection, spec, error)
        if told is None:
            raise
        raise told from error


def drop(work: Work, collection: str, name: str) -> None:
    """Drop an index, its unfinished build too; a missing one is fine."""
    try:
        command(work.db, {"dropIndexes": collection, "index": name})
    except OperationFailure as error:
        if error.code not in (INDEX_NOT_FOUND, NAMESPACE_NOT_FOUND):
            raise


def index_error(
    db: Database[Any], collection: str, spec: Mapping[str, Any], error: OperationFailure
) -> OperationError | None:
    """Return why an index was not built, in our words; None for other reasons."""
    name = spec["name"]
    if error.code == DUPLICATE_KEY:
        return OperationError(
            f"The unique index {name} of {collection} cannot be built: at least "
            f"two documents have {_duplicate(db, collection, spec, error)}",
            hint="Make them unique first, with op.update() or by hand.",
        )
    there = index_specs(db, collection)
    if error.code == INDEX_OPTIONS_CONFLICT and name not in there:
        twin = _twin(there, spec)
        return OperationError(
            f"The index {name} of {collection} cannot be built: {twin} has the same "
            "key",
            hint=f"Drop {twin} first, or use its name in the script.",
        )
    if error.code in (INDEX_OPTIONS_CONFLICT, INDEX_KEY_SPECS_CONFLICT):
        return OperationError(
            other_definition(collection, name, there.get(name, {})),
            hint="Drop it first, or give the new one another name.",
        )
    return None


def other_definition(collection: str, name: str, there: Mapping[str, Any]) -> str:
    """Say that an index's name is taken. there: the specification that has it."""
    return (
        f"{collection} already has an index {name} with a different "
        f"definition: {_shown(there)}"
    )


def _duplicate(
    db: Database[Any],
    collection: str,
    spec: Mapping[str, Any],
    error: OperationFailure,
) -> str:
    """Return the duplicate key; with a collation the server does not report it."""
    told = duplicate_of(error)
    if not any((error.details or {}).get("hexEncoded", ())):
        return told
    options = {key: spec[key] for key in spec if key not in ("key", "name")}
    keys = tuple(spec["key"].items())
    index = CreateIndex(collection, keys, spec["name"], options)
    found = duplicates(exact_view(db), collection, index) or {}
    return next((shown_key(keys, key) for key in found.get("samples", ())), told)


def _twin(specs: Mapping[str, Mapping[str, Any]], spec: Mapping[str, Any]) -> str:
    """Return the name of the index that has the key of another one."""
    wanted = list(spec["key"].items())
    for name, there in specs.items():
        if list(there["key"].items()) == wanted and name != spec["name"]:
            return name
    return "another index"


def _shown(spec: Mapping[str, Any]) -> str:
    told = {key: val for key, val in spec.items() if key not in ("v", "name", "ns")}
    told["key"] = dict(told.get("key", {}))
    return repr(told)
