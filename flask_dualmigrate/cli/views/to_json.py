"""A result as JSON for a program."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from ...text import utc, visible_json
from .layout import json_of


def as_json(result: Any) -> str:
    """Return a result as one JSON object; times are ISO 8601 with their offset."""
    text = json.dumps(_plain(json_of(result)), indent=2, ensure_ascii=False)
    return visible_json(text)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if hasattr(value, "ok"):
            fields = {"ok": value.ok, **fields}
        return _plain(fields)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return utc(value).isoformat()
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
