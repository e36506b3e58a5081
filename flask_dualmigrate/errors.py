"""The exception tree.

    DualMigrateError            what, where, hint; the exit code of its class
    ├── ScriptError             1  a script failed
    │   ├── OperationError         an operation on MongoDB failed
    │   └── PartialFailure         a run stopped halfway through its plan
    ├── UsageError              2  wrong usage
    │   ├── TreeError              the migrations directory is broken
    │   │   └── Irreversible              a script cannot be downgraded
    │   ├── AppError               the app cannot be loaded
    │   ├── ModelsError            the app's models or documents cannot be used
    │   └── Unconfirmed            data would be removed, and no one confirmed it
    ├── IntegrityError          3  pending, different, edited or in doubt
    │   └── StepInDoubt            a crash left it begun: a person has to look
    ├── DatabaseUnavailable     4  a database cannot be reached or used
    │   ├── BackupError            no backup can be made: nothing was migrated
    │   ├── OutcomeUnknown         it went away while it decided
    │   └── EmbeddedServerError    a server from the wheels does not start
    └── LockTimeout             5  could not get the lock in time
        └── LockLost               the lease expired during the run

Every error says what happened, where, and what to do next, and keeps its data as
attributes. `redact` takes passwords out of any text that came from elsewhere: those in
URLs and DSNs, and those given to `conceal`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus, unquote

from .text import cut, visible

_PASSWORD_IN_URL = re.compile(r"(?P<head>://[^:/?#\s]*:)[^\s]*(?=@)")
_PASSWORD_IN_DSN = re.compile(
    r"(?i)((?:password|passwd|pwd)['\"]?\s*[=:]\s*)"
    r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s&;,]+)"
)


_known: set[str] = set()
"""Passwords of this process's apps, as given to `conceal`, in all spellings."""


def conceal(url: Any) -> None:
    """Make `redact` remove the password of a URL anywhere, in any quoting.

    url: a text, or SQLAlchemy's URL; anything else has no password. A short password is
    redacted only inside a URL: elsewhere it may be part of another word.
    """
    given = getattr(url, "password", None)
    found = [] if given is None else [str(given)]
    if isinstance(url, str):
        match = _PASSWORD_OF_URL.search(url)
        found = [] if match is None else [match[1], unquote(match[1])]
    for password in found:
        if len(password) >= _SHORTEST and not password.isalpha():
            plain = {password, quote_plus(password), quote(password, safe="")}
            _known.update(plain, {quote(password, safe=" +"), repr(password)[1:-1]})


_SHORTEST = 6
_PASSWORD_OF_URL = re.compile(r"(?s)://[^:/?#@]*:(.*)@")


def redact(text: str) -> str:
    """Replace the passwords of URLs and of DSNs in a text by ``***``."""
    # The longest first: one spelling may be a part of another.
    for password in sorted(_known, key=len, reverse=True):
        text = text.replace(password, "***")
    text = _PASSWORD_IN_URL.sub(r"\g<head>***", text)
    return _PASSWORD_IN_DSN.sub(r"\1***", text)


def shown(text: str) -> str:
    """Return a text for people: in one line, without passwords, and cut.

    Characters that control a terminal are escaped.
    """
    return visible(" ".join(cut(redact(text)).splitlines()))


class DualMigrateError(Exception):
    """Base of all errors of this package.

    what: one sentence that says what happened.
    where: the file, revision, collection or server where it happened. hint: what to do
    next, a command if there is one.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None
    ) -> None:
        self.what = shown(what)
        self.where = shown(where) if where else None
        self.hint = shown(hint) if hint else None
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.what}{where}.{hint}"


class ScriptError(DualMigrateError):
    """A migration script failed; both databases stand where the message says."""


class OperationError(ScriptError):
    """One operation on MongoDB failed.

    step: the index of the operation in its script, from 0.
    """

    def __init__(
        self,
        what: str,
        *,
        step: int | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.step = step


class PartialFailure(ScriptError):
    """A run stopped before its target.

    applied: ids of the revisions that this run completed, in order.
    failed: id of the revision that failed.
    untouched: ids of the revisions that were not begun.
    error: what made it fail.
    """

    def __init__(
        self,
        what: str,
        *,
        applied: Sequence[str],
        failed: str,
        untouched: Sequence[str],
        error: BaseException,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, hint=hint)
        self.applied = tuple(applied)
        self.failed = failed
        self.untouched = tuple(untouched)
        self.error = error


class UsageError(DualMigrateError):
    """The command or function was called incorrectly; nothing was changed."""

    exit_code = 2


class TreeError(UsageError):
    """The migrations directory is broken; no database was touched."""


class Irreversible(TreeError):
    """A script has no downgrade, or raises an exception instead."""


class AppError(UsageError):
    """The Flask app does not load."""


class ModelsError(UsageError):
    """The app's models or documents cannot be used."""


class Unconfirmed(UsageError):
    """The requested command removes data, and no one confirmed it.

    losses: what would be permanently lost, one line each.
    """

    def __init__(self, what: str, *, losses: Sequence[str], hint: str) -> None:
        super().__init__(what, hint=hint)
        self.losses = tuple(map(shown, losses))


class IntegrityError(DualMigrateError):
    """Something is pending, different, edited or in doubt.

    findings: one line each, for `check`; empty elsewhere.
    """

    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        findings: Sequence[str] = (),
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.findings = tuple(findings)


class StepInDoubt(IntegrityError):
    """A crash interrupted a step that must not run twice: it may be done or not.

    Nothing is run or undone until `repair` settles which.
    """


class DatabaseUnavailable(DualMigrateError):
    """A database cannot be reached, or cannot do what the plan needs."""

    exit_code = 4


class BackupError(DatabaseUnavailable):
    """A backup cannot be made; nothing was migrated."""


class OutcomeUnknown(DatabaseUnavailable):
    """The connection was lost during COMMIT, so the outcome is not yet known.

    The other side is left as it is: the next run asks, and closes or continues it.
    """


class EmbeddedServerError(DatabaseUnavailable):
    """A server from the wheels does not start."""


class LockTimeout(DualMigrateError):
    """Another process holds the lock, and did not release it within time.

    holder: who holds it, in words; None if it could not be read.
    """

    exit_code = 5

    def __init__(
        self,
        what: str,
        *,
        holder: str | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.holder = holder

    @classmethod
    def of(cls, server: str, holder: object, timeout_s: float) -> LockTimeout:
        """Return the error for a wait that took too long. holder: None: no one now."""
        words = "no one any more" if holder is None else str(holder)
        return cls(
            f"Another migration holds the lock on {server}, and did not release it "
            "within "
            f"{timeout_s:g} s",
            holder=words,
            where=words,
            hint="Wait for it, or raise DUALMIGRATE_LOCK_TIMEOUT_S. If it hangs or is "
            "gone: flask db-migrate unlock",
        )


class LockLost(LockTimeout):
    """The lease expired during the run; nothing was written after that."""
