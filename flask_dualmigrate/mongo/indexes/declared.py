"""The indexes that the applied Mongo scripts created and did not drop.

Taken from the operations that the scripts record, so that an index written by hand is
not taken for an undeclared one. What an op.run() creates is not known.
"""

from __future__ import annotations

from collections.abc import Collection

from ...indexes import DeclaredIndexes
from ...revisions import BackendName, Direction
from ...tree.directory import ScriptDirectory
from ..operations.handler import Declared
from ..operations.registry import handled
from ..scripts.recording import record


def scripted(directory: ScriptDirectory, applied: Collection[str]) -> DeclaredIndexes:
    """Replay the applied scripts' operations on indexes and collections, in order.

    Operations on fields do not matter: MongoDB's indexes stay when a field is renamed
    or removed.

    Raises what `record` raises, for a script whose upgrade(op) is wrong.
    """
    declared: Declared = {}
    for revision in directory.topological():
        if revision.id in applied and directory.has(BackendName.MONGO, revision.id):
            script = directory.script(BackendName.MONGO, revision.id)
            for operation, handler in handled(record(script, Direction.UPGRADE)):
                handler.declare(operation, declared, f"revision {revision.id}")
    return DeclaredIndexes(tuple(declared.values()))
