"""A dry run: what it foretells, and that it writes nothing."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from flask_dualmigrate.backend import Forecast
from flask_dualmigrate.mongo.forecast import Rehearsal
from flask_dualmigrate.mongo.runner import OperationRunner
from flask_dualmigrate.ops import Operation

from .mongo_cases import CASES, seed
from .mongo_runs import REVISION, UP

Db = Database[Any]


def foretell(db: Db, *operations: Operation) -> tuple[Forecast, ...]:
    with db.client.start_session() as session:
        rehearsal = Rehearsal(OperationRunner(db), session)
        return rehearsal.foretell(REVISION, UP, operations, {})


def test_smoke(mongo_db: Db) -> None:
    seed(mongo_db)
    for name, case in CASES.items():
        print(name, foretell(mongo_db, case.operation))
    assert 0
