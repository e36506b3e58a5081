"""The tables; `flask db-migrate revision --autogenerate` compares them with both sides.

Ids are made by the app (`entities.new_id`), so that a row and its document share one.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Enum,
    ForeignKey,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .entities import Status
from .extensions import Model

Id = String(32)
Time = DateTime(timezone=True)


class User(Model):
    """Somebody who keeps, moves and likes items."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str | None] = mapped_column(String(254), unique=True, index=True)
    created_at: Mapped[datetime] = mapped_column(Time)


class ItemType(Model):
    """A kind of item."""

    __tablename__ = "item_types"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)


class Location(Model):
    """A place for items; an empty zone is the whole room."""

    __tablename__ = "locations"
    __table_args__ = (
        UniqueConstraint("floor", "room", "zone", name="uq_locations_place"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    floor: Mapped[str] = mapped_column(String(20))
    room: Mapped[str] = mapped_column(String(40))
    zone: Mapped[str] = mapped_column(String(40), server_default="")


class Item(Model):
    """A thing that is somewhere; `search_text` is what a search looks through."""

    __tablename__ = "items"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, server_default="")
    type_id: Mapped[str] = mapped_column(Id, ForeignKey("item_types.id"), index=True)
    location_id: Mapped[str | None] = mapped_column(Id, ForeignKey("locations.id"))
    status: Mapped[Status] = mapped_column(
        Enum(
            Status,
            native_enum=False,
            length=20,
            values_callable=lambda members: [member.value for member in members],
        ),
        server_default=Status.AVAILABLE.value,
    )
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    serial_number: Mapped[str | None] = mapped_column(String(64), unique=True)
    attributes: Mapped[dict[str, Any]] = mapped_column(
        JSONB, server_default=text("'{}'::jsonb")
    )
    search_text: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(Time)
    updated_at: Mapped[datetime] = mapped_column(Time)

    __table_args__ = (
        Index("ix_items_newest", created_at.desc(), id.desc()),
        Index(
            "ix_items_available",
            "location_id",
            postgresql_where=text("status = 'available'"),
        ),
    )


class Log(Model):
    """A line of the activity log; no foreign key, as it outlives its item."""

    __tablename__ = "logs"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    action: Mapped[str] = mapped_column(String(40))
    item_id: Mapped[str | None] = mapped_column(Id)
    user_id: Mapped[str | None] = mapped_column(Id)
    detail: Mapped[str] = mapped_column(Text, server_default="")
    timestamp: Mapped[datetime] = mapped_column(Time)

    __table_args__ = (Index("ix_logs_item_id_timestamp", item_id, timestamp.desc()),)


class Favorite(Model):
    """A user likes an item."""

    __tablename__ = "favorites"

    user_id: Mapped[str] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    item_id: Mapped[str] = mapped_column(
        Id, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: Mapped[datetime] = mapped_column(Time)


class RelatedItem(Model):
    """Two items belong together: one row a pair, the smaller id first."""

    __tablename__ = "related_items"
    __table_args__ = (CheckConstraint("item_id < related_id", name="ordered"),)

    item_id: Mapped[str] = mapped_column(
        Id, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True
    )
    related_id: Mapped[str] = mapped_column(
        Id, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Movement(Model):
    """An item went from one place (None: nowhere yet) to another."""

    __tablename__ = "movements"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    item_id: Mapped[str] = mapped_column(Id, ForeignKey("items.id", ondelete="CASCADE"))
    from_location_id: Mapped[str | None] = mapped_column(Id, ForeignKey("locations.id"))
    to_location_id: Mapped[str] = mapped_column(Id, ForeignKey("locations.id"))
    moved_at: Mapped[datetime] = mapped_column(Time)
    user_id: Mapped[str | None] = mapped_column(Id, ForeignKey("users.id"))

    __table_args__ = (Index("ix_movements_item_id_moved_at", item_id, moved_at.desc()),)
