"""Write the source of the Alembic script."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from alembic.autogenerate import render_op_text
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type as repr_type
from alembic.operations import ops
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM
from sqlalchemy.types import ARRAY

from ...sql.tokens import escape_colons
from ...tree.pair import Header
from ..source.header import assemble
from ..source.imports import import_lines
from ..source.printer import INDENT, print_block, print_comment
from ..tables.enums import enums_of
from ..tables.types import plain_type
from .sqlite_indexes import is_on_an_expression
from .steps import Call, Note, OnTable, Outside, Step

_MODULES: Mapping[str, str] = {
    "sqlalchemy_module_prefix": "import sqlalchemy",
    "alembic_module_prefix": "from alembic import op",
}

RenderItem = Callable[[str, Any, AutogenContext], str | bool]


def render_alembic(
    header: Header,
    upgrade: Sequence[Step],
    downgrade: Sequence[Step],
    autogen: AutogenContext,
    *,
    imports: Sequence[str] = (),
) -> str:
    """Return the source of an Alembic script.

    imports: lines that the app's hooks asked for.
    """
    bodies = [_body(steps, autogen) for steps in (upgrade, downgrade)]
    functions = [
        [f"def {name}() -> None:", *lines]
        for name, lines in zip(("upgrade", "downgrade"), bodies, strict=True)
    ]
    source = "\n".join(line for lines in functions for line in lines)
    wanted = [*_prefixes(autogen), *imports, *sorted(autogen.imports)]
    return assemble(header, import_lines(source, wanted), functions)


def _prefixes(autogen: AutogenContext) -> Iterator[str]:
    """Yield the imports of the two modules, under the names in Alembic's options."""
    for option, line in _MODULES.items():
        name = str(autogen.opts.get(option) or "").removesuffix(".")
        if name.isidentifier():
            yield line if line.endswith(f" {name}") else f"{line} as {name}"


def _body(steps: Sequence[Step], autogen: AutogenContext) -> list[str]:
    lines = _steps(steps, autogen, indent=INDENT)
    only_comments = all(line.lstrip().startswith("#") for line in lines)
    return [*lines, " " * INDENT + "pass"] if only_comments else lines


def _steps(steps: Sequence[Step], autogen: AutogenContext, *, indent: int) -> list[str]:
    lines: list[str] = []
    for step in steps:
        if isinstance(step, Note):
            lines += print_comment(step.text, indent=indent)
        elif isinstance(step, Call):
            source = _with_keywords(render_op_text(autogen, step.op), step.keywords)
            lines += print_source(source, indent=indent)
        elif isinstance(step, Outside):
            prefix = autogen.opts.get("alembic_module_prefix", "op.")
            lines.append(
                f"{' ' * indent}with {prefix}get_context().autocommit_block():"
            )
            lines += _steps(step.steps, autogen, indent=indent + INDENT)
        elif autogen.opts.get("render_as_batch"):
            drops, inside, creates = _expressions_aside(step)
            lines += _steps(drops, autogen, indent=indent)
            lines += _batch(inside, autogen, indent=indent)
            lines += _steps(creates, autogen, indent=indent)
        else:
            lines += _steps(step.steps, autogen, indent=indent)
    return lines


def _expressions_aside(step: OnTable) -> tuple[list[Step], OnTable, list[Step]]:
    """Return indexes on expressions to drop, the other operations, and those to create.

    A batch recreates the table from what can be reflected; these indexes cannot be.
    """
    aside = [
        inner
        for inner in step.steps
        if isinstance(inner, Call) and is_on_an_expression(inner.op)
    ]
    rest = tuple(inner for inner in step.steps if inner not in aside)
    drops = [call for call in aside if isinstance(call.op, ops.DropIndexOp)]
    creates = [call for call in aside if call not in drops]
    return [*drops], OnTable(step.op, rest), [*creates]


