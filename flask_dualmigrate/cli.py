"""`flask db-migrate …`: options in, results out, errors to exit codes."""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import click
from flask.cli import with_appcontext

from . import authoring, commands
from .console import as_json, as_text
from .environment import Environment
from .errors import DualMigrateError, UsageError, redact
from .mongo.runner import Progress
from .results import CheckResult
from .revision import Step

MakeEnvironment = Callable[..., Environment]
Verb = Callable[..., Any]


def make_group(name: str, make_environment: MakeEnvironment) -> click.Group:
    """Return the command group. make_environment: as `extension.environment_of`."""
    group = click.Group(name, help="Migrate PostgreSQL and MongoDB, in lock-step.")
    for command in _COMMANDS:
        group.add_command(command(make_environment))
    return group


def _command(
    name: str, *params: click.Parameter, asks: bool = False, scope: bool = False
) -> Callable[[Verb], Callable[[MakeEnvironment], click.Command]]:
    """Make a command of a verb `(env, **options) -> result`.

    asks: it takes --yes. scope: it takes --backend.
    """

    def decorate(verb: Verb) -> Callable[[MakeEnvironment], click.Command]:
        def build(make_environment: MakeEnvironment) -> click.Command:
            options = [*params, *_common(asks=asks, scope=scope)]
            callback = _callback(verb, make_environment)
            command = click.Command(
                name, params=options, callback=callback, help=verb.__doc__
            )
            # So that -1 is a target, and not an option; see _target().
            command.ignore_unknown_options = name in ("upgrade", "downgrade")
            return command

        _COMMANDS.append(build)
        return build

    return decorate


_COMMANDS: list[Callable[[MakeEnvironment], click.Command]] = []


def _common(*, asks: bool, scope: bool) -> list[click.Parameter]:
    options: list[click.Parameter] = []
    if asks:
        options.append(
            click.Option(["--yes", "-y"], is_flag=True, help="Ask no question.")
        )
    if scope:
        options.append(
            click.Option(
                ["--backend"],
                type=click.Choice(["postgres", "mongo", "both"]),
                help="Work on one side only, of those in use.",
            )
        )
    return [
        *options,
        click.Option(
            ["-d", "--directory"], help='The migrations directory ("migrations").'
        ),
        click.Option(
            ["-x", "--x-arg"],
            multiple=True,
            help="An argument for the scripts: context.get_x_argument().",
        ),
        click.Option(["--json", "json_"], is_flag=True, help="Print JSON."),
        click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
    ]


def _callback(verb: Verb, make_environment: MakeEnvironment) -> Callable[..., None]:
    @with_appcontext
    @functools.wraps(verb)
    def callback(
        *,
        directory: str | None,
        x_arg: tuple[str, ...],
        json_: bool,
        debug: bool,
        backend: str | None = None,
        **options: Any,
    ) -> None:
        try:
            env = make_environment(
                directory=directory,
                x_arg=x_arg,
                backend=backend,
                on_step=_say_step,
                on_progress=_Progress(),
                on_wait=_say_wait,
            )
            result = verb(env, **options)
        except DualMigrateError as error:
            _fail(error, json_=json_, debug=debug)
        except KeyboardInterrupt:
            click.echo(_INTERRUPTED, err=True)
            sys.exit(130)
        except (click.ClickException, click.Abort):
            raise
        except Exception as error:
            if debug:
                raise
            click.secho(f"Error: {_unforeseen(error)}", fg="red", err=True)
            sys.exit(1)
        else:
            click.echo(as_json(result) if json_ else as_text(result))
            if isinstance(result, CheckResult) and not result.ok:
                sys.exit(3)

    return callback


_INTERRUPTED = (
    "Interrupted. What was begun stands in the journal; the same command carries it on."
)


def _unforeseen(error: Exception) -> str:
    text = redact(str(error)).strip() or "no message"
    return (
        f"{type(error).__name__}: {text.splitlines()[0]}. "
        "For the traceback, run it again with --debug."
    )


