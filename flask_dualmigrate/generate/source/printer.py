"""Print Python expressions and statements as `ruff format` would.

This formats scripts without a formatter at run time. Only what migration scripts
contain is laid out: calls, attributes, literals, assignments, `with` blocks; anything
else is printed on one line by `ast.unparse`.
"""

from __future__ import annotations

import ast
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import AnyStr

WIDTH = 88
INDENT = 4


def print_statement(node: ast.stmt, *, indent: int = 0) -> list[str]:
    """Return the lines of a statement, each with its indentation."""
    pad = " " * indent
    match node:
        case ast.Expr(value):
            return _lines(pad + _statement("", value, indent))
        case ast.Assign(targets=[ast.Name(name)], value=value):
            return _lines(pad + _statement(f"{name} = ", value, indent))
        case ast.With(items=[item], body=body):
            head = pad + "with " + _with_item(item, indent) + ":"
            return _lines(head) + print_block(body, indent=indent + INDENT)
    return _lines(textwrap.indent(ast.unparse(node), pad))


def print_block(body: Sequence[ast.stmt], *, indent: int) -> list[str]:
    """Return the lines of several statements, one after another."""
    return [line for node in body for line in print_statement(node, indent=indent)]


def print_expression(source: str, *, indent: int = 0, head: str = "") -> list[str]:
    """Return the lines of an expression given as source.

    head: what comes before it on its first line, such as `name = `.
    """
    node = ast.parse(source, mode="eval").body
    return _lines(" " * indent + _statement(head, node, indent))


def print_comment(text: str, *, indent: int = 0) -> list[str]:
    """Return the lines of a comment, wrapped at the line width."""
    pad = " " * indent
    return [f"{pad}# {line}" for line in wrap(text, WIDTH - indent - 2)]


