"""How the results of `init`, `revision` and `merge` are shown."""

from __future__ import annotations

from collections.abc import Iterator

from ...text import short_path
from ...verbs.write_scripts import InitResult, RevisionResult
from .layout import lines


@lines.register
def _(result: InitResult) -> Iterator[str]:
    if not result.created and not result.rewritten:
        yield f"{short_path(result.directory)} is complete."
    for path in result.created:
        yield f"Created {short_path(path)}"
    for path in result.rewritten:
        yield f"Rewrote {short_path(path)}"


@lines.register
def _(result: RevisionResult) -> Iterator[str]:
    for line in result.detected:
        yield f"Detected: {line}"
    if result.revision is None:
        yield "The models do not differ from the database; nothing was written."
    for path in result.files:
        yield f"Wrote {short_path(path)}"
