"""An app with twelve tables, in two states: everything that autogenerate knows, and
each model changed in each way that it can be."""

from __future__ import annotations

import enum
import uuid
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql as pg


class Status(enum.Enum):
    new = 1
    used = 2


class WiderStatus(enum.Enum):
    new = 1
    used = 2
    broken = 3


COLLECTIONS = {"items": "item", "no_mongo": None, "store.stock": "stock"}
FIELDS = {"logs.timestamp": "created_at"}


def first_state() -> MetaData:
    """The twelve tables as they are created."""
    metadata = MetaData()
    _users(metadata)
    _items(metadata)
    Table(
        "Order",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("Größe", sa.Integer, index=True),
        Column("select", sa.String(20), nullable=False),
        Column("createdAt", sa.Date),
        UniqueConstraint("select", "createdAt", name="uq_order"),
    )
    Table(
        "favorites",
        metadata,
        Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        Column("item_id", ForeignKey("items.id"), primary_key=True, index=True),
    )
    Table("notes", metadata, Column("text", sa.Text), Column("n", sa.Integer))
    Table(
        "codes",
        metadata,
        Column("code", sa.String(5), primary_key=True),
        Column("label", sa.String(50), unique=True),
    )
    Table(
        "logs",
        metadata,
        Column("id", sa.BigInteger, primary_key=True),
        Column("timestamp", sa.DateTime(timezone=True), server_default=sa.func.now()),
        Column("detail", pg.JSONB, server_default=sa.text("'{}'::jsonb")),
        Index("ix_logs_newest", sa.text("timestamp DESC"), "id"),
        Index("ix_logs_detail", "detail", postgresql_using="gin"),
    )
    Table(
        "stock",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("count", sa.SmallInteger, nullable=False, server_default="0"),
        sa.CheckConstraint("count >= 0", name="ck_stock_count"),
        schema="store",
    )
    Table("no_mongo", metadata, Column("id", sa.Integer, primary_key=True))
    # These two point to each other.
    Table(
        "rooms",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("main_zone_id", ForeignKey("zones.id")),
    )
    Table(
        "zones",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("room_id", ForeignKey("rooms.id")),
    )
    Table(
        "old_things",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("kind", sa.Enum("x", "y", name="old_kind"), index=True),
        Column("item_id", ForeignKey("items.id")),
    )
    return metadata


def _users(metadata: MetaData) -> None:
    Table(
        "users",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("name", sa.String(80), nullable=False, comment="as they write it"),
        # The index and the constraint are twins.
        Column("email", sa.String(200), unique=True),
        Column("nick", sa.String(30), unique=True, index=True),
        Index("ix_users_email_unique", "email", unique=True),
        Index("ix_users_lower_name", sa.func.lower(sa.column("name"))),
        comment="people",
    )


def _items(metadata: MetaData) -> None:
    Table(
        "items",
        metadata,
        Column("id", sa.Uuid, primary_key=True, default=uuid.uuid4),
        Column("name", sa.String(50), index=True, nullable=False),
        Column("status", sa.Enum(Status, name="status"), server_default="new"),
        Column("price", sa.Float),
        Column("serial", sa.String(20)),
        Column("quantity", sa.String(10), server_default="1"),
        Column("tags", pg.ARRAY(sa.String), server_default="{}"),
        Column("active", sa.Boolean, server_default=sa.true()),
        Column("bought_on", sa.DateTime),
        Column("owner_id", ForeignKey("users.id")),
        Column("gone", sa.String(10), index=True),
        Index(
            "ix_items_serial",
            "serial",
            unique=True,
            postgresql_where=sa.text("active AND status <> 'used'"),
        ),
        Index("ix_items_tags", "tags", postgresql_using="gin"),
        Index("ix_items_hash", "serial", postgresql_using="hash"),
        Index("ix_items_owner", "owner_id", postgresql_include=["name"]),
    )


def second_state() -> MetaData:
    """Each table changed; one dropped, one new."""
    metadata = MetaData()
    for table in first_state().tables.values():
        if table.name not in ("items", "users", "old_things"):
            table.to_metadata(metadata)
    _changed_users(metadata)
    _changed_items(metadata)
    tables = metadata.tables
    _change(tables["Order"], "Größe", sa.Numeric(8, 2))
    tables["Order"].append_column(Column("user", sa.Integer, ForeignKey("users.id")))
    tables["favorites"].append_column(
        Column("since", sa.DateTime(timezone=True), server_default=sa.func.now())
    )
    Index("ix_notes", tables["notes"].c.n, tables["notes"].c.text)
    tables["codes"].c.label.nullable = False
    tables["codes"].c.label.server_default = sa.DefaultClause("none yet")
    tables["logs"].c.detail.server_default = None
    tables["logs"].append_column(Column("level", sa.Integer, server_default="20"))
    tables["store.stock"].append_column(
        Column("shelf", sa.String(10), unique=True, comment="where it lies")
    )
    tables["no_mongo"].append_column(Column("x", sa.Integer, index=True))
    tables["rooms"].comment = "with a door"
    _change(tables["zones"], "id", sa.BigInteger())
    Table(
        "reviews",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("item_id", ForeignKey("items.id"), unique=True),
        Column("kind", sa.Enum(WiderStatus, name="status")),
        Column("stars", pg.ARRAY(sa.Integer)),
    )
    return metadata


def _change(table: Table, column: str, type_: Any) -> None:
    table.c[column].type = type_


def _changed_users(metadata: MetaData) -> None:
    Table(
        "users",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("name", sa.String(120), nullable=False),
        Column("email", sa.String(200), unique=True),
        Column("nick", sa.String(30), nullable=False, server_default="nobody"),
        Column("points", sa.Numeric(8, 2), nullable=False, default=Decimal("1.50")),
        Index("ix_users_name", sa.func.upper(sa.column("name"))),
        comment="all people",
    )


def _changed_items(metadata: MetaData) -> None:
    Table(
        "items",
        metadata,
        Column("id", sa.Uuid, primary_key=True, default=uuid.uuid4),
        Column("name", sa.Text, index=True, nullable=False),
        Column(
            "status",
            sa.Enum(WiderStatus, name="status"),
            server_default="used",
            nullable=False,
        ),
        Column("price", sa.Numeric(12, 2)),
        Column("serial", sa.String(20), unique=True),
        Column("quantity", sa.Integer, server_default="1"),
        Column("tags", pg.ARRAY(sa.String), server_default="{}"),
        Column("active", sa.Boolean, server_default=sa.false()),
        Column("bought_on", sa.Date),
        Column("owner_id", ForeignKey("users.id", ondelete="SET NULL")),
        Column("data", sa.JSON, server_default="[]"),
        Column("key", sa.LargeBinary),
        Column("kind", sa.Enum("a", "b", name="kind"), default="a", nullable=False),
        Index("ix_items_owner", "owner_id", sa.text("name DESC")),
        Index("ix_items_kind", "kind", postgresql_where=sa.text("kind = 'b'")),
    )
