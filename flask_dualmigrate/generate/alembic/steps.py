"""What upgrade() and downgrade() of an Alembic script consist of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alembic.operations import ops
from sqlalchemy.engine import Dialect

from ...sql.tokens import escape_colons
from ..tables.lookup import Tables


@dataclass(frozen=True)
class Note:
    """A comment among the operations."""

    text: str


@dataclass(frozen=True)
class Call:
    """One operation; keywords: further arguments that Alembic does not render."""

    op: ops.MigrateOperation
    keywords: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OnTable:
    """The operations on one table, which may be rendered as a batch."""

    op: ops.ModifyTableOps
    steps: tuple[Call | Note, ...]


@dataclass(frozen=True)
class Outside:
    """Operations that are to run outside of the revision's transaction."""

    steps: tuple[Call, ...]


Step = Note | Call | OnTable | Outside


@dataclass(frozen=True)
class Scope:
    """What a repair goes by.

    found: the tables as the operations find them; left: as they leave them; database:
    as they are now; dropped: the names of the indexes that the operations drop.
    """

    dialect: Dialect
    found: Tables
    left: Tables
    database: Tables
    dropped: frozenset[str] = frozenset()

    def quote(self, *names: str | None) -> str:
        """Return a name as it stands in SQL, its schema before it if there is one."""
        quote = self.dialect.identifier_preparer.quote
        return ".".join(quote(name) for name in names if name)


def plain_steps(operations: Sequence[ops.MigrateOperation]) -> list[Step]:
    """Return operations as they are."""
    return [
        OnTable(op, tuple(Call(inner) for inner in op.ops))
        if isinstance(op, ops.ModifyTableOps)
        else Call(op)
        for op in operations
    ]


def execute(statement: str) -> Call:
    """Return a step that runs SQL; a colon before a word would be a parameter."""
    return Call(ops.ExecuteSQLOp(escape_colons(statement)))
