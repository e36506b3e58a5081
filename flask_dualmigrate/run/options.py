"""How an upgrade or a downgrade is to be run, for the CLI, the API and the verbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..errors import UsageError
from ..runtime.time_limits import NO_LIMITS, GivenLimits

Confirm = Callable[[Sequence[str]], None]
"""Asks a person about what would be taken away, a line each; raises to stop."""


@dataclass(frozen=True)
class RunOptions:
    """What a person may say of a run, besides where it goes.

    dry_run: say what it would do. sql, mongosh: return the script of it.
    confirm: asks about what would be taken away; None: nobody is asked.
    wait_s: seconds to wait for the servers to come up. verify: count what is there
    before and after; the result is not `ok` where that does not agree.
    limits: time limits of this run, by their names in scripts.
    backup: "touched", "all", "never"; None: as the config says.
    on_error: what becomes of both databases when a script fails, as OnError has it.
    """

    dry_run: bool = False
    sql: bool = False
    mongosh: bool = False
    confirm: Confirm | None = None
    wait_s: float = 0.0
    verify: bool = False
    limits: GivenLimits = field(default_factory=lambda: NO_LIMITS)
    backup: str | None = None
    on_error: str = "undo"

    def language(self, target: str) -> str | None:
        """Return the language of the script that is asked for; None: no script.

        Raises UsageError for options that exclude each other, or for a stray range.
        """
        if self.dry_run + self.sql + self.mongosh > 1:
            raise UsageError(
                "Say one of --dry-run, --sql and --mongosh",
                hint="To have all three, run it three times: none changes anything.",
            )
        if ":" in target and not (self.sql or self.mongosh):
            raise UsageError(
                f"{target} is a range, which only --sql and --mongosh take",
                hint="A run begins where the databases stand: name the target alone.",
            )
        if self.dry_run and self.verify:
            raise UsageError(
                "A dry run changes nothing that could be verified",
                hint="Say one of --dry-run and --verify.",
            )
        return "sql" if self.sql else "mongosh" if self.mongosh else None
