"""What Alembic proposes: the difference between the models and the database."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy import ForeignKeyConstraint, MetaData, Table, UniqueConstraint
from sqlalchemy.engine import Connection
from sqlalchemy.schema import Constraint

from ...errors import UsageError
from ...tree.pair import Header
from ..tables.catalog import Catalog
from ..tables.dialects import Comparing, comparing
from ..tables.enums import ChangeEnumOp, changed_domain_types, changed_enums
from ..tables.enums_of_others import enums_of_others
from ..tables.postgres_names import foreign_key_name, unique_name
from ..tables.sides import Sides
from ..tables.state import Schema
from ..tables.text_enums import add_text_enums
from ..tables.unchecked_enums import add_unchecked_enums
from ..tables.walk import leaves
from .comparison import migration_context
from .key_definitions import add_keys
from .ordering import ordered
from .reflection import Place, reflect
from .sequences import sequence_changes
from .table_definitions import add_definitions


@dataclass(frozen=True)
class Proposal:
    """One difference, in both directions.

    upgrade, downgrade: Alembic's operations; tables: those they touch, as they are in
    the database now; script: what process_revision_directives left; autogen: for
    rendering; not_compared: what else may differ, one line each.
    """

    upgrade: tuple[ops.MigrateOperation, ...]
    downgrade: tuple[ops.MigrateOperation, ...]
    tables: tuple[Table, ...]
    script: ops.MigrationScript | None
    autogen: AutogenContext
    catalog: Catalog
    not_compared: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[Table, ...]:
        """The tables of the models."""
        return tuple(self.autogen.table_key_to_table.values())


def propose(
    connection: Connection,
    metadata: MetaData | Sequence[MetaData],
    header: Header | None,
    options: Mapping[str, Any],
    *,
    environment: EnvironmentContext | None = None,
    made: Schema | None = None,
) -> Proposal:
    """Compare the models with the database.

    header: of the revision being created; None if none is, so that the app's hook
    process_revision_directives has nothing to process. options: those of Alembic's
    configure(). made: the tables that the scripts create; None: not known.
    Reads the database, and writes nothing.
    Raises UsageError if process_revision_directives makes more than one revision.
    """
    each = [metadata] if isinstance(metadata, MetaData) else metadata
    catalog, left_out = Catalog(connection), list[str]()
    context = migration_context(
        catalog, each, options, environment=environment, not_compared=left_out
    )
    autogen = AutogenContext(context, metadata=metadata)
    known = comparing(connection.dialect)
    script = _produce(context, metadata, known)
    sides = Sides(each, catalog, _filters(autogen), left_out)
    add_unchecked_enums(script, sides, made)
    if known.by_catalog:
        _add_database_ops(script, sides)
    hook = context.opts.get("process_revision_directives")
    left: ops.MigrationScript | None = script
    if hook is not None and header is not None:
        left = _process(script, hook, header, autogen)
    upgrade = _operations(left.upgrade_ops_list if left else (), connection)
    downgrade = _operations(left.downgrade_ops_list if left else (), connection)
    tables = reflect(catalog, _touched([*upgrade, *downgrade], connection))
    if known.by_catalog:
        _name_constraints([*upgrade, *downgrade], tables)
    not_compared = tuple(dict.fromkeys(left_out))
    return Proposal(upgrade, downgrade, tables, left, autogen, catalog, not_compared)


def _produce(
    context: MigrationContext, metadata: Any, known: Comparing
) -> ops.MigrationScript:
    with warnings.catch_warnings():
        # Tables that point to each other: `ordered` handles them.
        warnings.filterwarnings("ignore", "Cannot correctly sort tables")
        if known.expressions_by_text:  # `ExpressionIndexes` reads them
            warnings.filterwarnings("ignore", "Skipped unsupported reflection of expr")
        if known.by_catalog:
            # It can be done: `add_definitions` does it.
            warnings.filterwarnings("ignore", "Computed default on .* cannot be")
        return produce_migrations(context, metadata)


def _add_database_ops(script: ops.MigrationScript, sides: Sides) -> None:
    """Add changes of enum labels and of sequences before and after all others."""
    upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
    assert upgrade is not None
    assert downgrade is not None
    others = enums_of_others(upgrade.ops, sides.dialect)
    add_text_enums(script, sides)
    first, last = sequence_changes(sides, upgrade.ops)
    first[:0] = [*changed_enums(sides, others=others), *changed_domain_types(sides)]
    last += add_definitions(script, sides)
    last += add_keys(script, sides)
    upgrade.ops[:] = [*first, *upgrade.ops, *last]
    downgrade.ops[:0] = [op.reverse() for op in reversed(last)]
    downgrade.ops += [op.reverse() for op in reversed(first)]


def _filters(autogen: AutogenContext) -> Callable[[Any, str], bool]:
    """Return a function that asks the app's include_object about part of a model."""

    def include(item: Any, kind: Any) -> bool:
        return autogen.run_object_filters(item, item.name, kind, False, None)

    return include


