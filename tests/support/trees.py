"""A migrations directory whose scripts a test writes itself."""

from __future__ import annotations

import textwrap
from pathlib import Path


class Tree:
    """A migrations directory; `add` writes a pair by hand, after the last one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ids: list[str] = []

    def path(self, backend: str, revision_id: str) -> Path:
        return self.root / backend / "versions" / f"{revision_id}.py"

    def add(
        self,
        revision_id: str,
        *,
        postgres: str = "pass",
        postgres_down: str = "pass",
        mongo: str = "pass",
        mongo_down: str = "pass",
        postgres_more: str = "",
        mongo_more: str = "",
    ) -> str:
        """Write both scripts; each argument is the body of one function."""
        parent = repr(self.ids[-1]) if self.ids else "None"
        head = (
            f'"""{revision_id}"""\n\nfrom alembic import op\nimport sqlalchemy as sa\n'
            f"revision = {revision_id!r}\ndown_revision = {parent}\n"
            "branch_labels = None\ndepends_on = None\n\n"
        )
        self._write("postgres", revision_id, head, postgres, postgres_down, "()")
        head = head.replace("from alembic import op\nimport sqlalchemy as sa\n", "")
        self._write("mongo", revision_id, head, mongo, mongo_down, "(op)")
        for backend, more in (("postgres", postgres_more), ("mongo", mongo_more)):
            with self.path(backend, revision_id).open("a") as file:
                file.write(textwrap.dedent(more))
        self.ids.append(revision_id)
        return revision_id

    def _write(
        self, backend: str, revision_id: str, head: str, up: str, down: str, args: str
    ) -> None:
        body = "".join(
            f"def {name}{args}:\n{textwrap.indent(textwrap.dedent(code), '    ')}\n\n"
            for name, code in (("upgrade", up), ("downgrade", down))
        )
        self.path(backend, revision_id).write_text(head + body)
