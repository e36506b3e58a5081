"""A revision's two sources: empty ones, and the partner of an existing script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from alembic.script.base import Script
from sqlalchemy.dialects.postgresql.base import PGDialect

from ..alembic_scripts import record
from ..ops import Todo
from ..revisions import BackendName
from ..tree.pair import Header, Pair
from .mongo.context import Context
from .mongo.naming import Naming
from .mongo.source import render_mongo
from .mongo.translate import replay, translate
from .source.header import assemble
from .tables.state import Schema

_BY_HAND = (
    "import sqlalchemy as sa  # noqa: F401",
    "from alembic import op  # noqa: F401",
)
"""The imports of a script to fill in by hand, which will need one or both."""


def empty_pair(header: Header) -> Pair:
    """Return a pair that does nothing yet, to be filled by hand."""
    return Pair(
        postgres=empty_partner(header, BackendName.POSTGRES),
        mongo=empty_partner(header, BackendName.MONGO),
        detected=(),
        empty=True,
        header=header,
    )


def empty_partner(header: Header, backend: BackendName | str) -> str:
    """Return a script for one side that does nothing yet."""
    if BackendName(backend) is BackendName.MONGO:
        return render_mongo(header, (), ())
    functions = [
        [f"def {name}() -> None:", "    pass"] for name in ("upgrade", "downgrade")
    ]
    return assemble(header, list(_BY_HAND), functions)


def pair_from_script(
    script: Script | ModuleType,
    header: Header,
    *,
    earlier_scripts: Sequence[Script | ModuleType] = (),
    naming: Naming,
    validators: str = "off",
) -> str:
    """Make the Mongo partner of an existing Alembic script.

    Both its functions run without a database, and what they do is translated.
    earlier_scripts: those before it, oldest first, which create its existing tables.
    What cannot be recorded or translated becomes op.todo().
    """
    make_dialect: Any = PGDialect
    context = Context(naming, make_dialect(paramstyle="named"), validators)
    before: Schema = {}
    for earlier in earlier_scripts:
        done = record(_module(earlier), "upgrade")
        before = replay(done.operations, before, context)
    context = replace(context, others=frozenset(before))
    up, down = (record(_module(script), way) for way in ("upgrade", "downgrade"))
    upgrade, after = translate(up.operations, before, context)
    downgrade, _ = translate(down.operations, after, context)
    return render_mongo(
        header,
        [*upgrade, *map(Todo, up.missed)],
        [*downgrade, *map(Todo, down.missed)],
    )


def _module(script: Script | ModuleType) -> ModuleType:
    return script if isinstance(script, ModuleType) else script.module
