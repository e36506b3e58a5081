"""How many bad inputs the matrix tries: a figure in a test's name, and in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import test_bad_input_app as app
from . import test_bad_input_arguments as arguments
from . import test_bad_input_endings as endings
from . import test_bad_input_history as history
from . import test_bad_input_output as output
from . import test_bad_input_privileges as privileges
from . import test_bad_input_running as running
from . import test_bad_input_scripts as scripts
from . import test_bad_input_servers as servers
from . import test_bad_input_tree as tree

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
PAGE = Path(__file__).parents[2] / "docs" / "messages.md"


@pytest.mark.parametrize("tried", [sum(TRIED.values())], ids="{}-bad-inputs".format)
def test_the_docs_say_how_many_are_tried(tried: int) -> None:
    assert f"{tried} bad inputs" in " ".join(PAGE.read_text().split()), TRIED
