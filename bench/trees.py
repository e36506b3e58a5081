"""Migrations directories of many small revisions, and their bare statements."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.database import Database

_COLUMNS = 4
"""Columns that a table gets, a revision each, after the one that creates it."""


@dataclass(frozen=True)
class Change:
    """What one revision does: create a table, or add a column with an index to it.

    number: of the revision, from 0.
    """

    number: int

    @property
    def revision(self) -> str:
        return f"r{self.number:04}"

    @property
    def table(self) -> str:
        return f"table_{self.number // (_COLUMNS + 1)}"

    @property
    def column(self) -> str | None:
        """The new column; None where the table is created."""
        nth = self.number % (_COLUMNS + 1)
        return f"column_{nth}" if nth else None

    @property
    def index(self) -> str:
        return f"ix_{self.table}_{self.column}"

    def statements(self) -> Sequence[str]:
        """Return the SQL that Alembic sends for it."""
        if self.column is None:
            return (
                f"CREATE TABLE {self.table} (id SERIAL NOT NULL, name VARCHAR(50), "
                "PRIMARY KEY (id))",
            )
        return (
            f"ALTER TABLE {self.table} ADD COLUMN {self.column} INTEGER",
            f"CREATE INDEX {self.index} ON {self.table} ({self.column})",
        )

    def on_mongo(self, db: Database[dict[str, Any]]) -> None:
        """Do what the Mongo script says, by the driver alone."""
        if self.column is None:
            db.create_collection(self.table)
        else:
            db[self.table].create_index([(self.column, 1)], name=self.index)

    def alembic_script(self) -> str:
        if self.column is None:
            up = f"""
                op.create_table(
                    "{self.table}",
                    sa.Column("id", sa.Integer(), nullable=False),
                    sa.Column("name", sa.String(length=50), nullable=True),
                    sa.PrimaryKeyConstraint("id"),
                )
            """
            down = f'op.drop_table("{self.table}")'
        else:
            up = f"""
                op.add_column(
                    "{self.table}", sa.Column("{self.column}", sa.Integer())
                )
                op.create_index("{self.index}", "{self.table}", ["{self.column}"])
            """
            down = f'op.drop_column("{self.table}", "{self.column}")'
        imports = "import sqlalchemy as sa\nfrom alembic import op\n\n"
        return self._script(imports, "() -> None", up, down)

    def mongo_script(self) -> str:
        if self.column is None:
            up = f'op.create_collection("{self.table}")'
            down = f'op.drop_collection("{self.table}")'
        else:
            keys = f'[("{self.column}", 1)]'
            up = f'op.create_index("{self.table}", {keys}, name="{self.index}")'
            down = f'op.drop_index("{self.table}", "{self.index}")'
        return self._script("", "(op)", up, down)

    def _script(self, imports: str, signature: str, up: str, down: str) -> str:
        parent = Change(self.number - 1).revision if self.number else None
        functions = "".join(
            f"\n\ndef {name}{signature}:\n" + textwrap.indent(_flush_left(body), "    ")
            for name, body in (("upgrade", up), ("downgrade", down))
        )
        return (
            f'"""change {self.table}\n\nRevision ID: {self.revision}\n'
            f'Revises: {parent or ""}\n"""\n\n{imports}'
            f"revision = {self.revision!r}\ndown_revision = {parent!r}\n"
            f"branch_labels = None\ndepends_on = None\n{functions}"
        )


def _flush_left(body: str) -> str:
    return textwrap.dedent(body).strip("\n") + "\n"


def changes(count: int) -> tuple[Change, ...]:
    """Return so many revisions, each following the one before."""
    return tuple(map(Change, range(count)))


def write_pairs(root: Path, count: int) -> None:
    """Write both scripts of so many revisions; `init()` has made the folders."""
    for change in changes(count):
        name = f"{change.revision}_change.py"
        sources = {"postgres": change.alembic_script(), "mongo": change.mongo_script()}
        for side, source in sources.items():
            (root / side / "versions" / name).write_text(source, encoding="utf-8")
