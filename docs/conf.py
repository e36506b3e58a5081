"""How Sphinx builds the documentation."""

from __future__ import annotations

import logging
import re
from importlib.metadata import version as installed_version
from itertools import groupby
from typing import Any

from sphinx.application import Sphinx

project = "Flask-DualMigrate"
author = "Flask-DualMigrate contributors"
project_copyright = f"2026, {author}"
release = installed_version(project)
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
default_role = "code"

html_theme = "furo"
html_title = project

autodoc_typehints = "none"
autodoc_member_order = "bysource"
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3

# It tells of each of its plugins when it is imported.
logging.getLogger("alembic").setLevel(logging.WARNING)

_ENTRY = re.compile(r"(?:[\w, ]+: |Returns |Raises )")


def setup(app: Sphinx) -> None:
    """Read the docstrings as they are written: in plain text."""
    app.connect("autodoc-process-docstring", _as_markup)


def _as_markup(app: Sphinx, what: str, name: str, *rest: Any) -> None:
    """Turn a docstring into reStructuredText, in place.

    rest: the object, its options, and the lines to change, as Sphinx hands them over.
    """
    lines: list[str] = rest[-1]
    marked: list[str] = []
    for blank, paragraph in groupby(lines, key=lambda line: not line.strip()):
        if not blank:
            marked += ["", *_mark(list(paragraph))]
    lines[:] = marked


def _mark(paragraph: list[str]) -> list[str]:
    """One paragraph: an indented one is shown as it is, one of entries is a list."""
    if paragraph[0].startswith(" "):
        return ["::", "", *(f"    {line}" for line in paragraph)]
    entries = [bool(_ENTRY.match(line)) for line in paragraph]
    if not any(entries):
        return paragraph
    first = entries.index(True)
    marked = [*paragraph[:first], ""]
    for line, entry in zip(paragraph[first:], entries[first:], strict=True):
        marked.append(f"- {line}" if entry else f"  {line.strip()}")
    return marked
