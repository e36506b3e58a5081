"""add search text to items

Revision ID: 12fe71742632
Revises: be54802e9dd1
Create Date: 2026-11-21 23:23:01+00:00
"""

revision = "12fe71742632"
down_revision = "be54802e9dd1"
branch_labels = None
depends_on = None


def upgrade(op):
    # Computed by Python, as on the other side and in the app: MongoDB's $toLower
    # knows ASCII only.
    op.transform("item", add_search_text, undo=remove_search_text)


def downgrade(op):
    op.drop_field("item", "search_text")


def verify(db):
    assert db.item.count_documents({"search_text": {"$in": [None, ""]}}) == 0


def add_search_text(item):
    text = f"{item['name']} {item['description']} {item.get('serial_number') or ''}"
    return {**item, "search_text": " ".join(text.casefold().split())}


def remove_search_text(item):
    return {name: value for name, value in item.items() if name != "search_text"}
