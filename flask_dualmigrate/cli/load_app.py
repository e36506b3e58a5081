"""Load the app of a command, so that an error in it is reported in one line.

Flask loads an app when it looks up one of the app's own commands, where no one can
catch what that raises. The entry point `flask.commands` in setup.cfg makes
the group known without the app, so that the app is loaded here.
"""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click
from flask import Flask, current_app, has_app_context
from flask.cli import NoAppException, ScriptInfo
from pymongo.errors import ConfigurationError
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

from ..config import urls_of
from ..errors import AppError, DualMigrateError, UsageError, conceal

_NOT_THE_USERS = {
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")),
    Path(__file__).parents[1],
}
_INSTALLED = {"site-packages", "dist-packages"}
_SHORTEST_WORD = 4
"""Characters: a shorter piece of a password could be part of any word."""

_NO_TABLE = re.compile(
    r"""(?ix) (relation|column)\ .*\ does\ not\ exist | no\ such\ (table|column)
    | (table|column)\ .*\ (doesn't|does\ not)\ exist | unknown\ column
    | invalid\ (object|column)\ name | ORA-00942 | ORA-00904"""
)
"""What servers report for a table or a column that does not exist yet."""

_URL_READERS = {
    "sqlalchemy.engine.url": (
        "SQLALCHEMY_DATABASE_URI",
        "postgresql+psycopg://HOST:PORT/DATABASE",
    ),
    "pymongo.": ("MONGO_URI", "mongodb://HOST:PORT/DATABASE"),
}
"""Prefix of a module that parses URLs -> the config key, and the form of its URL."""


def app_command(context: click.Context, name: str) -> click.Command | None:
    """Return a command of the app itself; None if it has none of that name.

    Raises UsageError of click if the app does not load.
    """
    try:
        app = push_app(context)
    except DualMigrateError as error:
        raise click.UsageError(str(error), ctx=context) from error
    return app.cli.get_command(context, name)


def push_app(context: click.Context) -> Flask:
    """Make a command run in the context of its app; return the app.

    Raises UsageError if there is no app, AppError if it does not load.
    """
    if has_app_context():
        return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]
    app = _load(context.ensure_object(ScriptInfo))
    context.with_resource(app.app_context())
    return app


def _load(info: ScriptInfo) -> Flask:
    try:
        return info.load_app()
    except NoAppException as error:
        # Flask reports an import that fails inside the app with a traceback.
        cause = error.__context__
        if isinstance(cause, ImportError) and _place(cause):
            raise _failure(cause) from cause
        raise UsageError(
            error.format_message().strip().splitlines()[0].rstrip("."),
            hint="Name the app: flask --app MODULE db-migrate …",
        ) from error
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    # An app that calls sys.exit() has not loaded either, whatever its code.
    except (Exception, SystemExit) as error:
        _conceal_what_it_knew(error)
        if isinstance(error, DualMigrateError):
            error.where = error.where or _place(error)
            raise
        url = _url_error(error)
        if url is not None:
            # The driver's message may contain a piece of the password.
            raise url.with_traceback(error.__traceback__) from None
        raise _failure(error) from error


def _failure(error: BaseException) -> AppError:
    _conceal_what_it_knew(error)
    return AppError(
        f"The app cannot be loaded: {_in_one_line(error)}",
        where=_place(error),
        hint=_hint(error),
    )


def _hint(error: BaseException) -> str:
    of_tables = isinstance(error, ProgrammingError | OperationalError)
    if of_tables and _NO_TABLE.search(_in_one_line(error)):
        return (
            "The app uses its tables while it is created, before the migration has "
            "created them. Skip that with: if not dualmigrate.is_migrating(): …"
        )
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return "Fix it there; --debug shows the traceback."
    if any("sqlalchemy" in module for module in _modules(error)):
        return (
            "Install this driver, or choose another one in SQLALCHEMY_DATABASE_URI: "
            "postgresql+psycopg://…"
        )
    return f"Install {error.name}, or fix the import; --debug shows the traceback."


def _url_error(error: BaseException) -> AppError | None:
    """Return the error for an invalid URL; None for any other error."""
    if not isinstance(error, ArgumentError | ConfigurationError | ValueError):
        return None
    for module in _modules(error):
        for begin, (key, form) in _URL_READERS.items():
            if module.startswith(begin):
                said = _in_one_line(error)
                detail = "" if _tells_a_secret(said, error) else f": {said}"
                return AppError(
                    f"The app cannot be loaded: {key} cannot be read{detail}",
                    where=_place(error),
                    hint=f"The form is {form}, with USER:PASSWORD@ before HOST; write "
                    "characters such as @ / and % there as %40 %2F and %25.",
                )
    return None


def _tells_a_secret(said: str, error: BaseException) -> bool:
    """Return whether a message contains part of what follows the user in a URL."""
    pieces = {
        piece
        for text in _texts(_frames(error))
        for piece in re.split(r"\W+", _after_the_user(text))
        if len(piece) >= _SHORTEST_WORD
    }
    return any(piece in said for piece in pieces)


def _after_the_user(url: str) -> str:
    login_on = url.partition("://")[2].partition(":")[2]
    return login_on.rpartition("@")[0] or login_on


def _conceal_what_it_knew(error: BaseException) -> None:
    """Redact the passwords of the URLs that were in scope when it failed.

    The app did not load, so its config cannot be read.
    """
    for frame in _frames(error):
        for value in frame.f_locals.values():
            if isinstance(value, Flask):
                for url in urls_of(value.config):
                    conceal(url)
    for text in _texts(_frames(error)):
        conceal(text)


def _texts(frames: Iterable[FrameType]) -> Iterator[str]:
    """Yield the URLs in the variables of frames and in the config of apps."""
    for frame in frames:
        for value in frame.f_locals.values():
            found: list[Any] = [value]
            if isinstance(value, Flask):
                found = [*urls_of(value.config)]
            yield from (each for each in found if _is_url(each))


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and "://" in value


def _frames(error: BaseException) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _modules(error: BaseException) -> list[str]:
    return [str(frame.f_globals.get("__name__")) for frame in _frames(error)]


def _place(error: BaseException) -> str | None:
    """Return the innermost file:line in the user's own code, or None."""
    if isinstance(error, SyntaxError) and error.filename and _is_users(error.filename):
        return f"{error.filename}:{error.lineno}"
    places = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_users(frame.f_code.co_filename)
    ]
    return places[-1] if places else None


def _is_users(filename: str) -> bool:
    path = Path(filename)
    return (
        path.suffix == ".py"
        and path.is_file()
        and _INSTALLED.isdisjoint(path.parts)
        and _NOT_THE_USERS.isdisjoint(path.parents)
    )


def _in_one_line(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = message.strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0].rstrip('.')}" if lines else name
