"""The two sources of a revision, made together from one difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import CreateTableOp
from alembic.runtime.environment import EnvironmentContext
from alembic.util import rev_id as new_id
from sqlalchemy import MetaData
from sqlalchemy.engine import Connection

from ..tree.pair import Header, Pair
from .alembic.propose import Proposal, propose
from .alembic.repair import Repair
from .alembic.source import enum_renderer, render_alembic
from .alembic.steps import Scope, plain_steps
from .alembic.type_source import implementation_renderer, notes_on_types
from .mongo.context import Context
from .mongo.naming import Naming
from .mongo.source import render_mongo
from .mongo.translate import translate
from .pair import empty_pair
from .tables.dialects import comparing
from .tables.enums import NamedType, plan_enums
from .tables.enums_of_others import enums_of_others
from .tables.lookup import Tables
from .tables.state import Schema, full_name, schema_of
from .tables.types import plain_dialect
from .tables.unchecked_enums import with_labels
from .tables.walk import table_of
from .tables.words import describe_all


def generate(
    connection: Connection,
    metadata: MetaData | Sequence[MetaData],
    header: Header,
    *,
    naming: Naming,
    validators: str = "off",
    options: Mapping[str, Any],
    environment: EnvironmentContext | None = None,
    made: Schema | None = None,
) -> Pair:
    """Make both sources from one difference between the models and the database.

    connection: to the database, which must be at head; nothing is written to it.
    validators: "off", "warn" or "error". options: those of Alembic's configure();
    environment: what the app's hooks see as context.environment_context. made: the
    tables that the scripts create, for what no database stores.
    """
    proposal = propose(
        connection, metadata, header, options, environment=environment, made=made
    )
    if not proposal.upgrade:
        return empty_pair(header)  # also if the app's hook left only a downgrade
    header = _header(header, proposal)
    context = Context(naming, plain_dialect(connection.dialect), validators)
    return Pair(
        postgres=_postgres_source(header, proposal, connection),
        mongo=_mongo_source(header, proposal, context, made or {}),
        detected=describe_all(proposal.upgrade, plain_dialect(connection.dialect)),
        empty=False,
        header=header,
    )


@dataclass(frozen=True)
class Comparison:
    """What the models have and the database lacks, in words; and what was not
    compared, one line each."""

    differences: tuple[str, ...]
    not_compared: tuple[str, ...] = ()


def compare_models(
    connection: Connection,
    metadata: MetaData | Sequence[MetaData],
    *,
    options: Mapping[str, Any],
    environment: EnvironmentContext | None = None,
    heads: Sequence[str] = (),
    made: Schema | None = None,
) -> Comparison:
    """Compare the models with the database, and write nothing.

    heads: the database's current revisions, for process_revision_directives, which is
    called as for a new revision. options, environment, made: as for `generate`.
    """
    none_yet = Header(new_id(), tuple(heads), (), (), "", datetime.now(UTC))
    proposal = propose(
        connection, metadata, none_yet, options, environment=environment, made=made
    )
    words = describe_all(proposal.upgrade, plain_dialect(connection.dialect))
    return Comparison(words, proposal.not_compared)


def differences(*arguments: Any, **keywords: Any) -> tuple[str, ...]:
    """Return only the differences; the arguments are those of `compare_models`."""
    return compare_models(*arguments, **keywords).differences


def _header(header: Header, proposal: Proposal) -> Header:
    """Return the header with the id and the message that the app's hook gave."""
    script = proposal.script
    if script is None:
        return header
    return replace(
        header,
        revision=script.rev_id or header.revision,
        message=script.message or header.message,
    )


def _mongo_source(
    header: Header, proposal: Proposal, context: Context, made: Schema
) -> str:
    dialect = context.dialect
    models = proposal.models
    others = frozenset(full_name(item.name, item.schema, dialect) for item in models)
    created = {
        table_of(op, dialect)
        for op in proposal.upgrade
        if isinstance(op, CreateTableOp)
    }
    before: Schema = schema_of(proposal.tables, dialect)
    if context.validators != "off":
        before = with_labels(before, made, dialect)
    up = replace(context, models=Tables.of(models, dialect), others=others)
    down = replace(context, others=others - created)
    upgrade, after = translate(proposal.upgrade, before, up)
    downgrade, _ = translate(proposal.downgrade, after, down)
    return render_mongo(header, upgrade, downgrade)


def _postgres_source(header: Header, proposal: Proposal, connection: Connection) -> str:
    upgrade = plain_steps(proposal.upgrade)
    downgrade = plain_steps(proposal.downgrade)
    autogen = proposal.autogen
    notes = list(notes_on_types(proposal.upgrade, autogen))
    if comparing(connection.dialect).by_catalog:
        skip = _rendered_by_the_app(autogen)
        others = enums_of_others(proposal.upgrade, connection.dialect)
        catalog = proposal.catalog
        plan = plan_enums(proposal.upgrade, catalog, skip=skip, others=others)
        autogen.opts["render_item"] = enum_renderer(autogen)
        dialect = plain_dialect(connection.dialect)
        # Alembic would double percent signs, as for a driver's parameters.
        autogen.migration_context.impl.dialect = dialect
        models = Tables.of(proposal.models, dialect)
        there = Tables.of(proposal.tables, dialect)
        up = Scope(dialect, found=there, left=models, database=there)
        down = replace(up, found=models, left=there)
        schemas = _missing_schemas(proposal, (*plan.created, *others))
        upgrade = Repair(up, plan, schemas).steps(proposal.upgrade)
        downgrade = Repair(down, plan.reverse()).steps(proposal.downgrade)
    autogen.opts["render_item"] = implementation_renderer(autogen, proposal.upgrade)
    upgrade = [*notes, *upgrade]
    script = proposal.script
    imports = sorted(script.imports) if script is not None else []
    return render_alembic(header, upgrade, downgrade, autogen, imports=imports)


def _rendered_by_the_app(autogen: AutogenContext) -> Callable[[Any], bool]:
    """Return a function that says whether the app's own render_item renders a type."""
    render_item = autogen.opts.get("render_item")

    def is_rendered(type_: Any) -> bool:
        return render_item is not None and (
            render_item("type", type_, autogen) is not False
        )

    return is_rendered


def _missing_schemas(
    proposal: Proposal, created: Iterable[NamedType]
) -> tuple[str, ...]:
    """Return the schemas of new tables and types that do not exist yet."""
    wanted = {op.schema for op in proposal.upgrade if isinstance(op, CreateTableOp)}
    wanted |= {named.schema for named in created}
    wanted -= {None, proposal.catalog.dialect.default_schema_name}
    there = proposal.catalog.inspector.get_schema_names() if wanted else ()
    return tuple(sorted(name for name in wanted if name and name not in there))
