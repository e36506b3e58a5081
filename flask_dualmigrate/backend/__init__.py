"""The protocol by which the engine knows a side, and its values."""

from .progress import Progress
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
