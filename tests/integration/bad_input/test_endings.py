"""What a script's functions end with, once they are called: never with exit code 0.

sys.exit() in one of them must not pass for a migration that went well, nor a function
that only promises to do something.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from tests.support.bad_input import Row, check_refusal
from tests.support.bad_servers import Live

UP = ("upgrade", "--yes")
MADE = 'op.create_collection("made")'
FILLED = f'{MADE}\nop.insert("made", [{{"_id": 1}}])'


@dataclass(frozen=True)
class Ending:
    """How a function of a script ends. body: of upgrade(); more: below it.

    active: the sides in use. undone: whether nothing of it stays.
    """

    id: str
    says: str
    side: str
    body: str = "pass"
    more: str = ""
    active: str = "both"
    undone: bool = True


def run(options: str, code: str, arguments: str = "db") -> str:
    """Return the body of a Mongo upgrade that makes a collection and calls code."""
    body = textwrap.indent(code, "    ")
    return f"{MADE}\ndef call({arguments}):\n{body}\nop.run(call{options})"


def verify(code: str) -> str:
    return f"\ndef verify(db):\n    {code}\n"


EXIT = "raise SystemExit(0)"
CANCELLED = "import asyncio; raise asyncio.CancelledError"
UNDO = ", undo=lambda db: None"
TRANSFORM = (
    f'{FILLED}\ndef call(doc):\n    {EXIT}\nop.transform("made", call, undo=call'
)
ENDINGS = (
    *(
        Ending(f"run-exits-{active}", "raised SystemExit: 0", "mongo", body, "", active)
        for active in ("both", "mongo")
        for body in [run(UNDO, EXIT)]
    ),
    Ending("run-exits-and-stays", "undone): run(call) has no undo=", "mongo",
           run("", EXIT), undone=False),
    Ending("run-exits-in-a-transaction", "raised SystemExit: 0", "mongo",
           run(", transactional=True", EXIT, "db, session")),
    Ending("async-run-exits", "raised SystemExit: 0", "mongo",
           run(UNDO, EXIT).replace("def call", "async def call")),
    Ending("run-is-cancelled", "raised CancelledError", "mongo", run(UNDO, CANCELLED)),
    Ending("run-yields", "has a yield, and did not run", "mongo", run(UNDO, "yield")),
    Ending("run-yields-in-a-transaction", "has a yield, and did not run", "mongo",
           run(", transactional=True", "yield", "db, session")),
    Ending("transform-exits", "call() raised SystemExit: 0", "mongo", f"{TRANSFORM})"),
    Ending("transform-exits-in-parts", "call() raised SystemExit: 0", "mongo",
           f"{TRANSFORM}, workers=2)"),
    *(
        Ending(f"verify-exits-{side}-{active}", "SystemExit: 0", side, "pass",
               verify(EXIT), active)
        for side in ("mongo", "postgres")
        for active in ("both", side)
    ),
    *(
        Ending(f"verify-only-promises-{side}", "is async", side, "pass",
               "\nasync def later(db): ...\ndef verify(db): return later(db)\n")
        for side in ("mongo", "postgres")
    ),
    *(
        Ending(f"postgres-exits-{active}", "SystemExit", "postgres", EXIT, "", active)
        for active in ("both", "postgres")
    ),
    Ending("postgres-is-cancelled", "CancelledError", "postgres", CANCELLED),
    Ending("postgres-only-promises", "upgrade() has a yield", "postgres", "pass",
           "\ndef walk():\n    yield\ndef upgrade(): return walk()\n"),
)  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS, ids=[one.id for one in ENDINGS])
def test_a_function_that_ends_otherwise_has_failed(ending: Ending, live: Live) -> None:
    bench = live.bench = live.app(active=ending.active)
    assert bench.cli("upgrade", "c3c3", "--yes").exit_code == 0
    more = {f"{ending.side}_more": ending.more, ending.side: ending.body}
    bodies = {"mongo": MADE, "postgres": "op.create_table('made')", **more}
    bench.tree.add("d4d4", **bodies)
    bench.cli("init")
    row = Row(ending.id, UP, ("The upgrade of d4d4 failed", ending.says), code=1)
    for variant in ((), ("--json",), ("--debug",)):
        check_refusal(bench.cli(*UP, *variant), row, variant, {})
        there = {*sa.inspect(live.engine).get_table_names()}
        there |= {*live.mongo_db.list_collection_names()}
        assert ("made" in there) is not ending.undone
    repair = bench.cli("repair")
    assert repair.exit_code == (0 if ending.undone else 3), repair.output


def test_a_script_that_says_no_undo_can_be_mended_and_carried_on(live: Live) -> None:
    live.bench.tree.add("d4d4", mongo=run("", EXIT))
    live.bench.cli("init")
    assert live.bench.cli(*UP).exit_code == 1
    path = live.bench.tree.path("mongo", "d4d4")
    path.write_text(path.read_text().replace(EXIT, "db.log.insert_one({})"))
    done = live.bench.cli(*UP)
    assert done.exit_code == 0, done.output
    assert live.mongo_db.log.count_documents({}) == 1
    assert live.bench.cli("repair").exit_code == 0
