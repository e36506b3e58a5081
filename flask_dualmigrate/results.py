"""The result types of the verbs, in one place."""

from __future__ import annotations

from .proving.proofs import Outcome, Proof, ProofResult
from .proving.scratch.scratch import Scratch
from .proving.snapshots.compare import Difference
from .verbs.asides import AsidesResult, PurgeResult
from .verbs.backup import (
    BackupCreateResult,
    BackupListResult,
    BackupPruneResult,
    BackupVerifyResult,
    ListedBackup,
)
from .verbs.check import CheckResult, Finding
from .verbs.dry_run import PlannedRevision, PlanResult, ScriptResult
from .verbs.history import GraphResult, GraphRevision
from .verbs.index import (
    IndexDiffResult,
    IndexDropResult,
    IndexListResult,
    IndexRebuildResult,
    IndexSyncResult,
    SyncAction,
)
from .verbs.inspect import CurrentResult, ShowResult, StatusResult
from .verbs.repair import AcceptResult, RepairReport, RepairResult, UndoResult
from .verbs.repair_cases import Case
from .verbs.repair_pair import PairResult
from .verbs.restore import RestoreResult
from .verbs.run_scripts import DoneStep, RunResult, StampResult
from .verbs.survey import PairedField, PairedValues, Place, Survey
from .verbs.unlock import SideLock, UnlockResult
from .verbs.verify import Counted, Verified, VerifyResult
from .verbs.write_scripts import InitResult, RevisionResult

__all__ = [
    "AcceptResult",
    "AsidesResult",
    "BackupCreateResult",
    "BackupListResult",
    "BackupPruneResult",
    "BackupVerifyResult",
    "Case",
    "CheckResult",
    "Counted",
    "CurrentResult",
    "Difference",
    "DoneStep",
    "Finding",
    "GraphResult",
    "GraphRevision",
    "IndexDiffResult",
    "IndexDropResult",
    "IndexListResult",
    "IndexRebuildResult",
    "IndexSyncResult",
    "InitResult",
    "ListedBackup",
    "Outcome",
    "PairResult",
    "PairedField",
    "PairedValues",
    "Place",
    "PlanResult",
    "PlannedRevision",
    "Proof",
    "ProofResult",
    "PurgeResult",
    "RepairReport",
    "RepairResult",
    "RestoreResult",
    "RevisionResult",
    "RunResult",
    "Scratch",
    "ScriptResult",
    "ShowResult",
    "SideLock",
    "StampResult",
    "StatusResult",
    "Survey",
    "SyncAction",
    "UndoResult",
    "UnlockResult",
    "Verified",
    "VerifyResult",
]
