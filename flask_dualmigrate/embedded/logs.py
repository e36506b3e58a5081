"""Find in a server's log why it stopped, in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_POSTGRES = re.compile(r"\b(?:FATAL|PANIC|ERROR|error):\s+(.+)")
_EXIT_CODE = re.compile(r'"exitCode":(\d+)')


def postgres_reason(output: str) -> str:
    """The last error from initdb or postgres, or else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    complaints = [match[1] for line in lines if (match := _POSTGRES.search(line))]
    return _sentence([*lines[-1:], *complaints])


def mongo_reason(output: str) -> str:
    """The first error that mongod logged, or else its last line not in log format."""
    entries, others = [], []
    for line in output.splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            others.append(line.strip())
    errors = [_describe(entry) for entry in entries if entry.get("s") in ("E", "F")]
    return _sentence([*filter(None, others[-1:]), *errors[:1]])


def mongo_exit_code(output: str) -> int | None:
    """The exit code that mongod announced; None if it did not get that far."""
    codes = _EXIT_CODE.findall(output)
    return int(codes[-1]) if codes else None


def read(log: Path) -> str:
    """Return the text of a log; empty if there is none."""
    try:
        return log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _describe(entry: dict[str, Any]) -> str:
    """The most informative part of an entry.

    Source: MongoDB manual, Log Messages; WiredTiger nests its own message.
    """
    detail = entry.get("attr", {}).get("error")
    if isinstance(detail, dict):
        detail = detail.get("errmsg")
    nested = entry.get("attr", {}).get("message")
    if isinstance(nested, dict):
        detail = f"{nested.get('msg')}: {nested.get('error_str')}"
    return str(detail if isinstance(detail, str) else entry.get("msg"))


def _sentence(candidates: list[str]) -> str:
    if not candidates:
        return "it reported nothing"
    return " ".join(candidates[-1].split()).rstrip(".")
