"""What happens to a field when its column is added, dropped or altered."""

from __future__ import annotations

from typing import Any

from ...ops import NOW, AddField, ConvertField, DropField, RenameField, Update
from ...ops.documents import UpdateSpec
from ..tables.casts import keeps_zone
from ..tables.defaults import TODAY, NoValue, client_value, server_value
from ..tables.evolve import column_of
from ..tables.state import ColumnState
from ..tables.types import DATETIME, STRING, Conversion, conversion
from .change import Change
from .context import Untranslatable
from .source import Comment, Statement

_MIDNIGHT = {"$dateTrunc": {"date": "$$NOW", "unit": "day"}}


def add_column(change: Change) -> list[Statement]:
    """Add the field, with the value that existing rows get."""
    column, context = change.op.column, change.context
    place = f"{change.new.name}.{column.name}"
    field = context.field(change.new, str(column.name))
    if field == "_id":
        raise Untranslatable(f"Column {place} is the _id, which cannot be changed")
    try:
        if column.server_default is not None:
            value = server_value(column.server_default, column.type, context.dialect)
        elif not column.nullable:
            value = client_value(column, context.dialect)
        else:
            return [AddField(change.collection, field)]
    except NoValue as error:
        if column.server_default is not None:
            raise Untranslatable(
                f"Column {place}: its default cannot be given here, because {error}. "
                f"Add the field {field} to {change.collection}."
            ) from error
        note = Comment(f"{place} must not be null, and has no default.")
        return [note, AddField(change.collection, field)]
    if value is TODAY:
        return [AddField(change.collection, field, using=_MIDNIGHT)]
    return [AddField(change.collection, field, default=value)]


def drop_column(change: Change) -> list[Statement]:
    name = str(change.op.column_name)
    field = change.context.field(change.old, name)
    if field == "_id":
        raise Untranslatable(
            f"Column {change.old.name}.{name} is the _id, which cannot be removed"
        )
    return [DropField(change.collection, field)]


def alter_column(change: Change) -> list[Statement]:
    op = change.op
    old = column_of(change.old, op)
    new = change.new.columns[str(op.modify_name or op.column_name)]
    place = f"{change.new.name}.{new.name}"
    found: list[Statement] = []
    if op.modify_name is not None and op.modify_name != op.column_name:
        found += _rename(change)
    if op.modify_type is not None:
        found += _change_type(change, old, new)
    if op.modify_server_default is not False:
        found.append(_change_default(new, place))
    if op.modify_nullable is not None:
        found += _change_nullable(change, new, place)
    if op.modify_comment is not False:
        found.append(Comment(f"Comment of {place}: MongoDB has none."))
    return found


def _rename(change: Change) -> list[Statement]:
    old_name, new_name = str(change.op.column_name), str(change.op.modify_name)
    before = change.context.field(change.old, old_name)
    after = change.context.field(change.new, new_name)
    place = f"{change.old.name}.{old_name}"
    if before == after:
        return [Comment(f"{place} stays field {before}.")]
    if "_id" in (before, after):
        raise Untranslatable(
            f"Column {place} becomes {new_name}: the _id of a document cannot be "
            "renamed"
        )
    return [RenameField(change.collection, before, after)]


def _change_type(change: Change, old: ColumnState, new: ColumnState) -> list[Statement]:
    context = change.context
    place = f"{change.new.name}.{new.name}"
    words = f"{_type_words(change, old)} becomes {_type_words(change, new)}"
    before, after = context.bson_of(old.type_), context.bson_of(new.type_)
    field = context.field(change.new, new.name)
    how = conversion(before, after, field)
    if (before, after) == (DATETIME, STRING):
        has_zone = keeps_zone(old.type_, context.dialect)
        how = Conversion("string", _iso_text(field, has_zone=bool(has_zone)))
    if how is None:
        raise Untranslatable(
            f"Column {place}: {words}, which MongoDB cannot convert. Write it with "
            f"op.transform({change.collection!r}, …)."
        )
    if how.to is None:
        return [Comment(f"{place}: {words}; in MongoDB both are {after.word}.")]
    if field == "_id":
        raise Untranslatable(f"Column {place}: {words}, and the _id cannot be changed")
    if how.to == before.to:
        # convert_field leaves values alone that already have the type.
        only: dict[str, Any] = {field: {"$type": how.to}}
        pipeline = ({"$set": {field: how.using}},)
        return [Update(change.collection, only, pipeline, keep=True)]
    return [ConvertField(change.collection, field, to=how.to, using=how.using)]


def _iso_text(field: str, *, has_zone: bool) -> Any:
    """Return a date as the same text as in PostgreSQL: 2026-05-06T07:08:09.5."""
    text: Any = {
        "$dateToString": {"date": f"${field}", "format": "%Y-%m-%dT%H:%M:%S.%L"}
    }
    for chars in ("0", "."):
        text = {"$rtrim": {"input": text, "chars": chars}}
    return {"$concat": [text, "Z"]} if has_zone else text


def _type_words(change: Change, column: ColumnState) -> str:
    return str(column.type_.compile(dialect=change.context.dialect))


def _change_default(column: ColumnState, place: str) -> Comment:
    if column.server_default is None:
        words = "no longer has a server default"
    else:
        words = "has a different server default"
    return Comment(f"{place} {words}: MongoDB has none, and documents keep theirs.")


def _change_nullable(
    change: Change, column: ColumnState, place: str
) -> list[Statement]:
    """Give documents without a value the column's default, as for the rows."""
    has_rule = change.context.validators != "off"
    if column.nullable:
        text = f"{place} can be null now: MongoDB has no such rule."
        return [] if has_rule else [Comment(text)]
    try:
        value = _default_of(change, column)
    except NoValue:
        text = f"{place} can no longer be null: MongoDB has no such rule."
        return [] if has_rule else [Comment(text)]
    if value is None:
        return []
    field = change.context.field(change.new, column.name)
    return [
        Comment(f"{place} can no longer be null."),
        Update(change.collection, {field: None}, _set(field, value), keep=True),
    ]


def _default_of(change: Change, column: ColumnState) -> Any:
    op, context = change.op, change.context
    if column.server_default is not None:
        return server_value(column.server_default, column.type_, context.dialect)
    model = context.models.column(op.schema, op.table_name, column.name)
    if model is None:
        raise NoValue("it has no model")
    return client_value(model, context.dialect)


def _set(field: str, value: Any) -> UpdateSpec:
    if value is NOW or value is TODAY:
        now = "$$NOW" if value is NOW else _MIDNIGHT
        return ({"$set": {field: now}},)
    return {"$set": {field: value}}
