"""Collecting the indexes that Beanie's documents declare, as Beanie's init does.

Beanie is not imported: a document class has all the information, and is not
initialized.
Source: beanie 2.2, odm/utils/init.py (init_indexes, init_document) and odm/fields.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pymongo import IndexModel

from ...errors import ModelsError
from ...indexes import DeclaredIndex, DeclaredIndexes
from ...indexes.definition import plain

Models = dict[tuple[str, ...], IndexModel]
"""The fields of a key, sorted -> the index. In Beanie the last one of a set wins."""


def load_document(path: str, named_in: str) -> Any:
    """Import what a dotted path names. named_in: what took the path, for errors."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        # The module may raise anything: it is the app's.
        raise ModelsError(
            f"{named_in} cannot import {path!r}: {_in_one_line(error)}",
            hint="Fix the module, or name the class as package.module.Class.",
        ) from error


def _in_one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def of_documents(documents: Iterable[type[Any] | str]) -> DeclaredIndexes:
    """Return the indexes of Indexed() fields and of Settings.indexes.

    documents: classes, or their dotted paths.
    Raises ModelsError for anything but a Beanie document class, or for a wrong index.
    """
    found: dict[type[Any], tuple[DeclaredIndex, ...]] = {}
    for given in documents:
        document: Any = given
        if isinstance(given, str):
            document = load_document(given, "documents=")
        if not _is_document(document):
            raise ModelsError(
                f"documents= contains {given!r}, which is not a Beanie document class",
                hint="It takes subclasses of beanie.Document, or their dotted paths.",
            )
        for each in _documents_of(document):  # Beanie initializes the parents too
            found.setdefault(each, tuple(_of_document(each)))
    return DeclaredIndexes(tuple(index for each in found.values() for index in each))


def _of_document(document: type[Any]) -> Iterator[DeclaredIndex]:
    place = collection_of(document)
    models = _merged([*_of_fields(document)], [*_of_settings(document)])
    for model in models.values():
        spec = plain(model.document)
        key, name = tuple(dict(model.document["key"]).items()), spec.pop("name")
        del spec["key"]
        source = (f"Beanie ({document.__name__})",)
        yield DeclaredIndex(place, name, key, spec, source)


def collection_of(document: type[Any]) -> str:
    """Return the collection; a child of a root document is stored with its root."""
    for base in _documents_of(document):
        if getattr(_settings(base), "is_root", False):
            document = base
            break
    union = getattr(_settings(document), "union_doc", None)
    named = getattr(_settings(union or document), "name", None)
    return str(named or (union or document).__name__)


def _documents_of(document: type[Any]) -> list[type[Any]]:
    """Return the app's own document classes that a class inherits, oldest first."""
    return [base for base in reversed(document.mro()) if _is_document(base)]


def _is_document(given: Any) -> bool:
    """Return whether a class derives from beanie.Document but is not Beanie's own."""
    if not isinstance(given, type) or _is_of_beanie(given):
        return False
    return any(
        base.__name__ == "Document" and _is_of_beanie(base) for base in given.mro()
    )


def _is_of_beanie(given: type[Any]) -> bool:
    return given.__module__.split(".")[0] == "beanie"


def _settings(document: Any) -> Any:
    return getattr(document, "Settings", None)


def _of_fields(document: type[Any]) -> Iterator[IndexModel]:
    for name, field in document.model_fields.items():
        marks = [field.annotation, *field.metadata]
        for mark in marks:
            indexed = getattr(mark, "_indexed", None)
            if indexed is not None:
                way, options = indexed
                yield IndexModel([(field.alias or name, way)], **options)
                break


def _of_settings(document: type[Any]) -> Iterator[IndexModel]:
    own = _settings(document)
    if not getattr(own, "merge_indexes", False):
        yield from map(_model, getattr(own, "indexes", ()))
        return
    for base in _documents_of(document):
        yield from map(_model, getattr(_settings(base), "indexes", ()))


def _model(given: Any) -> IndexModel:
    if isinstance(given, IndexModel):
        return given
    wrapped = getattr(given, "index", None)  # Beanie's own IndexModelField
    if isinstance(wrapped, IndexModel):
        return wrapped
    try:
        return IndexModel(given)
    except (TypeError, ValueError) as error:
        raise ModelsError(
            f"Settings.indexes contains {given!r}, which is not a valid index: {error}"
        ) from error


def _merged(*groups: list[IndexModel]) -> Models:
    found: Models = {}
    for group in groups:
        by_fields = {_fields(model.document): model for model in group}
        found.update(by_fields)
    return found


def _fields(document: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(document["key"]))