def _fail(error: DualMigrateError, *, json_: bool, debug: bool) -> None:
    """Say an error in one paragraph on stderr, and leave with its exit code."""
    if debug:
        click.echo(redact("".join(traceback.format_exception(error))), err=True)
    if json_:
        click.echo(as_json(_facts(error)))
    click.secho(f"Error: {redact(str(error))}", fg="red", err=True)
    for note in getattr(error, "__notes__", ()):
        click.echo(redact(note), err=True)
    sys.exit(error.exit_code)


def _facts(error: DualMigrateError) -> dict[str, Any]:
    """Return what an error knows, for a program: no password, and nothing empty."""
    facts: dict[str, Any] = {"type": type(error).__name__}
    for key, value in vars(error).items():
        if value and not key.startswith("_"):
            is_text = isinstance(value, str | BaseException)
            facts[key] = redact(str(value)) if is_text else value
    return facts


def _say_step(step: Step) -> None:
    sides = " and ".join(name.label for name in reversed(step.backends))
    verb = "Upgrading" if step.direction == "upgrade" else "Downgrading"
    click.echo(
        f"{verb} {step.revision.id} ({step.revision.message}) on {sides}", err=True
    )


def _say_wait(holder: str) -> None:
    click.echo(f"Waiting for another migration: {holder}", err=True)


class _Progress:
    """Says on stderr how far a long operation is; once a second, from the first on."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last_s < 1.0 or not progress.done:
            return
        self._last_s = now
        total = f" of {progress.total:,}" if progress.total is not None else ""
        click.echo(f"  {progress.verb}: {progress.done:,}{total} documents", err=True)


def _target(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse an option that is none, which click took for the target."""
    if value.startswith("-") and not value[1:].isdigit():
        raise click.NoSuchOption(value, ctx=context)
    return value


def _argument(name: str, default: str | None = None) -> click.Argument:
    return click.Argument([name], required=default is None, default=default)


def _option(*names: str, **more: Any) -> click.Option:
    return click.Option(list(names), **more)


_HEADER = (
    _option("--head", default="head", help="The revision that this one follows."),
    _option("--splice", is_flag=True, help="Let it follow one that is no head."),
    _option("--branch-label", help="A name for the branch that begins here."),
    _option("--depends-on", multiple=True, help="A revision that must come before."),
    _option("--rev-id", help="The id, instead of a random one."),
)
_TARGET_UP = click.Argument(["target"], default="head", callback=_target)
_DRY_RUN = _option(
    "--dry-run", is_flag=True, help="Say what it would do, and touch nothing."
)


@_command("init")
def _init(env: Environment) -> Any:
    """Make the migrations directory, or complete one."""
    return authoring.init(env)


@_command(
    "revision",
    _option("-m", "--message", default="", help="What it changes."),
    _option("--autogenerate", is_flag=True, help="Write what the models changed."),
    _option("--pair", help="Write the missing partner of this revision."),
    *_HEADER,
)
def _revision(env: Environment, **options: Any) -> Any:
    """Write a new revision: an Alembic script and a Mongo script."""
    return authoring.revision(env, **options)


@_command(
    "migrate", _option("-m", "--message", default="", help="What it changes."), *_HEADER
)
def _migrate(env: Environment, **options: Any) -> Any:
    """Write a revision from the models (`revision --autogenerate`)."""
    return authoring.revision(env, autogenerate=True, **options)


@_command("edit", _argument("revision", "head"))
def _edit(env: Environment, revision: str) -> Any:
    """Open both scripts of a revision in $EDITOR."""
    paths = authoring.script_paths(env, revision)
    named = any(os.environ.get(key) for key in ("VISUAL", "EDITOR"))
    if not named and not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to open an editor in", hint="Set EDITOR to one."
        )
    for path in paths:
        click.edit(filename=path)
    return "\n".join(f"Edited {path}" for path in paths)


