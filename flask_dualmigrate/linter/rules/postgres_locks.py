"""Rules about what locks, scans or rewrites a PostgreSQL table that is in use.

Source: PostgreSQL manual, ALTER TABLE, CREATE INDEX, Explicit Locking; each fact was
tried on PostgreSQL 18.
"""

from __future__ import annotations

import functools
import re

from ...alembic_scripts.change import WRITES, Change
from ...alembic_scripts.column_types import rewrites
from ...sql.names import quoted
from ..advice import paste
from ..advice.finding import Advice, Advices, rule
from ..advice.paste import alter, autocommit, execute, text, then
from ..views.postgres import PostgresView

lock_rule = functools.partial(rule, only_postgres=True)


@lock_rule("DM101", "index built without CONCURRENTLY")
def index_not_concurrently(view: PostgresView) -> Advices:
    """A table that is in use can be read but not written while it is built."""
    for change in view.of("create_index"):
        if not change.concurrently:
            yield Advice(
                f"CREATE INDEX blocks writes to {change.table} until the "
                "index is built and the transaction ends.",
                paste.concurrent_index(change),
                change.line,
            )
    for change in view.of("reindex"):
        yield Advice(
            "REINDEX blocks writes to the table, and reads that "
            "use the index, until it is done.",
            autocommit(execute(_concurrently(change.sql or ""))),
            change.line,
        )


def _concurrently(statement: str) -> str:
    """Add the word to REINDEX or CREATE INDEX."""
    return re.sub(
        r"(?i)^(REINDEX\s+(?:\([^)]*\)\s*)?\w+)", r"\1 CONCURRENTLY", statement
    )


@lock_rule("DM102", "CONCURRENTLY in a transaction", on_downgrade=True)
def concurrently_in_transaction(view: PostgresView) -> Advices:
    """PostgreSQL refuses it."""
    for change in view.changes:
        if not change.concurrently or change.transaction is None:
            continue
        if change.verb == "create_index":
            instead = paste.concurrent_index(change)
        elif change.sql:
            instead = autocommit(execute(change.sql))
        else:
            table, schema = paste.table_arguments(change.table)
            instead = autocommit(
                f"op.drop_index({text(change.name or '')}, {table}{schema}, "
                "if_exists=True, postgresql_concurrently=True)"
            )
        yield Advice(
            "PostgreSQL refuses CONCURRENTLY in a transaction, and scripts run in one.",
            instead,
            change.line,
        )


@rule("DM103", "NOT NULL column without a default")
def required_column(view: PostgresView) -> Advices:
    """It fails as soon as the table has a row."""
    for change in view.of("add_column"):
        is_serial = "serial" in (change.type_ or "")
        given = change.default is not None or change.generated or is_serial
        if change.nullable or given:
            continue
        table, column = change.table, quoted(change.column or "")
        type_ = (change.type_ or "TEXT").upper()
        yield Advice(
            f"This fails as soon as {table} has a row, which would have no value for "
            f"{change.column}. The running version of the app, which does not know "
            "the column, can no longer insert rows.",
            "# With a suitable default it takes no time, however large the table is:\n"
            + alter(table, f"ADD COLUMN {column} {type_} DEFAULT '…' NOT NULL"),
            change.line,
        )


@lock_rule("DM104", "NOT NULL set without a validated check")
def not_null_scans(view: PostgresView) -> Advices:
    """It scans the whole table under a lock that blocks everyone."""
    for change in view.of("set_not_null"):
        if change.proven:
            continue
        name = f"{(change.table or '').rpartition('.')[2]}_{change.column}_not_null"
        column = quoted(change.column or "")
        table, schema = paste.table_arguments(change.table)
        yield Advice(
            f"SET NOT NULL scans all of {change.table} for nulls, and blocks "
            "reads and writes meanwhile. A valid check constraint that says the same "
            "avoids the scan (PostgreSQL 12 and newer).",
            then(
                f"op.create_check_constraint({text(name)}, {table}, "
                f"{text(f'{column} IS NOT NULL')}{schema}, "
                "postgresql_not_valid=True)",
                f"{alter(change.table, f'VALIDATE CONSTRAINT {name}')}\n"
                f"op.alter_column({table}, {text(change.column or '')}{schema}, "
                "nullable=False)\n"
                f"op.drop_constraint({text(name)}, {table}{schema})",
            ),
            change.line,
        )


@lock_rule("DM105", "type change that rewrites the table")
def type_rewrites(view: PostgresView) -> Advices:
    """It copies each row and rebuilds each index under an exclusive lock."""
    for change in view.of("alter_type"):
        new, old = change.type_, change.old_type
        if new is None or (old and not _rewrites(change, old, new)):
            continue
        said = f"from {old} to {new}" if old else f"to {new}"
        unsure = "" if old else " unless the old type is stored in the same way"
        yield Advice(
            f"The type {said}: PostgreSQL rewrites all of {change.table}, "
            f"with its indexes,{unsure} and blocks reads and writes meanwhile.",
            _instead_of_type(change, old, new),
            change.line,
        )


