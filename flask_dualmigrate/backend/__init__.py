"""The protocols through which the engine uses a side, and their values."""

from .data import Aside, Counts, FieldFacts
from .extent import BackupItem, Dumped, Extent
from .forecast import Dropped, Failing, Forecast, Loss, PlannedStep
from .progress import Progress
from .protocol import (
    Backend,
    Backends,
    Data,
    Journal,
    Journals,
    Preflight,
    Runner,
    Runners,
    Server,
    Side,
    Storage,
    Storages,
)
from .state import Doubt, State, Ways

__all__ = [
    "Aside",
    "Backend",
    "Backends",
    "BackupItem",
    "Counts",
    "Data",
    "Doubt",
    "Dropped",
    "Dumped",
    "Extent",
    "Failing",
    "FieldFacts",
    "Forecast",
    "Journal",
    "Journals",
    "Loss",
    "PlannedStep",
    "Preflight",
    "Progress",
    "Runner",
    "Runners",
    "Server",
    "Side",
    "State",
    "Storage",
    "Storages",
    "Ways",
]
