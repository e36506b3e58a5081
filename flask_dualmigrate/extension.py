"""DualMigrate, the extension object, and init_app().

Each `flask …` of an app imports this module. So it imports at the top what such an app
has already, and the rest where it is needed.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask import Blueprint, Flask, current_app, has_app_context
from flask.cli import FlaskGroup

from .cli import COMMAND, LoadingGroup, make_group
from .errors import DualMigrateError, IntegrityError, UsageError, conceal, shown

if TYPE_CHECKING:
    from flask_pymongo import PyMongo
    from flask_sqlalchemy import SQLAlchemy

    from .config import Active, CollectionMap, Config, Documents, FieldMap
    from .environment import Environment
    from .health import Probe
    from .run.readiness import Readiness

log = logging.getLogger(__name__)

EXTENSION = "dualmigrate"
ALLOW = "DUALMIGRATE_ALLOW_DESTRUCTIVE"
AUTO_UPGRADE = (True, False, "check")
_NO_UPGRADE = ("", "shell", "routes")
"""Commands that create the app without an upgrade; the empty one is `--help`."""
_COMPLETION = re.compile(r"_\w+_COMPLETE")


class DualMigrate:
    """Paired migrations for one or more apps.

    app, db, mongo: as for any Flask extension; without an app call init_app() later.
        Without `mongo` the app has only the SQL side; a string in its place is the
        directory, as in Flask-Migrate.
    directory: the migrations directory, relative to the app's root_path's parent
        (where `flask` is run), as in Flask-Migrate.
    active: "postgres", "mongo", "both", or a callable that says so: the sides that this
        deployment uses. The other one is never connected to.
    collections: table name -> collection name, a dict or a callable; None for a table
        that has no collection. fields: "table.column" -> field name, in the same form.
    documents: Beanie's document classes, or their dotted paths, or a callable that
        returns them: what they declare counts for `index diff` and `index sync`.
    auto_upgrade: True upgrades when the app is created; "check" refuses to start when
        revisions are pending.
    command: another name for the command group, besides "db-migrate".
    alembic_options: arguments for Alembic's EnvironmentContext.configure().
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: SQLAlchemy | None = None,
        mongo: PyMongo | str | None = None,
        directory: str = "migrations",
        *,
        active: Active = "both",
        collections: CollectionMap | None = None,
        fields: FieldMap | None = None,
        documents: Documents = (),
        auto_upgrade: bool | str = False,
        command: str = COMMAND,
        **alembic_options: Any,
    ) -> None:
        if isinstance(mongo, str):
            directory, mongo = mongo, None
        self.db = db
        self.mongo = mongo
        self._commands = {command, COMMAND}
        self._settings: dict[str, Any] = {
            "directory": str(directory),
            "active": active,
            "collections": collections,
            "fields": fields,
            "documents": documents,
            "auto_upgrade": auto_upgrade,
            "command": command,
        }
        self._alembic_options = alembic_options
        if app is not None:
            self.init_app(app, db, mongo)

    def init_app(
        self,
        app: Flask,
        db: SQLAlchemy | None = None,
        mongo: PyMongo | None = None,
        directory: str | None = None,
        **settings: Any,
    ) -> None:
        """Register with an app; arguments given here override the constructor's.

        Call it after db.init_app(app) and mongo.init_app(app).
        Raises UsageError for an invalid setting; with auto_upgrade, what upgrade()
        raises.
        """
        given = {**self._settings, **_own(settings, self._settings)}
        if directory is not None:
            given["directory"] = str(directory)
        options = {**self._alembic_options, **_others(settings, self._settings)}
        registered = Registered(app, db or self.db, mongo or self.mongo, given, options)
        app.extensions[EXTENSION] = registered
        app.cli.add_command(make_group(given["command"], environment_of))
        self._commands.add(given["command"])
        serves = _asked_for() not in {*self._commands, *_NO_UPGRADE}
        if given["auto_upgrade"] and serves:
            registered.on_start(given["auto_upgrade"])

    def is_migrating(self) -> bool:
        """Return whether the app is being created for `flask db-migrate …`.

        The tables and collections may then be missing, or differ from the models. A
        factory that reads or seeds them skips that: `if not dualmigrate.is_migrating():
        seed_the_admin()`.
        """
        return _asked_for() in self._commands

    @cached_property
    def health_blueprint(self) -> Blueprint:
        """Answers the probes of an orchestrator, once an app registers it.

        GET /healthz/ready: 200 if the databases are at head, else 503, with the ids of
        the revisions that are pending. GET /healthz/live: 200, without asking a
        database. app.register_blueprint(dualmigrate.health_blueprint, url_prefix=…)
        puts them elsewhere.
        """
        from .health import make_blueprint

        return make_blueprint(lambda: _registered().probe.ask())


