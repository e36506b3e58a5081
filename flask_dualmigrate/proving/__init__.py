"""`flask db-migrate test`: revisions proved on scratch databases, up, down and up.

prover     the walk over the revisions: walk, trial; proofs: what it says
scratch    databases made on a server and dropped again, and the app wired to them
data       rows and documents of values that migrations stumble over, or copied ones
snapshots  what a database holds, and two of these compared
"""

from __future__ import annotations

from .prover import Ways, models_at_head, prove, several_heads, tree_problems
from .scratch.mongo import MongoPlace
from .scratch.postgres import PostgresPlace

__all__ = [
    "MongoPlace",
    "PostgresPlace",
    "Ways",
    "models_at_head",
    "prove",
    "several_heads",
    "tree_problems",
]
