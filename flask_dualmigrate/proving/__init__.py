"""`flask db-migrate test`: proves revisions on scratch databases: up, down and up.

prover     decides what to prove, and how; walk, trial: run it; proofs: the results
scratch    databases created on a server and dropped again, with the app connected
data       rows and documents with values that break migrations, or copied ones
snapshots  what a database contains, and how two snapshots differ
"""

from __future__ import annotations

from .prover import (
    ProofOptions,
    models_at_head,
    prove,
    several_heads,
    tree_problems,
)
from .scratch.mongo import MongoPlace
from .scratch.postgres import PostgresPlace

__all__ = [
    "MongoPlace",
    "PostgresPlace",
    "ProofOptions",
    "models_at_head",
    "prove",
    "several_heads",
    "tree_problems",
]
