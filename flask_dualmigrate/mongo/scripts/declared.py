"""The indexes that the applied Mongo scripts made, and that none of them dropped.

Read off the operations that the scripts record, so that an index written by hand is not
taken for one that no one declared. What an op.run() makes cannot be told.
"""

from __future__ import annotations

from collections.abc import Collection

from ...indexes import DeclaredIndex, DeclaredIndexes
from ...ops import CreateIndex, DropCollection, DropIndex, Operation, RenameCollection
from ...revisions import BackendName, Direction
from ...tree.directory import ScriptDirectory
from .recording import record

Kept = dict[tuple[str, str], DeclaredIndex]


def scripted(directory: ScriptDirectory, applied: Collection[str]) -> DeclaredIndexes:
    """Replay the applied scripts' operations on indexes and collections, in order.

    Raises what `record` raises, for a script whose upgrade(op) is wrong.
    """
    kept: Kept = {}
    for revision in directory.topological():
        if revision.id in applied and directory.has(BackendName.MONGO, revision.id):
            script = directory.script(BackendName.MONGO, revision.id)
            for operation in record(script, Direction.UPGRADE):
                _replay(operation, kept, f"revision {revision.id}")
    return DeclaredIndexes(tuple(kept.values()))


def _replay(operation: Operation, kept: Kept, source: str) -> None:
    """Fields are of no account: MongoDB's indexes stay when one is renamed or gone."""
    match operation:
        case CreateIndex(collection=place, name=name, keys=keys, options=options):
            # One that already exists remains as it is: the operation says so.
            made = DeclaredIndex(place, name, keys, options, (source,))
            kept.setdefault((place, name), made)
        case DropIndex(collection=place, name=name):
            kept.pop((place, name), None)
        case DropCollection(collection=place):
            for gone in [key for key in kept if key[0] == place]:
                del kept[gone]
        case RenameCollection(collection=place, new_name=new):
            for key in [key for key in kept if key[0] == place]:
                index = kept.pop(key)
                kept[new, index.name] = DeclaredIndex(
                    new, index.name, index.key, index.options, index.sources
                )