def wrap(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` columns, longer words on their own."""
    lines: list[str] = []
    for word in text.split():
        if lines and width_of(lines[-1]) + 1 + width_of(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def width_of(text: str) -> int:
    """Return how many columns a text takes; wide characters take two."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _lines(text: str) -> list[str]:
    return text.split("\n")


def _statement(head: str, value: ast.expr, indent: int) -> str:
    first = indent + width_of(head)
    if _fits(_flat(value), first, 0) or not (_is_text(value) or _is_fluent(value)):
        return head + _layout(value, indent, first, 0)
    inner = indent + INDENT
    pad = " " * inner
    return f"{head}(\n{pad}{_layout(value, inner, inner, 0)}\n{' ' * indent})"


def _with_item(item: ast.withitem, indent: int) -> str:
    target = f" as {_flat(item.optional_vars)}" if item.optional_vars else ""
    first, last = indent + len("with "), width_of(target) + 1
    return _layout(item.context_expr, indent, first, last) + target


def _fits(text: str, first: int, last: int) -> bool:
    return first + width_of(text) + last <= WIDTH


def _layout(node: ast.expr, indent: int, first: int, last: int) -> str:
    """Return the source of an expression, split over several lines if it has to be.

    indent: columns before the line that closes a bracket; first: columns already used
    on its first line; last: columns that follow on its last line.
    """
    flat = _flat(node)
    if _fits(flat, first, last):
        return flat
    match node:
        case ast.Call() if _is_fluent(node):
            return _chain(node, indent, first, last)
        case ast.Call():
            return _call(node, indent, first, last)
        case ast.Attribute(value, attr):
            return _layout(value, indent, first, last + len(attr) + 1) + f".{attr}"
        case ast.List(elts) if elts:
            return _bracket("[", elts, "]", indent)
        case ast.Set(elts):
            return _bracket("{", elts, "}", indent)
        case ast.Tuple(elts) if elts:
            return _bracket("(", elts, ")", indent, always_comma=len(elts) == 1)
        case ast.Dict(keys, values) if keys:
            return _bracket("{", list(zip(keys, values, strict=True)), "}", indent)
        case ast.Starred(value):
            return "*" + _layout(value, indent, first + 1, last)
        case ast.Constant(str() as text):
            return _split_text(text, indent, first, last)
        case ast.Constant(bytes() as data):
            return _split_text(data, indent, first, last)
    return flat


def _call(node: ast.Call, indent: int, first: int, last: int) -> str:
    """Return a call that does not fit on a line, splitting its last bracket first."""
    items: list[Item] = [*node.args, *node.keywords]
    flat = f"({_comma(items)})"
    head = _layout(node.func, indent, first, 1)
    *above, end = head.split("\n")
    start = width_of(end) + (0 if above else first)
    if not items or (above and _fits(flat, start, last)):
        return head + flat
    return head + _bracket("(", items, ")", indent, join=True)


Item = ast.expr | ast.keyword | tuple[ast.expr | None, ast.expr]


def _bracket(
    opening: str,
    items: Sequence[Item],
    closing: str,
    indent: int,
    *,
    join: bool = False,
    always_comma: bool = False,
) -> str:
    """Return a bracket with its items on their own lines.

    join: put them all on one line if they fit, as for a call's arguments.
    """
    inner = indent + INDENT
    pad, end = " " * inner, "\n" + " " * indent + closing
    joined = ", ".join(map(_flat_item, items))
    if join and _fits(joined, inner, 0):
        return f"{opening}\n{pad}{joined}{end}"
    comma = "," if len(items) > 1 or always_comma else ""
    lines = [pad + _layout_item(item, inner, len(comma)) + comma for item in items]
    return f"{opening}\n" + "\n".join(lines) + end


def _layout_item(item: Item, indent: int, last: int) -> str:
    head, value = _item_parts(item)
    return head + _layout(value, indent, indent + width_of(head), last)


def _flat_item(item: Item) -> str:
    head, value = _item_parts(item)
    return head + _flat(value)


def _item_parts(item: Item) -> tuple[str, ast.expr]:
    match item:
        case ast.keyword(None, value) | (None, value):
            return "**", value
        case ast.keyword(str() as name, value):
            return f"{name}=", value
        case (ast.expr() as key, value):
            return f"{_flat(key)}: ", value
        case ast.expr():
            return "", item
    raise TypeError(item)


def _flat(node: ast.expr) -> str:
    """Return the source of an expression on one line, in ruff's quotes."""
    match node:
        case ast.Constant(str() | bytes() as text):
            return quote(text)
        case ast.Call(func, args, keywords):
            return f"{_flat(func)}({_comma([*args, *keywords])})"
        case ast.Attribute(value, attr) if not isinstance(value, ast.Constant):
            return f"{_flat(value)}.{attr}"
        case ast.List(elts):
            return f"[{_comma(elts)}]"
        case ast.Set(elts):
            return f"{{{_comma(elts)}}}"
        case ast.Tuple([only]):
            return f"({_flat(only)},)"
        case ast.Tuple(elts):
            return f"({_comma(elts)})"
        case ast.Dict(keys, values):
            return f"{{{_comma(zip(keys, values, strict=True))}}}"
        case ast.Starred(value):
            return "*" + _flat(value)
    return ast.unparse(node)


def _comma(items: Iterable[Item]) -> str:
    return ", ".join(map(_flat_item, items))


def quote(text: str | bytes) -> str:
    """Return a literal in double quotes, unless single ones need fewer escapes."""
    source = repr(text)
    prefix, body = ("b", source[1:]) if isinstance(text, bytes) else ("", source)
    raw = text.decode("latin-1") if isinstance(text, bytes) else text
    single = raw.count('"') > raw.count("'")
    mark = "'" if single else '"'
    inner = body[1:-1]
    if body[0] == "'":
        inner = inner.replace("\\'", "'")
    return f"{prefix}{mark}{_escape(inner, mark)}{mark}"


def _escape(inner: str, mark: str) -> str:
    return inner.replace(mark, "\\" + mark)


def _split_text(text: AnyStr, indent: int, first: int, last: int) -> str:
    """Return a long text as literals on their own lines, split after spaces."""
    empty = text[:0]
    parts: list[AnyStr] = []
    line, room = empty, WIDTH - first - last
    for piece in _pieces(text, WIDTH - indent - last):
        if line and width_of(quote(line + piece)) > room:
            parts.append(line)
            line, room = empty, WIDTH - indent - last
        line += piece
    parts.append(line)
    return ("\n" + " " * indent).join(map(quote, parts))


def _pieces(text: AnyStr, room: int) -> list[AnyStr]:
    """Return a text's words with trailing spaces; split too long ones by character."""
    if isinstance(text, bytes):
        return [text[at : at + 1] for at in range(len(text))]
    found: list[AnyStr] = []
    for word in re.findall(r"\S+ *|\s", text):
        found += [word] if width_of(quote(word)) <= room else list(word)
    return found


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _is_fluent(node: ast.expr) -> bool:
    """Return True if two or more attributes follow a call: `a().b().c()`."""
    count = 0
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Attribute):
            count += isinstance(node.value, ast.Call)
            node = node.value
        else:
            node = node.func
    return count > 1


def _chain(node: ast.Call, indent: int, first: int, last: int) -> str:
    """Return a chain of calls, each on a line that starts with its dot."""
    if not isinstance(node.func, ast.Attribute):
        return _layout(node.func, indent, first, last)
    value, attr = node.func.value, node.func.attr
    if isinstance(value, ast.Call):
        head = _chain(value, indent, first, 0) + "\n" + " " * indent
    else:
        head = _layout(value, indent, first, 0)
    start = indent if isinstance(value, ast.Call) else first + width_of(_flat(value))
    dotted = f".{attr}"
    items: list[Item] = [*node.args, *node.keywords]
    if _fits(f"{dotted}({_comma(items)})", start, last):
        return f"{head}{dotted}({_comma(items)})"
    return head + dotted + _bracket("(", items, ")", indent, join=True)
