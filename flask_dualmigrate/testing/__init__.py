"""`flask db-migrate test`: revisions proved on scratch databases, up, down and up.

names     what scratch databases are called, and which of them are dead
places    made on a server and dropped again, a class a side
scratch   the app wired to them, and back
snapshot  what a database holds; compare: two of these, in words
edges     values of a type that migrations stumble over
*_seeds   rows and documents of such values; samples: copies of real ones
prove     the walk over the revisions
"""

from __future__ import annotations

from .mongo_place import MongoPlace
from .postgres_place import PostgresPlace
from .prove import Ways, models_at_head, prove, several_heads, tree_problems

__all__ = [
    "MongoPlace",
    "PostgresPlace",
    "Ways",
    "models_at_head",
    "prove",
    "several_heads",
    "tree_problems",
]
