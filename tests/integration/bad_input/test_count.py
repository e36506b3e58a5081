"""How many bad inputs the matrix tries: a figure in a test's name, and in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.bad_input import test_app as app
from tests.integration.bad_input import test_arguments as arguments
from tests.integration.bad_input import test_endings as endings
from tests.integration.bad_input import test_history as history
from tests.integration.bad_input import test_output as output
from tests.integration.bad_input import test_privileges as privileges
from tests.integration.bad_input import test_running as running
from tests.integration.bad_input import test_scripts as scripts
from tests.integration.bad_input import test_servers as servers
from tests.integration.bad_input import test_tree as tree

TRIED = {
    "app": len(app.ROWS),
    "tree": len(tree.ROWS),
    "arguments": len(arguments.ROWS) + len(arguments.MESSAGES),
    "scripts": len(scripts.ROWS),
    "endings": len(endings.ENDINGS),
    "output": len(output.ROWS) + len(output.LIVE),
    "history": len(history.STORIES),
    "servers": len(servers.SERVERS) + len(servers.ALONE),
    "privileges": len(privileges.ACCOUNTS),
    "running": len(running.SCRIPTS) + 2 * len(running.LEAKS) + len(running.ALONE),
}
PAGE = Path(__file__).parents[3] / "docs" / "messages.md"


@pytest.mark.parametrize("tried", [sum(TRIED.values())], ids="{}-bad-inputs".format)
def test_the_docs_say_how_many_are_tried(tried: int) -> None:
    assert f"{tried} bad inputs" in " ".join(PAGE.read_text().split()), TRIED
