"""How the result of `test` is shown, revision by revision."""

from __future__ import annotations

from collections.abc import Iterator

from ...proving.proofs import Outcome, Proof, ProofResult
from ...proving.snapshots.compare import Difference
from ...text import counted, duration, one_line
from .layout import lines

_WORDS = {
    Outcome.EQUAL: "equal",
    Outcome.DIFFERENT: "DIFFERENT",
    Outcome.IRREVERSIBLE: "no way down",
    Outcome.FAILED: "FAILED",
    Outcome.NOT_REACHED: "not reached",
}


@lines.register
def _(result: ProofResult) -> Iterator[str]:
    for scratch in result.scratch:
        why = f" ({scratch.why})" if scratch.why else ""
        yield f"{scratch.backend.label}: {scratch.database} on {scratch.server}{why}"
    yield ""
    for proof in result.proofs:
        yield from lines(proof)
    yield from _models(result)
    yield from result.problems
    yield from result.notes
    yield from (f"Kept: {name}" for name in result.kept)
    yield _verdict(result)


@lines.register
def _(proof: Proof) -> Iterator[str]:
    message = f" ({one_line(proof.message)})" if proof.message else ""
    words = _WORDS[proof.outcome]
    if proof.duration_ms:
        words += f", {duration(proof.duration_ms)}"
    counts = ((proof.rows, "row"), (proof.documents, "document"))
    data = [counted(number, noun) for number, noun in counts if number]
    if data:
        words += f", on {' and '.join(data)}"
    yield f"{proof.revision}{message}: {words}"
    if proof.refused:
        yield f"  With edge values: {one_line(proof.refused, 400)}"
    yield from _differences("After the downgrade", proof.not_back)
    if proof.error:
        yield f"  {one_line(proof.error, 400)}"
    yield from _differences("After the second upgrade", proof.not_again)
    yield from (f"  The downgrade cannot restore {text}" for text in proof.lost)


def _differences(when: str, found: tuple[Difference, ...]) -> Iterator[str]:
    if found:
        yield f"  {when}:"
        yield from (f"    {difference}" for difference in found)


def _models(result: ProofResult) -> Iterator[str]:
    if result.models is None:
        yield f"Models: not compared, as {result.why_not}"
    elif not result.models:
        yield "Models: same as head"
    else:
        yield "Models: DIFFERENT from head"
        head = "The models differ from the database: "
        yield from (f"  {text.removeprefix(head)}" for text in result.models)


def _verdict(result: ProofResult) -> str:
    outcomes = [
        f"{count} {_WORDS[outcome].lower()}"
        for outcome in Outcome
        if (count := sum(proof.outcome is outcome for proof in result.proofs))
    ]
    revisions = counted(len(result.proofs), "revision")
    return f"Proved {revisions}: {', '.join(outcomes) or 'nothing to do'}."