@_command("upgrade", _TARGET_UP, _DRY_RUN, asks=True, scope=True)
def _upgrade(env: Environment, target: str, dry_run: bool, yes: bool) -> Any:
    """Bring the databases up to a revision (head)."""
    confirm = None if yes else _ask
    return commands.upgrade(env, target, dry_run=dry_run, confirm=confirm)


@_command(
    "downgrade",
    click.Argument(["target"], default="-1", callback=_target),
    _DRY_RUN,
    asks=True,
    scope=True,
)
def _downgrade(env: Environment, target: str, dry_run: bool, yes: bool) -> Any:
    """Take the databases down to a revision (-1: one below)."""
    confirm = None if yes else _ask
    return commands.downgrade(env, target, dry_run=dry_run, confirm=confirm)


@_command("stamp", _argument("revision", "head"), scope=True)
def _stamp(env: Environment, revision: str) -> Any:
    """Mark the databases as being at a revision; run nothing."""
    return commands.stamp(env, revision)


@_command(
    "repair",
    _argument("revision"),
    _option("--step", type=click.IntRange(min=0), required=True, help="Its number."),
    _option("--done", is_flag=True, help="It did its work."),
    _option("--retry", is_flag=True, help="Call it again."),
)
def _repair(env: Environment, revision: str, step: int, done: bool, retry: bool) -> Any:
    """Decide a step that a crash left in doubt."""
    if done is retry:
        raise UsageError("Say --done or --retry", hint="Look first at what it did.")
    return commands.repair(env, revision, step, done=done)


@_command("current", scope=True)
def _current(env: Environment) -> Any:
    """Say where the databases stand."""
    return commands.current(env)


@_command("status", scope=True)
def _status(env: Environment) -> Any:
    """Say of each revision where it is applied, since when, and how long it took."""
    return commands.status(env)


@_command(
    "history",
    _option("-r", "--rev-range", help="FROM:TO; either may be left out."),
    _option("-i", "--indicate-current", is_flag=True, help="Mark where they stand."),
)
def _history(env: Environment, rev_range: str | None, indicate_current: bool) -> Any:
    """List the revisions, newest first."""
    return commands.history(env, rev_range, indicate_current=indicate_current)


@_command("show", _argument("revision", "head"))
def _show(env: Environment, revision: str) -> Any:
    """Show one revision: its files, and all attempts at it."""
    return commands.show(env, revision)


@_command("heads")
def _heads(env: Environment) -> Any:
    """List the revisions that nothing follows."""
    return commands.heads(env)


@_command("branches")
def _branches(env: Environment) -> Any:
    """List the revisions that more than one follows."""
    return commands.branches(env)


@_command(
    "merge",
    click.Argument(["revisions"], nargs=-1),
    _option("-m", "--message", default="", help="What it joins."),
    _option("--branch-label", help="A name for the branch that begins here."),
    _option("--rev-id", help="The id, instead of a random one."),
)
def _merge(env: Environment, revisions: tuple[str, ...], **options: Any) -> Any:
    """Write a revision that joins several heads."""
    return authoring.merge(env, revisions or ("heads",), **options)


@_command("check", scope=True)
def _check(env: Environment) -> Any:
    """Look for what is pending, missing, edited or different (exit code 3)."""
    return commands.check(env)


def _ask(losses: Sequence[str]) -> None:
    """Show what would be gone for good, and ask; never without a terminal."""
    click.echo("This takes away, for good:", err=True)
    for line in losses:
        click.echo(f"  {line}", err=True)
    if not sys.stdin.isatty():
        raise UsageError(
            "It takes something away, and there is no terminal to ask at",
            hint="Nothing was changed. To go on without a question, say --yes.",
        )
    if not click.confirm("Go on?", err=True):
        raise UsageError("You said no; nothing was changed")
