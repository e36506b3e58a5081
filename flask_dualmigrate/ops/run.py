"""Operations that the declared ones do not cover: run a function; a todo."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from .base import Kind, Operation, name_of


@dataclasses.dataclass(frozen=True)
class Run(Operation):
    """Call a function with the database.

    fn: `fn(db)`, or `fn(db, session)` with transactional=True: everything it does
    must then use the session, and commits together with its marker. idempotent=True: it
    may be called again after a crash. With neither, a crash inside it needs a decision.
    undo: `undo(db)`, or `undo(db, session)`, reverses it.
    Both may be async, and then receive the async database. models: Beanie documents
    named before with op.beanie(), initialised for an async function. They are not part
    of the fingerprint, because they do not say what the function does.
    """

    verb: ClassVar[str] = "run"
    fn: Callable[..., Any]
    name: str | None = None
    undo: Callable[..., Any] | None = None
    transactional: bool = False
    idempotent: bool = False
    models: tuple[Any, ...] = ()

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        args, kwargs = super().arguments()
        kwargs.pop("models", None)
        return args, kwargs

    @property
    def kind(self) -> Kind:
        if self.transactional:
            return Kind.TRANSACTIONAL
        return Kind.IDEMPOTENT if self.idempotent else Kind.UNSAFE

    @property
    def label(self) -> str:
        return self.name or name_of(self.fn)

    def describe(self) -> str:
        undo = "" if self.undo is not None else ", cannot be undone"
        return f"run {self.label}() ({self.kind}{undo})"

    def reverse(self) -> Operation | None:
        if self.undo is None:
            return None
        return dataclasses.replace(self, fn=self.undo, undo=self.fn)


@dataclasses.dataclass(frozen=True)
class Todo(Operation):
    """What the translator could not translate; refused until someone writes it."""

    verb: ClassVar[str] = "todo"
    usual_kind: ClassVar[Kind] = Kind.IDEMPOTENT
    text: str

    def describe(self) -> str:
        return f"TODO: {self.text}"
