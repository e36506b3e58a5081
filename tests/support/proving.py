"""What the tests of `test` prove: a revision without a fault, and how a proof reads."""

from __future__ import annotations

from flask_dualmigrate.proving.proofs import Proof

TABLE = """
op.create_table(
    "t",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("nick", sa.Text),
    sa.Column("n", sa.BigInteger),
    sa.Column("at", sa.DateTime(timezone=True)),
)
"""

BASE = {
    "postgres": TABLE,
    "postgres_down": 'op.drop_table("t")',
    "mongo": 'op.create_collection("t")',
    "mongo_down": 'op.drop_collection("t")',
}
"""A revision that makes the table and the collection, and takes them away."""


def words(proof: Proof) -> str:
    """Return all that a proof found different."""
    return "\n".join(map(str, (*proof.not_back, *proof.not_again)))
