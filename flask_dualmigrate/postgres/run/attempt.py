"""lock_timeout and statement_timeout: setting, retrying, reporting.

DDL that waits for a table's lock holds up everything queued behind it. So it gives up
soon, and the whole transaction is retried later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa
import tenacity
from alembic.script.base import Script
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...errors import DualMigrateError, LockTimeout, ScriptError
from ...revisions import BackendName
from ...runtime.events import tell
from ...runtime.stopping import Stop
from ...runtime.time_limits import Limits, how_to_raise
from ..lock.at_work import end_own, leave, require_free, work_key
from ..server.blockers import BlockerWatch
from ..server.raw import begin_and_ask, execute_all
from ..server.script_session import SETTINGS, Standing

log = logging.getLogger(__name__)

_LOCK_NOT_AVAILABLE = "55P03"
_QUERY_CANCELED = "57014"
_SESSION_LIMITS = {
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
}
"""Code -> the limit of a role or of the server that ended a session."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


def limit_statements(limits: Limits) -> Iterator[str]:
    """Yield the statements that limit those of one transaction."""
    yield f"SET LOCAL lock_timeout = {_ms(limits.lock_timeout_s)}"
    if limits.statement_timeout_s is not None:
        yield f"SET LOCAL statement_timeout = {_ms(limits.statement_timeout_s)}"


def limit_settings(limits: Limits) -> Iterator[str]:
    """Yield the same as calls in a SELECT, for the transaction it is in."""
    yield f"set_config('lock_timeout', '{_ms(limits.lock_timeout_s)}', true)"
    if limits.statement_timeout_s is not None:
        timeout_ms = _ms(limits.statement_timeout_s)
        yield f"set_config('statement_timeout', '{timeout_ms}', true)"


def _ms(seconds: float) -> int:
    """Return milliseconds; a short limit is not rounded to 0, which means none."""
    return max(1, round(seconds * 1000)) if seconds else 0


class OneAttempt:
    """An attempt at a script that is run once, without limits or retries."""

    blockers: tuple[str, ...] = ()

    def begin(self, connection: Connection) -> None:
        """Called in the transaction, just before the script."""

    def leave(self, connection: Connection) -> None:
        """Called when the session is done, however the script ended."""

    def end(self) -> None:
        """Called if the connection was lost, before the database is queried."""

    def repeat(self, run: Callable[[], None]) -> None:
        run()


