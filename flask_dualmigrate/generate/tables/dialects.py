"""What the generator compares and writes differently for each dialect."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlalchemy.engine import Dialect


@dataclasses.dataclass(frozen=True)
class Comparing:
    """How one dialect is compared; the defaults are Alembic's own comparison.

    by_catalog: also compare what only PostgreSQL's catalog shows, which Alembic does
    not read: types, defaults, domains, definitions of indexes, constraints and enums,
    sequences.
    in_batches: a table is altered by recreating it.
    compares_defaults: the database keeps a server default as it was declared.
    expressions_by_text: read indexes on expressions from their statements, because
    SQLAlchemy does not reflect them.
    """

    by_catalog: bool = False
    in_batches: bool = False
    compares_defaults: bool = True
    expressions_by_text: bool = False


_KNOWN: Mapping[str, Comparing] = {
    "postgresql": Comparing(by_catalog=True),
    "sqlite": Comparing(
        in_batches=True, compares_defaults=False, expressions_by_text=True
    ),
}


def comparing(dialect: Dialect) -> Comparing:
    """Return how a dialect is compared."""
    return _KNOWN.get(dialect.name, Comparing())
