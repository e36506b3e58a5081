"""What a recorded call checks of its arguments; each returns what is recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import ScriptError
from .documents import Document, UpdateSpec
from .indexes import Keys

MOST_WORKERS = 64
"""Each holds a connection of the app's pool, which has 100 by default."""


def collection_name(collection: Any) -> str:
    """Check a collection's name by MongoDB's rules, and that it is not one of ours."""
    if not isinstance(collection, str) or not collection:
        raise ScriptError(f"A collection name must be a string, not {collection!r}")
    if "$" in collection or "\0" in collection or collection.startswith("system."):
        raise ScriptError(
            f"MongoDB does not accept {collection!r} as a collection name"
        )
    if collection.startswith(".") or collection.endswith(".") or ".." in collection:
        raise ScriptError(
            f"MongoDB does not accept {collection!r} as a collection "
            "name: a dot must separate two words"
        )
    if collection.startswith(("_migrations", "_aside_")):
        raise ScriptError(f"Collection {collection!r} is reserved for migrations")
    return collection


def field_name(field: Any) -> str:
    """Check a field's name, dots for embedded documents."""
    if not isinstance(field, str) or not field or "\0" in field:
        raise ScriptError(f"A field name must be a string, not {field!r}")
    if any(not part or part.startswith("$") for part in field.split(".")):
        raise ScriptError(f"MongoDB does not accept {field!r} as a field name")
    if any(part.endswith("[]") for part in field.split(".")):
        raise ScriptError(
            f"{field!r} addresses array elements; change those with op.transform(), "
            "a Python function called for each document"
        )
    if field.split(".")[0] == "_id":
        raise ScriptError("The _id of a document cannot be changed")
    return field


def index_name(name: Any) -> str:
    """Check an index's name: one that dropIndexes takes for that index alone."""
    if not isinstance(name, str) or name in ("", "*") or "\0" in name:
        raise ScriptError(f"{name!r} is not a valid index name")
    return name


def index_keys(keys: Any) -> Keys:
    """Check the key of an index: a field's name, or pairs of a name and a way."""
    pairs = [(keys, 1)] if isinstance(keys, str) else list(keys)
    well_formed = all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    )
    if well_formed and any(not field or "\0" in field for field, _ in pairs):
        raise ScriptError(f"MongoDB does not accept the index keys {keys!r}")
    if not pairs or not well_formed:
        raise ScriptError(f"Index keys must be [(field, 1), …], not {keys!r}")
    return tuple((field, way) for field, way in pairs)


def number_of_documents(batch_size: Any) -> int | None:
    """Check the size of a batch; None: it adapts."""
    if batch_size is None:
        return None
    if type(batch_size) is not int or batch_size < 1:
        raise ScriptError(
            f"batch_size must be a number of documents, not {batch_size!r}"
        )
    return batch_size


def number_of_workers(workers: Any) -> int:
    """Check how many batches are worked on side by side."""
    if type(workers) is not int or not 1 <= workers <= MOST_WORKERS:
        raise ScriptError(
            f"workers must be a number from 1 to {MOST_WORKERS}, not {workers!r}"
        )
    return workers


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Check an argument that has a few values."""
    if value not in allowed:
        words = ", ".join(map(repr, allowed))
        raise ScriptError(f"{name}= must be one of {words}, not {value!r}")
    return str(value)


def function(fn: Any) -> Callable[..., Any]:
    """Check that an argument can be called."""
    if not callable(fn):
        raise ScriptError(f"Expected a function, not {fn!r}")
    return fn  # type: ignore[no-any-return]


def beanie_models(models: Any) -> tuple[Any, ...]:
    """Check a list of Beanie documents: classes, or dotted paths."""
    if isinstance(models, str | type) or not isinstance(models, Iterable):
        raise ScriptError(f"op.beanie() takes a list of documents, not {models!r}")
    found = tuple(models)
    for model in found:
        if not isinstance(model, str | type):
            raise ScriptError(f"op.beanie() takes classes, not {model!r}")
    if not found:
        raise ScriptError("op.beanie() needs at least one document")
    return found


def own(value: Any) -> Any:
    """Return a copy: what the script does to its value later is not recorded."""
    return copy.deepcopy(value)


def document(name: str, value: Any) -> Document:
    """Check a document, a filter or the like."""
    if not isinstance(value, Mapping):
        raise ScriptError(f"A {name} must be a dict, not {value!r}")
    copied: Document = own(value)
    return copied


def update_spec(update: Any) -> UpdateSpec:
    """Check an update: a document of operators, or a pipeline."""
    if isinstance(update, Mapping):
        if not update or not all(str(key).startswith("$") for key in update):
            raise ScriptError(
                f"An update must have operators such as $set, not {update!r}"
            )
        return document("update", update)
    if isinstance(update, str) or not isinstance(update, Sequence):
        raise ScriptError(f"An update must be a document or a pipeline, not {update!r}")
    for stage in update:
        if not isinstance(stage, Mapping) or len(stage) != 1:
            raise ScriptError(f"A pipeline stage must have one operator, not {stage!r}")
    return tuple(document("stage", stage) for stage in update)
