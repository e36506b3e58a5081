"""What can go wrong in the app; the API turns each into a status and a JSON body.

SampleAppError
    InvalidInputError   400: a value that cannot be taken, or names nothing
    NotFoundError       404: what the address names does not exist
    ConflictError       409: it exists already, or is so already
"""

from __future__ import annotations


class SampleAppError(Exception):
    """Base of the app's own errors."""

    status = 500

    def as_json(self) -> dict[str, str]:
        """Return what the client gets to read."""
        return {"error": str(self)}


class InvalidInputError(SampleAppError):
    """A value that cannot be taken; `field` says which."""

    status = 400

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field

    def as_json(self) -> dict[str, str]:
        return {**super().as_json(), "field": self.field}


class NotFoundError(SampleAppError):
    """Nothing has this id; `kind` says of what."""

    status = 404

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"There is no {kind} {id!r}.")
        self.kind = kind
        self.id = id


class ConflictError(SampleAppError):
    """The change goes against what is stored; `field` says where, if anywhere."""

    status = 409

    def __init__(self, what: str, *, field: str | None = None) -> None:
        super().__init__(what)
        self.field = field

    def as_json(self) -> dict[str, str]:
        return {**super().as_json(), **({"field": self.field} if self.field else {})}