class Attempt(OneAttempt):
    """The transaction of one script, retried until it gets the tables' locks.

    key: of the migration lock; the session of the script holds another one, through
    which the next run finds it.
    """

    def __init__(self, engine: Engine, limits: Limits, stop: Stop, *, key: int) -> None:
        self._engine = engine
        self._key = key
        self._server_pid: int | None = None
        self._limits = limits
        self._stop = stop
        self._transaction_id: int | None = None
        self._standing: Standing | None = None
        self._watch: BlockerWatch | None = None

    def begin(self, connection: Connection) -> None:
        self.begin_and_read(connection)

    def begin_and_read(
        self, connection: Connection, *, text: str = "NULL", is_new: bool = True
    ) -> str | None:
        """Begin the transaction and set its limits; watch what it waits for.

        connection: in a transaction of SQLAlchemy's in which nothing was sent.
        text: SQL of what to return, such as the rows of the version table.
        is_new: the session does not hold the lock of one that is at work.
        Raises LockLost if another run is at work.
        """
        work = f"pg_try_advisory_lock({work_key(self._key)})" if is_new else "true"
        found = begin_and_ask(
            connection,
            f"SELECT {', '.join(limit_settings(self._limits))}, "
            + ", ".join(f"current_setting('{name}')" for name in SETTINGS)
            + f", txid_current()::text, pg_backend_pid()::text, ({work})::text, "
            + text,
        )
        *_, transaction_id, server_pid, taken, answer = found
        settings = found[-4 - len(SETTINGS) : -4]
        self._standing = Standing(tuple(value or "" for value in settings))
        self._transaction_id = int(transaction_id or 0)
        self._server_pid = int(server_pid or 0)
        require_free(taken == "true")
        if self._limits.lock_timeout_s:
            timeout_s = self._limits.lock_timeout_s
            self._watch = BlockerWatch(self._engine, self._server_pid, timeout_s)
        return answer

    def start_again(self) -> None:
        """Forget the session that was begun before."""
        self._standing = None

    @property
    def is_begun(self) -> bool:
        """Whether the transaction of the script was begun."""
        return self._standing is not None

    def after_script(self) -> tuple[str, ...]:
        """Return what checks what a script deferred, and undoes its settings."""
        return () if self._standing is None else self._standing.again()

    def end_script(self, connection: Connection) -> None:
        """Do that before something else is called, such as verify()."""
        execute_all(connection, self.after_script())

    def leave(self, connection: Connection) -> None:
        """Mark the session as no longer at work, however the script ended."""
        leave(connection, self._key)

    def end(self) -> None:
        """Make sure that a session whose connection was lost has stopped working.

        Until then it may still COMMIT. Raises DatabaseUnavailable.
        """
        if self._server_pid is not None:
            end_own(self._engine, self._key, self._server_pid)

    def repeat(self, run: Callable[[], None]) -> None:
        """Run the script; without its lock, retry with longer and longer pauses."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_be_repeated),
            stop=tenacity.stop_after_attempt(1 + self._limits.lock_retries),
            wait=tenacity.wait_exponential_jitter(_FIRST_PAUSE_S, _LONGEST_PAUSE_S),
            sleep=self._stop.pause,
            before_sleep=self._tell,
            reraise=True,
        )
        retrying(lambda: self._once(run))

    def _once(self, run: Callable[[], None]) -> None:
        try:
            run()
        finally:
            if self._watch is not None:
                self.blockers = self._watch.end()
                self._watch = None

    def _may_be_repeated(self, error: BaseException) -> bool:
        """True if a lock was not available, and all the script did was rolled back.

        A script that commits, for example in an autocommit block, would do that part
        twice.
        """
        if _sqlstate(error) != _LOCK_NOT_AVAILABLE or self._transaction_id is None:
            return False
        asked = sa.select(sa.func.txid_status(self._transaction_id))
        try:
            with self._engine.connect() as connection:
                return bool(connection.execute(asked).scalar_one() == "aborted")
        except SQLAlchemyError:
            return False  # report the first error

    def _tell(self, state: tenacity.RetryCallState) -> None:
        assert state.next_action is not None
        pause_s, attempt = round(state.next_action.sleep, 1), state.attempt_number
        tell(
            log,
            "retry",
            f"Could not get a table's lock within {self._limits.lock_timeout_s:g} s"
            f"{held_by(self.blockers)}; the transaction was rolled back, and will be "
            f"retried in {pause_s:g} s ({attempt} of {self._limits.lock_retries})",
            level=logging.WARNING,
            backend=BackendName.POSTGRES,
            attempt=attempt,
            pause_s=pause_s,
        )


def limit_error(
    error: BaseException, limits: Limits, script: Script, blockers: Sequence[str]
) -> DualMigrateError | None:
    """Return the error for a limit that was reached; None for another error.

    blockers: the sessions whose lock it waited for; empty if none was seen.
    """
    if _sqlstate(error) == _LOCK_NOT_AVAILABLE:
        return LockTimeout(
            f"The PostgreSQL script of revision {script.revision} could not get a "
            f"table's lock within lock_timeout, {limits.lock_timeout_s:g} s"
            f"{held_by(blockers)}; its transaction was rolled back",
            holder="; ".join(blockers) or None,
            where=script.path,
            hint=f"{_END_IT if blockers else _SEE} "
            + how_to_raise("lock_timeout_s", "DUALMIGRATE_POSTGRES_LOCK_TIMEOUT_S")
            + f" It is retried up to {limits.lock_retries} times (--lock-retries).",
        )
    setting = _SESSION_LIMITS.get(_sqlstate(error) or "")
    if setting is not None:
        return ScriptError(
            f"The PostgreSQL script of revision {script.revision} took longer than the "
            f"server's {setting} allows: it ended the session",
            where=script.path,
            hint="Raise it for the role of the migrations (ALTER ROLE … SET), or in "
            f'the script: op.execute("SET LOCAL {setting} = 0").',
        )
    # The same state as after pg_cancel_backend(), whose message mentions a user.
    if _sqlstate(error) == _QUERY_CANCELED and "user request" not in str(error):
        seconds = limits.statement_timeout_s
        own = f", {seconds:g} s" if seconds else " of the server"
        return ScriptError(
            f"A statement in the PostgreSQL script of revision {script.revision} took "
            f"longer than statement_timeout{own}",
            where=script.path,
            hint=how_to_raise(
                "statement_timeout_s", "DUALMIGRATE_POSTGRES_STATEMENT_TIMEOUT_S"
            ),
        )
    return None


_END_IT = "End that transaction, or run the command at a quiet time."
_SEE = "Another session holds it: see pg_locks."


def held_by(blockers: Sequence[str]) -> str:
    """Return who held the lock it waited for, as a part of a sentence."""
    return f": held by {'; '.join(blockers)}" if blockers else ""


def _sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's code of an error, from psycopg's or psycopg2's attribute."""
    origin = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
    return None if code is None else str(code)
