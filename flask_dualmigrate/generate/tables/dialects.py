"""What the generator compares and writes otherwise, by dialect."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sqlalchemy.engine import Dialect


@dataclasses.dataclass(frozen=True)
class Comparing:
    """How one dialect is compared; the defaults are Alembic's own comparison.

    by_catalog: by what PostgreSQL's catalog says, which Alembic does not read: types,
    defaults, domains, definitions of indexes, constraints and enums, sequences.
    in_batches: a table is altered by recreating it.
    compares_defaults: a server default is worded there as it was declared.
    expressions_by_text: indexes on expressions are read from their statements, as
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
