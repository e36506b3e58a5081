"""Which changes of a column's type cannot hold all that was in it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import types as sa

_SIZES: tuple[tuple[type[Any], int], ...] = (
    (sa.SmallInteger, 2),
    (sa.BigInteger, 8),
    (sa.Integer, 4),
)
_NO_END = 10**9


def narrows(old: Any, new: Any) -> bool:
    """Return whether a value of the old type may be cut, rounded or refused.

    old, new: SQLAlchemy types, or what is none: then nothing is known, and False.
    """
    old, new = _made(old), _made(new)
    if old is None or new is None:
        return False
    if isinstance(new, sa.String):
        return _shorter(old, new)
    if isinstance(old, sa.Integer) and isinstance(new, sa.Integer):
        return _size(new) < _size(old)
    if isinstance(old, sa.Numeric) and isinstance(new, sa.Numeric):
        return _coarser(old, new)
    if isinstance(old, sa.DateTime) and isinstance(new, sa.DateTime):
        return old.timezone and not new.timezone
    if isinstance(old, sa.Integer) and isinstance(new, sa.Numeric):
        return False
    if isinstance(old, sa.Date) and isinstance(new, sa.DateTime):
        return False
    if isinstance(old, sa.JSON) and isinstance(new, sa.JSON):
        return False
    return type(old) is not type(new)


def _made(value: Any) -> sa.TypeEngine[Any] | None:
    if isinstance(value, type) and issubclass(value, sa.TypeEngine):
        value = value()
    return value if isinstance(value, sa.TypeEngine) else None


def _shorter(old: sa.TypeEngine[Any], new: sa.String) -> bool:
    """Everything can be a text, if it is long enough."""
    if isinstance(new, sa.Enum):
        return not isinstance(old, sa.Enum) or not set(old.enums) <= set(new.enums)
    if new.length is None:
        return False
    if not isinstance(old, sa.String):
        return True
    return (old.length or _NO_END) > new.length


def _size(type_: sa.Integer) -> int:
    return next(size for kind, size in _SIZES if isinstance(type_, kind))


def _coarser(old: sa.Numeric[Any], new: sa.Numeric[Any]) -> bool:
    """A number without a precision holds any; a float has no scale of its own."""
    if isinstance(new, sa.Float) or isinstance(old, sa.Float):
        return isinstance(new, sa.Float) != isinstance(old, sa.Float)
    if new.precision is None:
        return False
    if old.precision is None:
        return True
    whole = (old.precision - (old.scale or 0)) > (new.precision - (new.scale or 0))
    return whole or (old.scale or 0) > (new.scale or 0)
