"""The verbs as functions, for the current app: same names and results as the commands.

The first arguments are Flask-Migrate's, in its order. All of them take:

directory: the migrations directory, instead of the app's.
x_arg: what scripts get from context.get_x_argument().
backend: "postgres", "mongo" or "both": narrows the run to one of the sides in use.

They raise the errors of `flask_dualmigrate.errors`; none asks a question.
"""

from __future__ import annotations

from .keeping import (
    backup_create,
    backup_list,
    backup_prune,
    backup_verify,
    index_diff,
    index_drop,
    index_list,
    index_rebuild,
    index_sync,
    restore,
)
from .looking import branches, check, current, heads, history, lint, prove, show, status
from .running import asides, downgrade, repair, stamp, unlock, upgrade, verify
from .writing import edit, init, merge, migrate, revision

__all__ = [
    "asides",
    "backup_create",
    "backup_list",
    "backup_prune",
    "backup_verify",
    "branches",
    "check",
    "current",
    "downgrade",
    "edit",
    "heads",
    "history",
    "index_diff",
    "index_drop",
    "index_list",
    "index_rebuild",
    "index_sync",
    "init",
    "lint",
    "merge",
    "migrate",
    "prove",
    "repair",
    "restore",
    "revision",
    "show",
    "stamp",
    "status",
    "unlock",
    "upgrade",
    "verify",
]
