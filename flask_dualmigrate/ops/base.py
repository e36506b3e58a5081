"""The base of every operation of a Mongo script: a frozen, self-describing value."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import FunctionType
from typing import Any, ClassVar


class Kind(StrEnum):
    """How an operation survives a crash.

    TRANSACTIONAL: its work and its marker commit together, exactly once.
    IDEMPOTENT: started, work, done: repeated after a crash, with the same result.
    UNSAFE: if a crash left it started, someone must decide.
    """

    TRANSACTIONAL = "transactional"
    IDEMPOTENT = "idempotent"
    UNSAFE = "unsafe"


class Missing:
    """The type of MISSING: no value given, as opposed to None (null)."""

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"  # there is one: a copy is the value itself


MISSING = Missing()


class Now:
    """The type of NOW: the time of the MongoDB server when the batch runs."""

    def __repr__(self) -> str:
        return "op.now()"

    def __reduce__(self) -> str:
        return "NOW"  # there is one: a copy is the value itself


NOW = Now()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operation(ABC):
    """One step of a Mongo script.

    `verb` is the name of the method of `op` that records it. The positional fields of
    a subclass come first, in the order of that method's arguments; `positional` is
    their number, so that a value can be rendered as source again.
    """

    verb: ClassVar[str]
    positional: ClassVar[int] = 1
    usual_kind: ClassVar[Kind] = Kind.TRANSACTIONAL

    @property
    def kind(self) -> Kind:
        return self.usual_kind

    @property
    def destructive(self) -> bool:
        """True if it removes something permanently, without an aside."""
        return False

    @abstractmethod
    def describe(self) -> str:
        """Describe in words what it will do, for a plan."""

    def reverse(self) -> Operation | None:
        """Return the operation that reverses this one.

        None: it cannot be derived from the value alone. The undo of a failed run does
        not use it, but the records in the journal and the asides.
        """
        return None

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments that `op.<verb>` takes to record an equal value.

        Arguments that equal their default are left out.
        """
        fields = sorted(
            dataclasses.fields(self), key=lambda field: field.kw_only is True
        )
        own = [field for field in fields if field.name != "options"]
        args = [getattr(self, field.name) for field in own[: self.positional]]
        kwargs = {
            field.name: getattr(self, field.name)
            for field in own[self.positional :]
            if not _is_default(field, getattr(self, field.name))
        }
        kwargs.update(getattr(self, "options", {}))
        return args, kwargs

    def fingerprint(self) -> str:
        """Return 16 hex digits that change if the operation changes.

        Its pace is not part of it, and may be changed while it is running.
        """
        args, kwargs = self.arguments()
        named = {key: kwargs[key] for key in sorted(kwargs.keys() - _PACE)}
        text = f"{self.verb}{_canonical(args)}{_canonical(named)}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batched(Operation):
    """An operation that works in batches.

    batch_size: documents in a batch, which is one transaction, at most; None: it begins
    with BATCH_SIZE, and adapts to the time that a batch may take. workers: in how many
    parts the collection is worked on side by side.
    """

    batch_size: int | None = None
    workers: int = 1

    @property
    def pace(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in sorted(_PACE)}


_PACE = {"batch_size", "workers"}


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return value is field.default or (
        type(value) is type(field.default) and value == field.default
    )


def _canonical(value: Any) -> str:
    """Return a string for a value that is the same in every process."""
    if isinstance(value, Mapping):
        inner = (f"{key!r}:{_canonical(item)}" for key, item in value.items())
        return "{" + ",".join(inner) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, functools.partial):
        return f"partial:{_canonical([value.func, value.args, value.keywords])}"
    if isinstance(value, FunctionType):
        return _source_of_function(value)
    if callable(value) and not isinstance(value, type):
        return _source_of(value)
    return f"{type(value).__name__}:{value!r}"


def _source_of(function: Callable[..., Any]) -> str:
    """Return a function's source, or its name if the source is not available."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        return name + textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return name


# A run asks for it a dozen times. No other callable: `==` may say anything of those.
_source_of_function = functools.lru_cache(maxsize=256)(_source_of)


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, without an address."""
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def quoted(value: Any) -> str:
    """Return a value as shown in a plan: `op.now()` in words, others as Python."""
    return "the server's time" if isinstance(value, Now) else repr(value)
