"""The text of a script, and what rules read from it: calls, imports, comments."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from functools import cached_property

from ...tree.script_file import LoadedScript


@dataclass(frozen=True)
class Comment:
    """A comment. alone: there is nothing else on its line."""

    line: int
    text: str
    alone: bool


class Source:
    """A script's text; it is parsed only if a rule asks for that."""

    def __init__(self, script: LoadedScript) -> None:
        self.path = script.path
        self._source = script.file.source

    @cached_property
    def text(self) -> str:
        return self._source.decode("utf-8-sig")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def comments(self) -> tuple[Comment, ...]:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return tuple(
            Comment(token.start[0], token.string, token.line.lstrip().startswith("#"))
            for token in tokens
            if token.type == tokenize.COMMENT
        )

    @cached_property
    def _statements(self) -> list[tuple[int, int]]:
        """First and last line of each statement; only the head if it has a body."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.stmt):
                body = getattr(node, "body", None)
                end = node.end_lineno or node.lineno
                if body:
                    end = max(node.lineno, body[0].lineno - 1)
                found.append((node.lineno, end))
        return found

    def span(self, line: int) -> tuple[int, int]:
        """Return the first and last line of the statement that a line belongs to."""
        around = [span for span in self._statements if span[0] <= line <= span[1]]
        return min(around, key=lambda span: span[1] - span[0], default=(line, line))

    def line_after(self, line: int) -> int:
        """Return the next line after one that is neither empty nor a comment."""
        lines = self.text.splitlines()
        for number, text in enumerate(lines[line:], line + 1):
            if text.strip() and not text.lstrip().startswith("#"):
                return number
        return line

    @cached_property
    def head_ends(self) -> int:
        """The last line before the first function or class."""
        bodies = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        first = (
            min([node.lineno, *(each.lineno for each in node.decorator_list)])
            for node in self.tree.body
            if isinstance(node, bodies)
        )
        return min(first, default=1) - 1

    def line_of(self, function: str) -> int:
        """Return the line where a function begins; 1 if the script does not have it."""
        for number, text in enumerate(self.text.splitlines(), 1):
            if text.startswith((f"def {function}", f"async def {function}")):
                return number
        return 1
