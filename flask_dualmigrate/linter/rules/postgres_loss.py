"""Rules about permanent losses by an Alembic script, and what breaks the app."""

from __future__ import annotations

from collections.abc import Iterator

from ...alembic_scripts.change import Change
from ...alembic_scripts.narrowing import loss
from ..advice import paste
from ..advice.finding import Advice, Advices, Severity, rule
from ..advice.paste import text
from ..views.postgres import PostgresView

_LOSS = Severity.DESTRUCTIVE


def loss_of(change: Change) -> str | None:
    """Return the code of the rule about the permanent loss that a change causes."""
    match change.verb:
        case "drop_column":
            return "DM111"
        case "drop_table" | "drop_schema":
            return "DM112"
        case "delete" | "truncate":
            return "DM113" if change.table == "pg_enum" else "DM114"
        case "alter_type" if change.labels_lost:
            return "DM113"
        case "alter_type" if _narrowing(change):
            return "DM115"
    return None


def _narrowing(change: Change) -> str | None:
    """Return in words what values lose; None: nothing, as far as is known."""
    if change.old_type is None or change.type_ is None or change.fits:
        return None
    return loss(change.old_type, change.type_, using=change.using)


def _lost(view: PostgresView, code: str) -> Iterator[Change]:
    for change in view.changes:
        if loss_of(change) == code and change.existing:
            yield change


@rule("DM110", "rename of a column or table")
def rename(view: PostgresView) -> Advices:
    """The running version of the app knows only the old name."""
    for change in view.of("rename_column", "rename_table"):
        danger = (
            f"From then on, every query of the running app for {change.place} fails "
            "until its new version is deployed everywhere; before that, the new "
            "version fails."
        )
        if change.verb == "rename_column":
            instead = (
                "# In the model; the column keeps its name, and no migration is needed:"
                f"\n{change.name} = db.Column({text(change.column or '')})"
            )
        else:
            instead = (
                "# In the model; the table keeps its name, and no migration is needed:"
                f"\n__tablename__ = {text(change.table or '')}"
            )
        yield Advice(danger, instead, change.line)


@rule("DM111", "drop of a column", severity=_LOSS)
def drop_column(view: PostgresView) -> Advices:
    """Its values are lost, and the running app still uses it."""
    for change in _lost(view, "DM111"):
        table, schema = paste.table_arguments(change.table)
        yield Advice(
            f"The values of {change.place} are lost for good, and every query "
            "of the running app, whose model still has the column, fails.",
            f"# First remove {change.column} from the model, and deploy that. Then:\n"
            f"op.drop_column({table}, {text(change.column or '')}{schema})"
            "  # dualmigrate: allow DM111 no code uses it any more",
            change.line,
        )


@rule("DM112", "drop of a table or schema", severity=_LOSS)
def drop_table(view: PostgresView) -> Advices:
    """Its rows are lost, and the running app still uses them."""
    for change in _lost(view, "DM112"):
        if change.verb == "drop_table":
            table, schema = paste.table_arguments(change.table)
            statement = f"op.drop_table({table}{schema})"
            what = f"The rows of {change.table} are"
        else:
            statement = paste.execute(change.sql or "")
            what = f"Everything in {change.name} is"
        yield Advice(
            f"{what} lost for good, and an app that still uses it fails.",
            "# First remove it from the app, and deploy that. Then:\n"
            f"{statement}  # dualmigrate: allow DM112 no code uses it any more",
            change.line,
        )


@rule("DM113", "drop of an enum value", severity=_LOSS, only_postgres=True)
def drop_enum_value(view: PostgresView) -> Advices:
    """PostgreSQL has no command for it, and rows with the value are in the way."""
    renamed = {
        each.name: each.column for each in view.changes if each.verb == "rename_type"
    }
    for change in view.changes:
        is_loss = loss_of(change) == "DM113" and change.existing
        if not is_loss and not (change.verb == "drop_type" and change.name in renamed):
            continue
        labels = ", ".join(change.labels_lost)
        what = (
            f"The values {labels} are removed" if labels else "A value may be removed"
        )
        yield Advice(
            f"{what} from an enum type: this fails if a row has such a "
            "value, or changes that row, and the running app still writes such values.",
            "# First stop the app from writing it, and deploy that; change "
            "the rows that\n# have it; then drop it, with the comment:\n"
            "# dualmigrate: allow DM113 no row has it any more",
            change.line,
        )


@rule("DM114", "rows deleted", severity=_LOSS)
def delete_rows(view: PostgresView) -> Advices:
    """They are lost for good: a downgrade does not restore them."""
    for change in _lost(view, "DM114"):
        statement = change.sql or f"DELETE FROM {change.table}"
        yield Advice(
            f"Rows of {change.table} are lost for good: no downgrade brings them back.",
            "# dualmigrate: allow DM114 what these rows were, and why no one needs "
            "them\n"
            f"{paste.execute(statement)}",
            change.line,
        )


@rule("DM115", "type change that loses values", severity=_LOSS)
def type_narrows(view: PostgresView) -> Advices:
    """Values are rounded or cut without an error."""
    for change in _lost(view, "DM115"):
        what = _narrowing(change)
        type_ = change.type_code or "sa.Numeric()"
        table, schema = paste.table_arguments(change.table)
        added = f"{change.column}_new"
        yield Advice(
            f"{change.place} from {change.old_type} to {change.type_}: {what}.",
            "# Keep the old column until you are sure that no one needs its values:\n"
            f"op.add_column({table}, sa.Column({text(added)}, {type_}){schema})",
            change.line,
        )
