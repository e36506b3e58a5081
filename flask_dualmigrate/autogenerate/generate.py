"""The two sources of a revision, made together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import CreateTableOp
from alembic.runtime.environment import EnvironmentContext
from alembic.script.base import Script
from sqlalchemy import MetaData, inspect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Connection, Dialect

from ..ops import Todo
from ..revision import BackendName
from .alembic_source import enum_renderer, render_alembic
from .context import Context, plain_dialect
from .enums import plan_enums
from .header import Header
from .lookup import Tables
from .naming import Naming
from .propose import Proposal, propose
from .record import record
from .render import assemble, render_mongo
from .repair import Repair
from .state import Schema, schema_of
from .steps import Scope, plain_steps
from .translate import replay, translate
from .words import describe_all


@dataclass(frozen=True)
class Pair:
    """Both sources of one revision.

    detected: what the models have that the database has not, one line each. empty: the
    two are alike, and there is nothing to write.
    """

    postgres: str
    mongo: str
    detected: tuple[str, ...]
    empty: bool


def generate(
    connection: Connection,
    metadata: MetaData | Sequence[MetaData],
    header: Header,
    *,
    naming: Naming,
    validators: str = "off",
    options: Mapping[str, Any],
    environment: EnvironmentContext | None = None,
) -> Pair:
    """Make both sources from one difference between the models and the database.

    connection: to the database, which must be at head; nothing is written to it.
    validators: "off", "warn" or "error". options: those of Alembic's configure();
    environment: what the app's hooks find as context.environment_context.
    """
    proposal = propose(connection, metadata, header, options, environment=environment)
    if not proposal.upgrade and not proposal.downgrade:
        return empty_pair(header)
    context = Context(
        naming,
        plain_dialect(connection.dialect),
        validators,
        _models(proposal, connection),
    )
    return Pair(
        postgres=_postgres_source(header, proposal, connection),
        mongo=_mongo_source(header, proposal, context),
        detected=describe_all(proposal.upgrade, connection.dialect),
        empty=False,
    )


def differences(
    connection: Connection,
    metadata: MetaData | Sequence[MetaData],
    *,
    options: Mapping[str, Any],
) -> tuple[str, ...]:
    """Return what the models have that the database has not, in words."""
    proposal = propose(connection, metadata, None, options)
    return describe_all(proposal.upgrade, connection.dialect)


def _mongo_source(header: Header, proposal: Proposal, context: Context) -> str:
    before = schema_of(proposal.tables, context.dialect)
    upgrade, after = translate(proposal.upgrade, before, context)
    backwards = replace(context, models=Tables())
    downgrade, _ = translate(proposal.downgrade, after, backwards)
    return render_mongo(header, upgrade, downgrade)


def _postgres_source(header: Header, proposal: Proposal, connection: Connection) -> str:
    upgrade = plain_steps(proposal.upgrade)
    downgrade = plain_steps(proposal.downgrade)
    if connection.dialect.name == "postgresql":
        autogen = proposal.autogen
        skip = _rendered_by_the_app(autogen)
        plan = plan_enums(proposal.upgrade, connection, skip=skip)
        autogen.opts["render_item"] = enum_renderer(autogen)
        models = _models(proposal, connection)
        there = Tables.of(proposal.tables, connection.dialect)
        up = Scope(plain_dialect(connection.dialect), there, models, there)
        down = replace(up, found=models, left=there)
        schemas = _missing_schemas(proposal, connection)
        upgrade = Repair(up, plan, schemas).steps(proposal.upgrade)
        downgrade = Repair(down, plan.reverse()).steps(proposal.downgrade)
    script = proposal.script
    imports = sorted(script.imports) if script is not None else []
    return render_alembic(header, upgrade, downgrade, proposal.autogen, imports=imports)


def _models(proposal: Proposal, connection: Connection) -> Tables:
    tables = proposal.autogen.table_key_to_table.values()
    return Tables.of(tables, connection.dialect)


def _rendered_by_the_app(autogen: AutogenContext) -> Callable[[Any], bool]:
    """Return what tells the types that the app's own render_item renders."""
    render_item = autogen.opts.get("render_item")

    def is_rendered(type_: Any) -> bool:
        return render_item is not None and (
            render_item("type", type_, autogen) is not False
        )

    return is_rendered


def _missing_schemas(proposal: Proposal, connection: Connection) -> tuple[str, ...]:
    wanted = {op.schema for op in proposal.upgrade if isinstance(op, CreateTableOp)}
    there = set(inspect(connection).get_schema_names())
    return tuple(sorted(name for name in wanted if name and name not in there))


def empty_pair(header: Header) -> Pair:
    """Return a pair that does nothing yet, to be filled by hand."""
    return Pair(
        postgres=empty_partner(header, BackendName.POSTGRES),
        mongo=empty_partner(header, BackendName.MONGO),
        detected=(),
        empty=True,
    )


def empty_partner(header: Header, backend: BackendName | str) -> str:
    """Return a script of one side that does nothing yet."""
    if BackendName(backend) is BackendName.MONGO:
        return render_mongo(header, (), ())
    functions = [
        [f"def {name}() -> None:", "    pass"] for name in ("upgrade", "downgrade")
    ]
    return assemble(header, [], functions)


def pair_from_script(
    script: Script | ModuleType,
    header: Header,
    *,
    earlier_scripts: Sequence[Script | ModuleType] = (),
    naming: Naming,
    validators: str = "off",
    dialect: Dialect | None = None,
) -> str:
    """Make the Mongo partner of an Alembic script that there is.

    Both of its functions are run on a database that is not there, and what they do is
    translated. earlier_scripts: those before it, oldest first, whose tables it finds.
    What cannot be recorded or translated becomes op.todo().
    """
    make_dialect: Any = PGDialect
    context = Context(naming, dialect or make_dialect(paramstyle="named"))
    before: Schema = {}
    for earlier in earlier_scripts:
        done = record(_module(earlier), "upgrade")
        before = replay(done.operations, before, context)
    context = replace(context, validators=validators)
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
