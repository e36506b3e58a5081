"""The verbs as functions, for the current app: same names and results as the commands.

The first arguments are Flask-Migrate's, in its order. All of them take:

directory: the migrations directory to use instead of the app's.
x_arg: the arguments that scripts read with context.get_x_argument().
backend: "postgres", "mongo" or "both": narrows the run to one of the sides in use.

They raise the errors of `flask_dualmigrate.errors`, and never ask for confirmation.
"""

from __future__ import annotations

from .backup import (
    asides,
    backup_create,
    backup_list,
    backup_prune,
    backup_verify,
    restore,
)
from .index import index_diff, index_drop, index_list, index_rebuild, index_sync
from .inspect import branches, check, current, heads, history, lint, prove, show, status
from .recovery import repair, unlock, verify
from .run_scripts import downgrade, stamp, upgrade
from .write_scripts import edit, init, merge, migrate, revision

__all__: list[str] = [
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
