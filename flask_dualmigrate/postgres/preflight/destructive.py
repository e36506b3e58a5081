"""What an Alembic script removes permanently, read from its source.

Running the script to see it would run its Python twice.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ...alembic_scripts.narrowing import narrows
from ...alembic_scripts.source_calls import argument, body_of, text_of, texts_in
from ...alembic_scripts.sql_changes import changes_of_sql
from ...linter import loss_of
from ...tree.script_file import LoadedScript


@dataclass(frozen=True)
class Destructive:
    """A call that removes something.

    text: the call. table, schema, column: what it affects, as far as the source shows.
    drops: whether that is dropped, not only narrowed.
    """

    text: str
    table: str | None = None
    schema: str | None = None
    column: str | None = None
    drops: bool = True


def destructive_calls(script: LoadedScript, function: str) -> tuple[Destructive, ...]:
    """Return the calls in a script's function that drop or narrow what holds data.

    Calls are found by name, raw SQL by how its text begins; what a script computes, or
    hides in another module's helper, is not seen.
    """
    reader = _Reader(script.module)
    for statement in body_of(script, function):
        reader.visit(statement)
    return tuple(reader.found)


class _Reader(ast.NodeVisitor):
    """Reads calls, keeping track of the table of the batch around them."""

    def __init__(self, module: ModuleType) -> None:
        self.found: list[Destructive] = []
        self._module = module
        self._batches: dict[str, tuple[str | None, str | None]] = {}

    def visit_With(self, node: ast.With) -> None:
        before = dict(self._batches)
        for item in node.items:
            call, name = item.context_expr, item.optional_vars
            if _method(call) == "batch_alter_table" and isinstance(name, ast.Name):
                assert isinstance(call, ast.Call)
                table = argument(call, "table_name", 0)
                place = text_of(table), text_of(argument(call, "schema", 1))
                self._batches[name.id] = place
        self.generic_visit(node)
        self._batches = before

    def visit_Call(self, call: ast.Call) -> None:
        schema = text_of(argument(call, "schema"))
        match _method(call):
            case "drop_table":
                self._take(call, text_of(argument(call, "table_name", 0)), schema)
            case "drop_column":
                self._take(call, *self._column(call))
            case "alter_column" if self._narrows(call):
                self._take(call, *self._column(call), drops=False)
            case "execute":
                self._read_sql(call)
        self.generic_visit(call)

    def _take(
        self,
        call: ast.Call,
        table: str | None,
        schema: str | None,
        column: str | None = None,
        *,
        drops: bool = True,
    ) -> None:
        text = ast.unparse(call)
        self.found.append(Destructive(text, table, schema, column, drops))

    def _column(self, call: ast.Call) -> tuple[str | None, str | None, str | None]:
        """Return the table, the schema and the column of a call."""
        assert isinstance(call.func, ast.Attribute)
        batch = self._batches.get(getattr(call.func.value, "id", ""))
        if batch is not None:
            return *batch, text_of(argument(call, "column_name", 0))
        names = ("table_name", 0), ("schema", None), ("column_name", 1)
        table, schema, column = (text_of(argument(call, *each)) for each in names)
        return table, schema, column

    def _narrows(self, call: ast.Call) -> bool:
        old, new = argument(call, "existing_type"), argument(call, "type_")
        if old is None or new is None:
            return False
        return narrows(self._value(old), self._value(new))

    def _value(self, node: ast.expr) -> Any:
        """Return the type that a script's expression creates; None if it fails."""
        code = compile(ast.Expression(node), "<type>", "eval")
        try:
            return eval(code, dict(vars(self._module)))
        # A local name of the function: the type is not known then.
        except Exception:
            return None

    def _read_sql(self, call: ast.Call) -> None:
        """Collect each statement that lint considers destructive."""
        text = ast.unparse(call)
        texts = texts_in(*call.args)
        for change in (each for sql in texts for each in changes_of_sql(sql)):
            if loss_of(change) is None:
                continue
            schema, _, table = (change.table or "").rpartition(".")
            self.found.append(
                Destructive(
                    text,
                    table or None,
                    schema or None,
                    change.column,
                    drops=change.verb in ("drop_table", "drop_column"),
                )
            )


def _method(node: ast.expr) -> str | None:
    """Return the name of a called method."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr
    return None
