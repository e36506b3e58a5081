"""What `init` and `revision` wrote."""

from __future__ import annotations

from flask_dualmigrate.results import InitResult, RevisionResult
from flask_dualmigrate.revisions import Revision

TEXTS = [
    (InitResult("/m", ()), "/m is complete."),
    (InitResult("/m", ("/m/a", "/m/b")), "Created /m/a\nCreated /m/b"),
    (
        RevisionResult(None),
        "The models do not differ from the database; nothing was written.",
    ),
    (
        RevisionResult(Revision("ab12"), ("/m/a.py",), ("add column items.status",)),
        "Detected: add column items.status\nWrote /m/a.py",
    ),
]
