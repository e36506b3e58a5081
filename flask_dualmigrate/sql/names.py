"""Names as PostgreSQL reads them, and as SQL writes them."""

from __future__ import annotations

import re

from .tokens import identifier, quote, tokens
from .words import Name


def name_of(text: str) -> str:
    """Return a name without quotes; lower case if unquoted, without a public schema."""
    names = [name for token in tokens(text) if (name := identifier(token))]
    return ".".join(names[1:] if len(names) > 1 and names[0] == "public" else names)


def full_name(name: Name) -> str:
    """Return a name prefixed with its schema, unless that is public."""
    schema, own = name
    return own if schema in (None, "public") else f"{schema}.{own}"


def quote_full(name: Name) -> str:
    """Return a name with its schema, each in quotes, whatever they contain."""
    return ".".join(quote(part) for part in name if part is not None)


_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def quoted(name: str) -> str:
    """Return a name as SQL writes it, with dots between its parts."""
    return ".".join(
        part if _PLAIN.fullmatch(part) and part not in _RESERVED else quote(part)
        for part in name.split(".")
    )


_RESERVED = frozenset(
    """
    all and any array as asc both case cast check column constraint create default desc
    distinct do else end except false for foreign from grant group having in into
    leading limit not null offset on only or order primary references returning select
    some table then to trailing true union unique user using when where window with
    """.split()  # noqa: SIM905
)
