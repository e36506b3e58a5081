"""What `test` proved."""

from __future__ import annotations

from flask_dualmigrate.results import Difference, Outcome, Proof, ProofResult, Scratch

from ..trees import MONGO, POSTGRES

GONE = Difference(POSTGRES, "column", "items.note", "", "TEXT", None)
SCRATCH = (
    Scratch(POSTGRES, "test_1", "the server of the app"),
    Scratch(MONGO, "test_1", "an embedded server", "the app's does not answer"),
)
PROOFS = (
    Proof("9c1d", "make items", Outcome.EQUAL, duration_ms=41),
    Proof("ab12", "add status", Outcome.DIFFERENT, (GONE,), rows=1, documents=1_200),
    Proof("cd34", "", Outcome.FAILED, error="no such field", refused="too long"),
    Proof("ef56", "", Outcome.IRREVERSIBLE, lost=("item.note",)),
)

TEXTS = [
    (
        ProofResult((), SCRATCH[:1], models=()),
        "PostgreSQL: test_1 on the server of the app\n"
        "\n"
        "Models: same as head\n"
        "Proved 0 revisions: nothing to do.",
    ),
    (
        ProofResult(
            *(PROOFS, SCRATCH, "seeded"),
            why_not="a script failed",
            notes=("One type has no values.",),
            kept=("test_1",),
        ),
        "PostgreSQL: test_1 on the server of the app\n"
        "MongoDB: test_1 on an embedded server (the app's does not answer)\n"
        "\n"
        "9c1d (make items): equal, 41 ms\n"
        "ab12 (add status): DIFFERENT, on 1 row and 1,200 documents\n"
        "  After the downgrade:\n"
        "    PostgreSQL column items.note is missing (it was: TEXT)\n"
        "cd34: FAILED\n"
        "  With edge values: too long\n"
        "  no such field\n"
        "ef56: no way down\n"
        "  The downgrade cannot restore item.note\n"
        "Models: not compared, as a script failed\n"
        "One type has no values.\n"
        "Kept: test_1\n"
        "Proved 4 revisions: 1 equal, 1 different, 1 no way down, 1 failed.",
    ),
    (
        ProofResult(PROOFS[:1], (), models=("The models differ from the database: a",)),
        "\n"
        "9c1d (make items): equal, 41 ms\n"
        "Models: DIFFERENT from head\n"
        "  a\n"
        "Proved 1 revision: 1 equal.",
    ),
]
