"""The steps that an Alembic script's upgrade() and downgrade() consist of."""

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
    """One operation; keywords: more arguments, which Alembic does not render."""

    op: ops.MigrateOperation
    keywords: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OnTable:
    """The operations on one table, which may be rendered as a batch."""

    op: ops.ModifyTableOps
    steps: tuple[Call | Note, ...]


@dataclass(frozen=True)
class Outside:
    """Operations that must run outside the revision's transaction."""

    steps: tuple[Call, ...]


Step = Note | Call | OnTable | Outside


@dataclass(frozen=True)
class Scope:
    """What a repair depends on.

    found: the tables as they are before the operations; left: after them; database: as
    they are now; dropped: the names of the indexes that the operations drop.
    """

    dialect: Dialect
    found: Tables
    left: Tables
    database: Tables
    dropped: frozenset[str] = frozenset()

    def quote(self, *names: str | None) -> str:
        """Return a name as written in SQL, prefixed with its schema if it has one."""
        quote = self.dialect.identifier_preparer.quote
        return ".".join(quote(name) for name in names if name)


def plain_steps(operations: Sequence[ops.MigrateOperation]) -> list[Step]:
    """Return operations as steps, unchanged."""
    return [
        OnTable(op, tuple(Call(inner) for inner in op.ops))
        if isinstance(op, ops.ModifyTableOps)
        else Call(op)
        for op in operations
    ]


def execute(statement: str) -> Call:
    """Return a step that runs SQL, with colons escaped that would be parameters."""
    return Call(ops.ExecuteSQLOp(escape_colons(statement)))