def _batch(step: OnTable, autogen: AutogenContext, *, indent: int) -> list[str]:
    """Return `with op.batch_alter_table(…) as batch_op:` and its body."""
    lines: list[str] = []
    head = ""
    for inner in step.steps:
        if isinstance(inner, Note):
            lines += print_comment(inner.text, indent=indent + INDENT)
            continue
        alone = ops.ModifyTableOps(
            step.op.table_name, [inner.op], schema=step.op.schema
        )
        head, _, body = render_op_text(autogen, alone).partition("\n")
        source = _with_keywords(body.rstrip(), inner.keywords)
        lines += print_source(source, indent=indent + INDENT)
    if not head:
        return []
    return [*print_source(f"{head} pass", indent=indent)[:-1], *lines]


def _with_keywords(source: str, keywords: Mapping[str, str]) -> str:
    """Return the source of a call with more keyword arguments, all of them strings."""
    if not keywords:
        return source
    more = ", ".join(f"{name}={value!r}" for name, value in keywords.items())
    return f"{source.rstrip().removesuffix(')')}, {more})"


def enum_renderer(autogen: AutogenContext) -> RenderItem:
    """Return a render_item hook that renders enum types by name, leaving it to the
    script to create them; the app's own hook comes first."""
    users: RenderItem | None = autogen.opts.get("render_item")

    def render_item(kind: str, item: Any, context: AutogenContext) -> str | bool:
        rendered = users(kind, item, context) if users is not None else False
        if rendered is not False or kind != "type" or is_array(item, context):
            return rendered
        plain = plain_type(item, context.dialect)
        if isinstance(plain, DOMAIN):
            context.imports.add("from sqlalchemy.dialects import postgresql")
            return _domain_source(plain, context)
        for enum in enums_of(item, context.dialect):
            context.imports.add("from sqlalchemy.dialects import postgresql")
            return _enum_source(enum)
        return False

    return render_item


def _domain_source(domain: DOMAIN, context: AutogenContext) -> str:
    """Name the domain and its type; everything else is in CREATE DOMAIN."""
    parts = [repr(str(domain.name)), repr_type(domain.data_type, context)]
    if domain.schema is not None:
        parts.append(f"schema={domain.schema!r}")
    return f"postgresql.DOMAIN({', '.join(parts)}, create_type=False)"


def _enum_source(enum: ENUM) -> str:
    named = {"name": enum.name, "schema": enum.schema, "create_type": False}
    parts = [repr(label) for label in enum.enums]
    parts += [f"{key}={value!r}" for key, value in named.items() if value is not None]
    return f"postgresql.ENUM({', '.join(parts)})"


def is_array(item: Any, context: AutogenContext) -> bool:
    """Return True for an array: its item type is rendered separately."""
    return isinstance(plain_type(item, context.dialect), ARRAY)


def print_source(source: str, *, indent: int) -> list[str]:
    """Return the lines of statements given as source; comments before them are kept."""
    lines: list[str] = []
    for line in source.splitlines():
        if not line.lstrip().startswith("#"):
            break
        lines.append(" " * indent + line.strip())
    tree = _ColonEscaper().visit(ast.parse(source))
    return lines + print_block(tree.body, indent=indent)


class _ColonEscaper(ast.NodeTransformer):
    """Escapes colons in SQL that would become parameters when the script runs.

    Alembic renders the SQL as the database should receive it.
    """

    _SQL_FIRST = ("text", "CheckConstraint", "Computed")
    _SQL_LAST = ("create_check_constraint",)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        name = getattr(node.func, "attr", "")
        at = {**dict.fromkeys(self._SQL_FIRST, 0), **dict.fromkeys(self._SQL_LAST, -1)}
        if name in at and node.args:
            _escape(node.args[at[name]])
        for keyword in node.keywords:
            if keyword.arg == "postgresql_where":
                _escape(keyword.value)
        return node


def _escape(node: ast.expr) -> None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node.value = escape_colons(node.value)