def _rewrites(change: Change, old: str, new: str) -> bool:
    if rewrites(old, new, utc=change.utc):
        return True
    return change.using is not None and not _is_plain_cast(change)


def _is_plain_cast(change: Change) -> bool:
    """Return whether USING does what PostgreSQL would do without it."""
    using = re.sub(r"[\s()\"]", "", change.using or "").lower()
    column = (change.column or "").lower()
    type_ = re.sub(r"[\s()]", "", change.type_ or "")
    return using in (column, f"{column}::{type_}", f"cast{column}as{type_}")


def _instead_of_type(change: Change, old: str | None, new: str) -> str:
    if old and rewrites(old, new) and not rewrites(old, new, utc=True):
        table, schema = paste.table_arguments(change.table)
        column = text(change.column or "")
        type_ = change.type_code or f"sa.text({text(new)})"
        return (
            "# Between timestamp types, nothing is rewritten if the session is in "
            "UTC:\n"
            + execute("SET LOCAL TIME ZONE 'UTC'")
            + f"\nop.alter_column({table}, {column}, type_={type_}{schema})"
        )
    added = f"{change.column}_new"
    if change.type_code:
        table, schema = paste.table_arguments(change.table)
        first = f"op.add_column({table}, sa.Column({text(added)}, {change.type_code})"
        first += f"{schema})"
    else:
        first = alter(change.table, f"ADD COLUMN {quoted(added)} {new}")
    return (
        f"{first}\n"
        f"# Then let the app write {change.column} and {added}, fill {added} in batches"
        f",\n# read {added}, and drop {change.column} in a final revision."
    )


_VOLATILE = re.compile(
    r"(?i)\b(random|gen_random_uuid|uuid_generate_v\w+|uuidv[47]|uuid_v\w+|"
    r"gen_random_bytes|clock_timestamp|timeofday|nextval|setval|txid_current|"
    r"random_normal)\s*\("
)


@lock_rule("DM106", "column added with a volatile default")
def volatile_default(view: PostgresView) -> Advices:
    """Each row gets its own value, so each row is written."""
    for change in view.of("add_column"):
        is_serial = "serial" in (change.type_ or "")
        volatile = _VOLATILE.search(change.default or "")
        if not (volatile or change.generated or is_serial):
            continue
        what = f"{volatile[1]}()" if volatile else "a generated value"
        column, type_ = quoted(change.column or ""), change.type_
        yield Advice(
            f"With {what} each row of {change.table} gets its own value: the table is "
            "rewritten, and reads and writes are blocked meanwhile. (A default that "
            "is the same for all rows takes no time, since PostgreSQL 11.)",
            _instead_of_default(change, column, type_, is_volatile=bool(volatile)),
            change.line,
        )


def _instead_of_default(
    change: Change, column: str, type_: str | None, *, is_volatile: bool
) -> str:
    add = alter(change.table, f"ADD COLUMN {column} {_without_serial(type_)}")
    if not is_volatile:
        return f"{add}\n# Then fill it in batches, in a separate revision."
    default = alter(change.table, f"ALTER COLUMN {column} SET DEFAULT {change.default}")
    return f"{add}\n{default}\n# Then fill it in batches, in a separate revision."


def _without_serial(type_: str | None) -> str:
    return (type_ or "TEXT").replace("bigserial", "bigint").replace("serial", "integer")


@lock_rule("DM107", "foreign key without NOT VALID")
def foreign_key_validates(view: PostgresView) -> Advices:
    """It looks up each row while no one can write to either table."""
    for change in view.of("add_foreign_key"):
        if not _validated_at_once(change, view):
            continue
        name = paste.default_name(change, "fkey")
        table, _ = paste.table_arguments(change.table)
        referred = (change.referred or "").rpartition(".")[2]
        remote = list(change.referred_columns) or ["id"]
        more = "".join(f", {key}={value}" for key, value in change.options)
        yield Advice(
            f"Each row of {change.table} is looked up in {change.referred}, "
            "and writes to both tables are blocked until the transaction ends.",
            then(
                f"op.create_foreign_key({text(name)}, {table}, {text(referred)}, "
                f"{_list(change.columns)}, {_list(remote)}{more}, "
                "postgresql_not_valid=True)",
                alter(change.table, f"VALIDATE CONSTRAINT {quoted(name)}"),
            ),
            change.line,
        )


def _list(names: tuple[str, ...] | list[str]) -> str:
    return f"[{', '.join(map(text, names))}]"


def _validated_at_once(change: Change, view: PostgresView) -> bool:
    """NOT VALID does not help if VALIDATE follows under the same locks."""
    if not change.not_valid:
        return True
    return change.transaction is not None and any(
        other.verb == "validate"
        and (other.table, other.name) == (change.table, change.name)
        and other.transaction == change.transaction
        for other in view.changes
    )


