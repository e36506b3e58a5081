"""Render the header of a revision's two scripts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ...errors import UsageError
from ...tree.pair import Header
from .printer import WIDTH, print_expression, quote, width_of, wrap


def assemble(
    header: Header, imports: list[str], functions: Sequence[Sequence[str]]
) -> str:
    """Return a script's source, assembled from its parts; imports must be sorted."""
    parts = [render_header(header, imports=imports)]
    parts += ["\n".join(lines) + "\n" for lines in functions]
    return "\n\n".join(parts)


def clean_message(message: str) -> str:
    """Return a message on one line: line breaks and runs of spaces become one space.

    Raises UsageError for control characters, NUL, and what UTF-8 cannot encode.
    """
    folded = " ".join(message.split())
    for char in folded:
        if unicodedata.category(char) in ("Cc", "Cs"):
            # What Python cannot decode as UTF-8 becomes surrogates: all, in LC_ALL=C.
            locale = unicodedata.category(char) == "Cs"
            raise UsageError(
                f"The message has the control character {char!r}",
                hint="Remove it"
                + (", or set LC_ALL=C.UTF-8 if it is a letter." if locale else "."),
            )
    return folded


def render_header(header: Header, *, imports: list[str]) -> str:
    """Return the docstring, the imports and the ids, up to the first function."""
    lines = _docstring(header)
    if imports:
        lines += ["", *imports]
    lines.append("")
    for name, value in (
        ("revision", quote(header.revision)),
        ("down_revision", _ids(header.down_revision, plain=True)),
        ("branch_labels", _ids(header.branch_labels)),
        ("depends_on", _ids(header.depends_on)),
    ):
        lines += print_expression(value, head=f"{name} = ")
    return "\n".join(lines) + "\n"


def _docstring(header: Header) -> list[str]:
    lines = [
        f'"""{_message_literal(clean_message(header.message))}',
        "",
        f"Revision ID: {header.revision}",
        *wrap(f"Revises: {', '.join(header.down_revision)}", WIDTH),
        f"Create Date: {header.created_at.isoformat(sep=' ', timespec='seconds')}",
    ]
    if header.depends_on:
        lines += wrap(f"Depends On: {', '.join(header.depends_on)}", WIDTH)
    return [*lines, '"""']


def _message_literal(message: str) -> str:
    """Return a message as written in a docstring: one line to Python.

    Every quote and backslash is escaped, so that no message ends the docstring. If it
    is too long, it continues after a backslash and a newline, which Python omits.
    """
    if width_of(_escape(message)) + len('"""') <= WIDTH:
        return _escape(message)
    width = WIDTH - len('"""') - len(" \\")
    return " \\\n".join(wrap(_escape(message), width))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _ids(ids: tuple[str, ...], *, plain: bool = False) -> str:
    """Return ids as a tuple literal; None if there are none.

    plain: write a single id without a tuple.
    """
    if not ids:
        return "None"
    if plain and len(ids) == 1:
        return quote(ids[0])
    return repr(ids)
