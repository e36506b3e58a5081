"""The protocol that the spine knows a side by."""

from .protocol import Backend, Backends
from .values import (
    Aside,
    BackupItem,
    Doubt,
    Dropped,
    Dumped,
    Extent,
    Failing,
    FieldFacts,
    Forecast,
    Loss,
    PlannedStep,
    Progress,
    State,
    Ways,
)

__all__ = [
    "Aside",
    "Backend",
    "Backends",
    "BackupItem",
    "Doubt",
    "Dropped",
    "Dumped",
    "Extent",
    "Failing",
    "FieldFacts",
    "Forecast",
    "Loss",
    "PlannedStep",
    "Progress",
    "State",
    "Ways",
]