@lock_rule("DM108", "check constraint without NOT VALID")
def check_validates(view: PostgresView) -> Advices:
    """It scans the whole table under a lock that blocks everyone."""
    for change in view.of("add_check"):
        if not _validated_at_once(change, view):
            continue
        name = paste.default_name(change, "check")
        table, schema = paste.table_arguments(change.table)
        yield Advice(
            f"All of {change.table} is scanned to check it, and reads "
            "and writes are blocked until the transaction ends.",
            then(
                f"op.create_check_constraint({text(name)}, {table}, "
                f"{text(change.check or 'true')}{schema}, postgresql_not_valid=True)",
                alter(change.table, f"VALIDATE CONSTRAINT {quoted(name)}"),
            ),
            change.line,
        )


@lock_rule("DM109", "unique constraint or primary key not USING INDEX")
def unique_not_using_index(view: PostgresView) -> Advices:
    """Its index is built while reads and writes of the table are blocked."""
    words = {
        "add_unique": ("key", "UNIQUE"),
        "add_primary_key": ("pkey", "PRIMARY KEY"),
    }
    for change in view.of("add_unique", "add_primary_key", "add_exclude"):
        if change.using_index:
            continue
        suffix, word = words.get(change.verb, ("", ""))
        name = paste.default_name(change, suffix)
        table, schema = paste.table_arguments(change.table)
        instead = (
            ""
            if not word
            else then(
                autocommit(
                    f"op.create_index({text(name)}, {table}, {paste.columns(change)}"
                    f"{schema}, unique=True, if_not_exists=True, "
                    "postgresql_concurrently=True)"
                ),
                alter(
                    change.table,
                    f"ADD CONSTRAINT {quoted(name)} {word} USING INDEX {quoted(name)}",
                ),
            )
        )
        yield Advice(
            f"Its index is built while reads and writes of {change.table} are blocked.",
            instead,
            change.line,
        )


@lock_rule("DM116", "backfill in the transaction of DDL")
def backfill_with_ddl(view: PostgresView) -> Advices:
    """What DDL locked stays locked until the last row is written."""
    for change in view.of(*WRITES):
        if change.transaction is None:
            continue
        locked = [
            each for each in view.locking() if each.transaction == change.transaction
        ]
        if locked:
            statement = change.sql or f"UPDATE {change.table} SET …"
            yield Advice(
                f"{locked[0].table or locked[0].name} is locked by this script's DDL "
                "until the script ends, so for as long as it works through "
                f"{change.table}.",
                '# In a separate revision: flask db-migrate revision -m "fill '
                f'{change.table}"\n{execute(statement)}',
                change.line,
            )


@lock_rule("DM123", "exclusive lock without a lock_timeout")
def no_lock_timeout(view: PostgresView) -> Advices:
    """It waits, and everything that follows waits behind it."""
    set_in: set[int | None] = set()
    said: set[int | None] = set()
    for change in view.changes:
        if change.verb == "lock_timeout":
            set_in.add(change.transaction)
            if change.sql and "LOCAL" not in change.sql.upper():
                set_in |= set(range(100)) | {None}
        if change not in [*view.locking()] or change.transaction in set_in | said:
            continue
        if change.transaction == 0 and view.lock_timeout_s:
            continue
        said.add(change.transaction)
        why = (
            "lock_timeout is off here"
            if change.transaction == 0
            else "An autocommit block ends the transaction in which lock_timeout is set"
        )
        local = "" if change.transaction is None else "LOCAL "
        yield Advice(
            f"{why}: this waits for the lock on {change.table or change.name} "
            "for as long as another session holds it, and every later "
            "query waits behind it.",
            execute(f"SET {local}lock_timeout = '5s'")
            + (
                '\n# … and at the very end: op.execute("RESET lock_timeout")'
                if not local
                else ""
            ),
            change.line,
        )


_REPEATABLE = frozenset({"lock_timeout", "utc", "validate", "reindex", "set_not_null"})


@lock_rule("DM125", "an autocommit block that cannot be run twice")
def autocommit_not_repeatable(view: PostgresView) -> Advices:
    """Everything before its end is committed, and repeated after a failure."""
    last = max(
        (n for n, each in enumerate(view.changes) if each.transaction is None),
        default=-1,
    )
    for change in view.changes[: last + 1]:
        if change.repeatable or change.verb in _REPEATABLE:
            continue
        if change.verb in ("column", "constraint", "other", "alter_column"):
            continue
        yield Advice(
            "An autocommit block commits itself and everything before it. If "
            "something fails later, the next run repeats this statement, which then "
            "fails.",
            _repeatable(change),
            change.line,
        )
        return


def _repeatable(change: Change) -> str:
    if change.verb == "create_index" and change.transaction is None:
        return paste.concurrent_index(change)
    return (
        "# Give the autocommit block its own revision, and pass if_not_exists=True"
        "\n# or if_exists=True in it."
    )
