"""Migrations as an app has them that used a Beanie runner: none of it is ours.

A registry of version, description and function, filled by a decorator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import ClassVar

from beanie import Document
from pymongo import IndexModel

Function = Callable[[], Awaitable[None]]


@dataclasses.dataclass(frozen=True)
class Migration:
    version: str
    description: str
    function: Function


registry: list[Migration] = []


def migration(version: str, description: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        registry.append(Migration(version, description, function))
        return function

    return register


class User(Document):
    name: str
    rank: int = 0

    class Settings:
        name = "users"
        indexes: ClassVar = [IndexModel([("rank", 1)], name="ix_rank")]


@migration("002", "Insert the first users")
async def seed_users() -> None:
    await User(name="bob", rank=2).insert()
    await User(name="ada", rank=1).insert()


@migration("001", "Create initial indexes")
async def create_indexes() -> None:
    await User.get_pymongo_collection().create_index(
        "name", name="ux_name", unique=True
    )
