"""What a script should not import: a model, and the app's db."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

N = 3


class Base(DeclarativeBase):
    """Of a registry of its own."""


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]


class _Session:
    def execute(self, statement: Any) -> None:
        """Take a statement."""

    def commit(self) -> None:
        """Take a commit."""


class _Database:
    session = _Session()


db = _Database()