class Registered:
    """What one app keeps in app.extensions["dualmigrate"]."""

    def __init__(
        self,
        app: Flask,
        db: SQLAlchemy | None,
        mongo: PyMongo | None,
        settings: dict[str, Any],
        alembic_options: dict[str, Any],
    ) -> None:
        if db is None:
            raise UsageError(
                "DualMigrate has no db", hint="Call init_app(app, db, mongo)."
            )
        if settings["auto_upgrade"] not in AUTO_UPGRADE:
            raise UsageError(
                f"auto_upgrade= must be True, False or 'check', not "
                f"{settings['auto_upgrade']!r}",
                hint="Fix it where DualMigrate is created.",
            )
        self.app = app
        self.db = db
        self.mongo = mongo
        self.settings = settings
        self.alembic_options = alembic_options

    @cached_property
    def probe(self) -> Probe:
        """Asks the databases for an orchestrator."""
        from .health import Probe

        return Probe(self._read)

    def _read(self) -> Readiness:
        from .run.readiness import Readiness

        with self.app.app_context():
            if self._is_plainly_at_head(apart=False):
                return Readiness()
            return self.environment().run.readiness()

    def _is_plainly_at_head(self, *, apart: bool) -> bool:
        from .at_head import is_plainly_at_head

        return is_plainly_at_head(self.db, self.mongo, self._config(), apart=apart)

    def environment(
        self, *, directory: str | None = None, x_arg: Sequence[str] = (), **more: Any
    ) -> Environment:
        """Return the environment for one run. more: as Environment takes them."""
        from .environment import Environment

        config = self._config(directory, x_arg)
        return Environment(self.app, self.db, self.mongo, config, **more)

    def _config(
        self, directory: str | None = None, x_arg: Sequence[str] = ()
    ) -> Config:
        """Return the settings of one run; their passwords are redacted from now on."""
        from .config import Config, urls_of

        for url in urls_of(self.app.config):
            conceal(url)
        return Config.from_mapping(
            {**self.app.config, **_given_for_this_run()},
            directory=_directory(directory or self.settings["directory"]),
            active=self.settings["active"],
            collections=self.settings["collections"],
            fields=self.settings["fields"],
            documents=self.settings["documents"],
            alembic_options=self.alembic_options,
            x_arg=tuple(x_arg),
        )

    def on_start(self, auto_upgrade: bool | str) -> None:
        """Upgrade, or check that nothing is pending; takes no lock if already at head.

        Raises what `migrate` raises, without the frames below: each worker of a server
        prints them, and the reason would be lost among them.
        """
        with self.app.app_context():
            try:
                if not self._is_plainly_at_head(apart=True):
                    self._look_closer(auto_upgrade)
            except DualMigrateError as error:
                log.debug("The app does not start", exc_info=True)
                raise error.with_traceback(None) from None

    def _look_closer(self, auto_upgrade: bool | str) -> None:
        from .runtime.events import ALEMBIC_STEPS, no_less_than_warnings
        from .verbs.run_scripts import upgrade_unasked

        env = self.environment(on_wait=_log_wait, own_client=True)
        try:
            with no_less_than_warnings(ALEMBIC_STEPS):
                if auto_upgrade == "check":
                    _refuse_unready(env.run.readiness())
                elif not env.run.at_head():
                    upgrade_unasked(env)
        finally:
            env.dispose()


def _directory(name: str) -> Path:
    """Return the migrations directory as an absolute path; it may not exist.

    Raises UsageError for what cannot be one, or cannot be accessed.
    """
    try:
        path = Path(name).absolute()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (OSError, ValueError) as error:
        raise UsageError(
            "The migrations directory is invalid: "
            f"{getattr(error, 'strerror', None) or error}",
            where=name,
            hint="Choose another one with -d, or change to the folder of the app.",
        ) from error
    return path


def _given_for_this_run() -> dict[str, str]:
    """Return the settings that environment variables override."""
    return {ALLOW: os.environ[ALLOW]} if ALLOW in os.environ else {}


def environment_of(**arguments: Any) -> Environment:
    """Return the environment for one run of the current app.

    Raises UsageError outside an app context, or if the app has no DualMigrate.
    """
    return _registered().environment(**arguments)


def _registered() -> Registered:
    if not has_app_context():
        raise UsageError(
            "There is no current app", hint="Use it in `with app.app_context():`."
        )
    registered = current_app.extensions.get(EXTENSION)
    if not isinstance(registered, Registered):
        raise UsageError(
            "This app has no DualMigrate", hint="Call dualmigrate.init_app(app, db, …)."
        )
    return registered


def _refuse_unready(readiness: Readiness) -> None:
    """Raise IntegrityError if the databases do not match this code."""
    from .run.plan import refuse_two_pairs

    if not readiness.paired:
        refuse_two_pairs()
    if readiness.half_done:
        raise IntegrityError(
            f"A migration of the databases is half done: "
            f"{', '.join(readiness.half_done)}",
            hint="For your options: flask db-migrate repair",
        )
    if readiness.pending:
        raise IntegrityError(
            f"The databases are behind this code: {', '.join(readiness.pending)}",
            hint="Run: flask db-migrate upgrade",
        )
    if readiness.ahead:
        log.warning(
            "The databases are ahead of this code: they have %s",
            ", ".join(map(repr, readiness.ahead)),
        )


def _log_wait(holder: str) -> None:
    log.warning("Waiting for another migration: %s", shown(holder))


def _asked_for() -> str | None:
    """Return the command that `flask` creates the app for; None if there is none.

    It is empty for `--help`, and for shell completion, which creates the app without
    any context.
    """
    if any(_COMPLETION.fullmatch(name) for name in os.environ):
        return ""
    context = click.get_current_context(silent=True)
    while context is not None and not isinstance(context.command, FlaskGroup):
        context = context.parent
    if context is None:
        return None
    known = context.invoked_subcommand
    words = [known] if known else _words_of_the_command()
    if not words or not set(words).isdisjoint(context.help_option_names):
        return ""
    return words[0]


def _words_of_the_command() -> list[str]:
    """Return the command that click looks up right now, and its arguments.

    An app's own command is looked up in the app, which is created for that, before
    click stores the requested command in its context. So it is read from the stack.
    Empty if no command is looked up: `flask --help` lists them.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is click.Group.resolve_command.__code__:
            return [str(word) for word in frame.f_locals["args"]]
        frame = frame.f_back
    return []


flask_command = make_group(COMMAND, environment_of, LoadingGroup)
"""`commands.flask_command`, where the entry point of an older installation has it."""


def _own(settings: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key in known}


def _others(settings: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in known}
