"""What all commands share: options, results and errors."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import math
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import click

from ..environment import Environment, leave_at_once
from ..errors import DualMigrateError, redact
from ..runtime.stopping import Interrupted, Stop
from .interrupted import facts_of
from .json_lines import JsonLines
from .load_app import push_app
from .output import give_up_stderr, prints_to_stderr, put, say
from .progress import Display
from .views import as_json, as_text

atexit.register(leave_at_once)

MakeEnvironment = Callable[..., Environment]
Verb = Callable[..., Any]


def command(
    path: str, *params: click.Parameter, asks: bool = False, scope: bool = False
) -> Callable[[Verb], Callable[[MakeEnvironment], click.Command]]:
    """Make a command of a verb `(env, **options) -> result`.

    path: its name, with that of its group before it, as in "index list".
    asks: it takes --yes. scope: it takes --backend.
    """

    def decorate(verb: Verb) -> Callable[[MakeEnvironment], click.Command]:
        def build(make_environment: MakeEnvironment) -> click.Command:
            options = [*params, *_common(asks=asks, scope=scope)]
            callback = _callback(verb, make_environment)
            command = click.Command(
                path.split()[-1], params=options, callback=callback, help=verb.__doc__
            )
            # So that -1 is a target and not an option; see target().
            command.ignore_unknown_options = path in ("upgrade", "downgrade")
            return command

        BUILDERS[path] = build
        return build

    return decorate


BUILDERS: dict[str, Callable[[MakeEnvironment], click.Command]] = {}
"""Path of a command -> the function that builds it, once its module is imported."""


def _common(*, asks: bool, scope: bool) -> list[click.Parameter]:
    options: list[click.Parameter] = []
    if asks:
        options.append(
            option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
        )
    if scope:
        sides = click.Choice(["postgres", "mongo", "both"])
        options.append(option("--backend", type=sides, help="Work on one side only."))
    return [
        *options,
        option(
            *("-d", "--directory"),
            help='The migrations directory (default: "migrations").',
        ),
        option(
            *("-x", "--x-arg"),
            multiple=True,
            help="An argument for the scripts, read with context.get_x_argument().",
        ),
        option("--json", "json_", is_flag=True, help="Print JSON."),
        option("--quiet", "-q", is_flag=True, help="Do not show progress."),
        option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            help="Format of stderr; json writes one object per line.",
        ),
        option("--debug", is_flag=True, help="Show the traceback of an error."),
    ]


def _callback(verb: Verb, make_environment: MakeEnvironment) -> Callable[..., None]:
    @click.pass_context
    @functools.wraps(verb)
    def callback(
        context: click.Context,
        /,
        *,
        directory: str | None,
        x_arg: tuple[str, ...],
        json_: bool,
        quiet: bool,
        log_format: str,
        debug: bool,
        backend: str | None = None,
        format_: str = "text",
        **options: Any,
    ) -> None:
        display = (JsonLines if log_format == "json" else Display)(quiet=quiet)
        stop = Stop(display.stopping)
        # A closed stdout is None in Python.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()  # what the app has printed comes before our lines
        try:
            with prints_to_stderr():
                push_app(context)
            with stop.listening(), display, prints_to_stderr():
                env = make_environment(
                    directory=directory,
                    x_arg=x_arg,
                    backend=backend,
                    on_step=display.step,
                    on_progress=display.progress,
                    on_wait=display.wait,
                    on_absent=display.absent,
                    on_backup=display.backup,
                    stop=stop,
                )
                result = verb(env, **options)
        except DualMigrateError as error:
            _fail(error, display, json_=json_, debug=debug)
        except (KeyboardInterrupt, click.Abort) as error:
            if stop.asked is None and isinstance(error, click.Abort):
                raise  # end of input at a prompt
            if isinstance(error, click.Abort):
                say()  # the prompt is on this line
            _leave(error, stop, display, json_=json_)
        except click.ClickException:
            raise
        # An app or a script that calls sys.exit() must not look like a success.
        except BaseException as error:
            if debug:
                display.trace(_traceback(error))
            what = _unforeseen(error)
            if json_:
                _put_facts({"type": type(error).__name__, "what": what})
            display.error(error, what)
            sys.exit(1)
        else:
            _show(result, display, "json" if json_ else format_)
            if not getattr(result, "ok", True):
                sys.exit(getattr(result, "exit_code", 3))
        finally:
            give_up_stderr()

    return callback


def _show(result: Any, display: Display, format_: str) -> None:
    """Print a result; if that fails, report it and exit."""
    json_ = format_ == "json"
    text = as_json(result) if json_ else as_text(result, format_)
    try:
        if text:
            put(text, json_=json_)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # `| head` has enough: click ends it without a word
        display.error(
            error,
            "The command succeeded, but its result cannot be written to stdout: "
            f"{error.strerror}. Free some space there; to see the current state, run: "
            "flask db-migrate status",
        )
        sys.exit(1)


def _put_facts(facts: Any) -> None:
    """Print the data of an error; stderr reports it even if this fails."""
    with contextlib.suppress(OSError):
        put(as_json(facts), json_=True)


def _leave(
    error: BaseException, stop: Stop, display: Display, *, json_: bool
) -> NoReturn:
    """Report how to carry on, and exit with the code of the signal."""
    if not isinstance(error, Interrupted):
        error = Interrupted(stop.asked or signal.SIGINT, stop.target)
    if json_:
        _put_facts(facts_of(error))
    display.stopped(error)
    sys.exit(error.exit_code)


def _unforeseen(error: BaseException) -> str:
    text = redact(str(error)).strip() or "no message"
    return (
        f"{type(error).__name__}: {text.splitlines()[0]}. "
        "For the traceback, run it again with --debug."
    )


def _fail(
    error: DualMigrateError, display: Display, *, json_: bool, debug: bool
) -> None:
    """Report an error in one paragraph on stderr, and exit with its code."""
    if debug:
        display.trace(_traceback(error))
    if json_:
        _put_facts(_facts(error))
    display.error(error, str(error))
    sys.exit(error.exit_code)


def _traceback(error: BaseException) -> str:
    return redact("".join(traceback.format_exception(error)))


def _facts(error: DualMigrateError) -> dict[str, Any]:
    """Return the data of an error for a program, without passwords or empty values."""
    facts: dict[str, Any] = {"type": type(error).__name__}
    for key, value in vars(error).items():
        if value and not key.startswith("_"):
            is_text = isinstance(value, str | BaseException)
            facts[key] = redact(str(value)) if is_text else value
    return facts


def target(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse an unknown option that click took for the target."""
    if value.startswith("-") and not value[1:].isdigit():
        raise click.NoSuchOption(value, ctx=context)
    return value


def argument(name: str, default: str | None = None) -> click.Argument:
    """Make an argument; it is required unless it has a default."""
    if default is None:
        # For click 8.3 and later, None would be a default, so never missing.
        return click.Argument([name], required=True)
    return click.Argument([name], required=False, default=default)


def option(*names: str, **more: Any) -> click.Option:
    return click.Option(list(names), **more)


class _Seconds(click.FloatRange):
    """A finite number of seconds; `nan` and `inf` would mean forever."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return found


WAIT = option(
    "--wait",
    "wait_s",
    type=_Seconds(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait up to this long for the databases to come up.",
)
"""For commands that may run while the databases are still starting."""
