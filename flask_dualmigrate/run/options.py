"""The options of an upgrade or a downgrade, for the CLI, the API and the verbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..errors import UsageError
from ..runtime.time_limits import NO_LIMITS, GivenLimits

Confirm = Callable[[Sequence[str]], None]
"""Asks a person to confirm losses, one line each; raises to stop."""


@dataclass(frozen=True)
class RunOptions:
    """The options of a run, apart from its target.

    dry_run: return what it would do. sql, mongosh: return it as a script. confirm: asks
    about what would be removed; None: no one is asked. wait_s: seconds to wait for the
    servers to come up. verify: count what is there before and after; the result is not
    `ok` if these differ.
    limits: time limits of this run, by their names in scripts.
    backup: "touched", "all", "never"; None: as the config says.
    on_error: what happens to both databases if a script fails; see OnError.
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
        """Return the language of the requested script; None: no script.

        Raises UsageError for options that exclude each other, or a misplaced range.
        """
        if self.dry_run + self.sql + self.mongosh > 1:
            raise UsageError(
                "--dry-run, --sql and --mongosh exclude each other",
                hint="To use all three, run the command three times: none of them "
                "changes anything.",
            )
        if ":" in target and not (self.sql or self.mongosh):
            raise UsageError(
                f"{target} is a range, which only --sql and --mongosh accept",
                hint="A run begins at the current revision: give only the target.",
            )
        if self.dry_run and self.verify:
            raise UsageError(
                "A dry run makes no changes to verify",
                hint="Use only one of --dry-run and --verify.",
            )
        return "sql" if self.sql else "mongosh" if self.mongosh else None
