"""`flask db-migrate …` without a server: its commands, their options and questions."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import click
import pytest

from flask_dualmigrate import cli
from flask_dualmigrate.cli import make_group
from flask_dualmigrate.cli.command import BUILDERS
from flask_dualmigrate.results import RunResult
from flask_dualmigrate.revisions import Direction

from .terminal import PutVerb, Terminal

COMMANDS = [
    *(
        "asides",
        "branches",
        "check",
        "current",
        "downgrade",
        "edit",
        "heads",
        "history",
        "init",
    ),
    *(
        "lint",
        "merge",
        "migrate",
        "repair",
        "restore",
        "revision",
        "show",
        "stamp",
        "status",
        "test",
        "unlock",
        "upgrade",
        "verify",
    ),
]
GROUPS = {
    "backup": ["create", "list", "prune", "verify"],
    "index": ["diff", "drop", "list", "rebuild", "sync"],
}
PATHS = [*COMMANDS, *(f"{name} {each}" for name in GROUPS for each in GROUPS[name])]
NOTHING = RunResult(Direction.UPGRADE, ())


def test_help_lists_the_commands_that_work_and_no_others(flask: Terminal) -> None:
    assert flask("--help") == 0

    listed = flask.out.partition("Commands:")[2].strip().splitlines()
    assert [line.split()[0] for line in listed] == sorted([*COMMANDS, *GROUPS])
    assert all(len(line.split()) > 2 for line in listed)


def test_the_help_of_a_command_is_listed_without_importing_it() -> None:
    context = click.Context(make_group("db-migrate", lambda: None))
    for path, (module, text) in cli.COMMANDS.items():
        found: click.Command | None = context.command
        for name in path.split():
            assert isinstance(found, click.Group)
            found = found.get_command(context, name)
        assert found is not None
        assert found.get_short_help_str(limit=200) == text
        assert found.callback.__module__ == f"flask_dualmigrate.cli.{module}"
    assert BUILDERS.keys() == cli.COMMANDS.keys()


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_commands(group: str, flask: Terminal) -> None:
    assert flask(group, "--help") == 0

    listed = flask.out.partition("Commands:")[2].strip().splitlines()
    assert [line.split()[0] for line in listed] == GROUPS[group]


@pytest.mark.parametrize("command", PATHS)
def test_every_command_explains_itself_and_its_options(
    command: str, flask: Terminal
) -> None:
    assert flask(*command.split(), "--help") == 0

    for option in ("-d, --directory", "-x, --x-arg", "--json", "--debug"):
        assert option in flask.out


@pytest.mark.parametrize(
    ("option", "takers"),
    [
        (
            "--yes",
            {
                *("upgrade", "downgrade", "stamp", "asides", "repair", "unlock"),
                "restore",
            },
        ),
        ("--on-error", {"upgrade", "downgrade"}),
        ("--purge-older-than", {"asides"}),
        ("--dry-run", {"upgrade", "downgrade"}),
        ("--backup", {"upgrade", "downgrade"}),
        ("--no-backup", {"upgrade", "downgrade"}),
        ("--sql", {"upgrade", "downgrade"}),
        ("--mongosh", {"upgrade", "downgrade"}),
        ("--lock-timeout", {"upgrade", "downgrade"}),
        ("--lock-retries", {"upgrade", "downgrade"}),
        ("--statement-timeout", {"upgrade", "downgrade"}),
        ("--max-time", {"upgrade", "downgrade"}),
        (
            "--backend",
            {
                *("upgrade", "downgrade", "stamp", "current", "status", "check"),
                *("unlock", "verify", "restore", "test"),
            },
        ),
        ("--head", {"revision", "migrate"}),
        ("--splice", {"revision", "migrate"}),
        ("--depends-on", {"revision", "migrate"}),
        ("--branch-label", {"revision", "migrate", "merge"}),
        ("--rev-id", {"revision", "migrate", "merge"}),
        ("--message", {"revision", "migrate", "merge"}),
        ("--autogenerate", {"revision"}),
        ("--pair", {"revision", "repair"}),
        ("--data", {"test"}),
        ("--sample", {"test"}),
        ("--embedded", {"test"}),
        ("--rev-range", {"history"}),
        ("--indicate-current", {"history"}),
    ],
)
def test_an_option_is_taken_where_it_has_a_meaning(
    option: str, takers: set[str]
) -> None:
    group = make_group("db-migrate", lambda: None)
    context = click.Context(group)
    having = {
        name
        for name in group.list_commands(context)
        for parameter in getattr(group.get_command(context, name), "params", ())
        if option in parameter.opts
    }

    assert having == takers


@pytest.mark.parametrize(
    ("args", "name", "target"),
    [
        (["upgrade"], "upgrade", "head"),
        (["upgrade", "heads"], "upgrade", "heads"),
        (["upgrade", "+2"], "upgrade", "+2"),
        (["upgrade", "left@head"], "upgrade", "left@head"),
        (["downgrade"], "downgrade", "-1"),
        (["downgrade", "-1"], "downgrade", "-1"),
        (["downgrade", "-12", "--yes"], "downgrade", "-12"),
        (["downgrade", "-y", "-1"], "downgrade", "-1"),
        (["downgrade", "-d", "other", "-2"], "downgrade", "-2"),
        (["downgrade", "left@-1"], "downgrade", "left@-1"),
        (["downgrade", "base"], "downgrade", "base"),
    ],
    ids=" ".join,
)
def test_a_target_is_taken_as_alembic_takes_it(
    args: list[str],
    name: str,
    target: str,
    flask: Terminal,
    verb: PutVerb,
) -> None:
    asked = verb(name, NOTHING)

    assert flask(*args) == 0
    assert asked[0]["target"] == target


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["upgrade", "--sideways"], "--sideways"),
        (["downgrade", "--sideways"], "--sideways"),
        (["downgrade", "-z"], "-z"),
        (["downgrade", "-1", "-2"], "-2"),
        (["upgrade", "head", "more"], "more"),
        (["upgrade", "--backend", "sqlite"], "sqlite"),
        (["status", "--yes"], "--yes"),
        (["sideways"], "sideways"),
        (["stamp", "a", "b"], "b"),
        (["index", "drop"], "Missing argument 'COLLECTION'"),
        (["index", "drop", "item"], "Missing argument 'NAME'"),
        (["index", "rebuild"], "Missing argument 'COLLECTION'"),
        (["index", "rebuild", "item"], "Missing argument 'NAME'"),
        (["repair", "--step", "0", "--done"], "Name a revision"),
        (["repair", "r1", "--step", "0"], "--done or --retry"),
        (["repair", "r1", "--done"], "--step N"),
        (["repair", "r1", "--done", "--retry", "--step", "0"], "--done or --retry"),
        (["repair", "r1", "--undo", "--accept-checksum"], "one of"),
        (["repair", "--undo"], "Name a revision"),
        (["verify", "--count-limit", "-1"], "--count-limit"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_no_option_and_what_is_left_out_is_wrong_usage(
    args: list[str], said: str, flask: Terminal, verb: PutVerb
) -> None:
    for name in ("upgrade", "downgrade", "status", "stamp"):
        verb(name, NOTHING)

    assert flask(*args) == 2
    assert said in flask.err
    assert flask.out == ""


def test_the_common_options_reach_the_environment(
    flask: Terminal, verb: PutVerb
) -> None:
    verb("upgrade", NOTHING)

    flask("upgrade", "-d", "other", "-x", "a=1", "-x", "b", "--backend", "mongo")

    given = flask.environment
    assert (given["directory"], given["backend"]) == ("other", "mongo")
    assert given["x_arg"] == ("a=1", "b")


def test_yes_asks_no_question(flask: Terminal, verb: PutVerb) -> None:
    asked = verb("upgrade", NOTHING)

    flask("upgrade")
    flask("upgrade", "--yes")

    assert asked[0]["options"].confirm is not None
    assert asked[1]["options"].confirm is None


def test_a_merge_joins_the_heads_unless_it_is_told_which(
    flask: Terminal, verb: PutVerb
) -> None:
    asked = verb("merge", "merged")

    flask("merge")
    flask("merge", "ab12", "cd34", "-m", "join")

    assert tuple(asked[0]["revisions"]) == ("heads",)
    assert tuple(asked[1]["revisions"]) == ("ab12", "cd34")
    assert asked[1]["message"] == "join"


@pytest.mark.parametrize(
    "more",
    [("-m", "x"), ("--autogenerate",), ("--head", "ab12"), ("--rev-id", "ab12")],
    ids=" ".join,
)
def test_a_partner_takes_no_option_that_would_be_ignored(
    more: tuple[str, ...], flask: Terminal
) -> None:
    assert flask("revision", "--pair", "ab12", *more) == 2
    assert "--pair takes no other option" in flask.err


def test_migrate_is_a_revision_from_the_models(flask: Terminal, verb: PutVerb) -> None:
    asked = verb("revision", "written")

    flask("migrate", "-m", "add status")

    assert asked[0]["autogenerate"] is True
    assert asked[0]["message"] == "add status"


def test_the_group_is_named_as_the_app_says() -> None:
    group = make_group("db", lambda: None)

    assert isinstance(group, click.Group)
    assert group.name == "db"


@pytest.fixture
def losing(verb: PutVerb) -> None:
    """An upgrade that takes something away, and asks before."""

    def run(asked: dict[str, Any]) -> RunResult:
        if asked["options"].confirm is not None:
            asked["options"].confirm(["ab12  drop field item.status (for good)"])
        return NOTHING

    verb("upgrade", run)


def test_an_error_that_nobody_foresaw_is_json_too(
    flask: Terminal, verb: PutVerb
) -> None:
    verb("upgrade", ZeroDivisionError("of postgresql://me:hidden@db/x"))

    assert flask("upgrade", "--json") == 1
    told = json.loads(flask.out)
    assert told["type"] == "ZeroDivisionError"
    assert told["what"] in flask.err
    assert "--debug" in told["what"]
    assert "hidden" not in flask.out + flask.err


@pytest.mark.usefixtures("losing")
def test_what_takes_something_away_needs_a_terminal_or_yes(flask: Terminal) -> None:
    assert flask("upgrade") == 2
    assert "  ab12  drop field item.status (for good)\n" in flask.err
    assert "Nothing was changed." in flask.err
    assert "--yes" in flask.err

    assert flask("upgrade", "--yes") == 0


@pytest.mark.usefixtures("losing")
def test_what_it_takes_away_is_told_to_a_program_too(flask: Terminal) -> None:
    assert flask("upgrade", "--json", "--log-format", "json") == 2

    (line,) = flask.err.splitlines()
    for told in (json.loads(line), json.loads(flask.out)):
        assert told["type"] == "Unconfirmed"
        assert told["losses"] == ["ab12  drop field item.status (for good)"]


@pytest.mark.usefixtures("losing")
@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_person_is_asked_and_no_is_the_default(
    answer: str, code: int, flask: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyboard = io.StringIO(answer)
    monkeypatch.setattr(keyboard, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", keyboard)

    assert flask("upgrade") == code
    assert "Go on?" in flask.err