def _process(
    script: ops.MigrationScript, hook: Any, header: Header, autogen: AutogenContext
) -> ops.MigrationScript | None:
    """Return a script after the app's process_revision_directives."""
    script.rev_id, script.message = header.revision, header.message
    directives = [script]
    hook(autogen.migration_context, header.down_revision, directives)
    if len(directives) > 1:
        raise UsageError(
            f"process_revision_directives made {len(directives)} revisions of one",
            hint="It must leave one revision or none.",
        )
    return directives[0] if directives else None


def _operations(
    containers: Iterable[ops.UpgradeOps | ops.DowngradeOps], connection: Connection
) -> tuple[ops.MigrateOperation, ...]:
    found = [op for container in containers for op in container.ops]
    return tuple(ordered(found, connection.dialect))


def _touched(
    operations: Sequence[ops.MigrateOperation], connection: Connection
) -> set[Place]:
    """Return each table that operations are about."""
    default = connection.dialect.default_schema_name
    found: set[Place] = set()
    for op in leaves(operations):
        if isinstance(op, ChangeEnumOp):
            for schema, table, _ in (column.place for column in op.columns):
                found.add((None if schema == default else schema, table))
        elif getattr(op, "table_name", None):
            found.add((getattr(op, "schema", None), str(op.table_name)))
    return found


def _name_constraints(
    operations: Sequence[ops.MigrateOperation], tables: Iterable[Table]
) -> None:
    """Give the models' unnamed constraints the names that PostgreSQL would.

    Alembic cannot drop a constraint that it adds without a name: its downgrade fails.
    """
    taken = {
        (table.schema, table.name): {
            *(str(constraint.name) for constraint in table.constraints),
            *(str(index.name) for index in table.indexes),
        }
        for table in tables
    }
    for op in leaves(operations):
        if isinstance(op, ops.DropConstraintOp) and op.constraint_name is not None:
            taken.get((op.schema, op.table_name), set()).discard(op.constraint_name)
    given: dict[tuple[Any, ...], str] = {}
    kinds = (ops.AddConstraintOp, ops.DropConstraintOp)
    for op in leaves(operations):
        if isinstance(op, kinds) and getattr(op, "constraint_name", "") is None:
            _name_constraint(op, taken, given)


def _name_constraint(
    op: Any,
    taken: Mapping[tuple[str | None, str], set[str]],
    given: dict[tuple[Any, ...], str],
) -> None:
    constraint = op.to_constraint()
    table = constraint.table
    columns = tuple(constraint.columns.keys())
    names = taken.get((table.schema, table.name), set())
    key = (type(constraint), table.schema, table.name, columns)
    if key not in given:
        name = _new_name(constraint, table.name, columns, names)
        if name is None:
            return
        given[key] = name
        names.add(name)
    op.constraint_name = given[key]


def _new_name(
    constraint: Constraint,
    table: str,
    columns: Sequence[str],
    taken: Collection[str],
) -> str | None:
    if isinstance(constraint, ForeignKeyConstraint):
        return foreign_key_name(table, columns, taken=taken)
    if isinstance(constraint, UniqueConstraint):
        return unique_name(table, columns, taken=taken)
    return None
