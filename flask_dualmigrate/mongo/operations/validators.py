"""Setting a collection's validator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...backend import Failing
from ...ops import SetValidator
from ..batches.step_under_way import Work
from ..forecast.counting import samples
from ..forecast.look import Look, Told
from ..forecast.names import ANY, Names
from ..mongosh.statements import Part, db_command, is_there, only_if
from ..server.failures import shown
from ..server.special import refuse_validator
from ..server.views import collection_info, command, ensure_collection, same_bson
from .handler import Handler, name_spare, remove_created

_VALIDATION = {
    "validator": {},
    "validationLevel": "strict",
    "validationAction": "error",
}
"""Options of collMod, with the server's defaults."""


class SetValidatorHandler(Handler[SetValidator]):
    """Sets a validator; the previous one, its level and action are in the record."""

    creates = eases = True

    def before(self, operation: SetValidator, work: Work) -> Mapping[str, Any]:
        work.native(operation.validator)
        info = collection_info(work.db, operation.collection)
        if info is None:
            return {"spare": name_spare(work, operation.collection)}
        refuse_validator(operation.collection, info)
        return {"previous": _validation_in(info)}

    def apply(self, operation: SetValidator, work: Work) -> None:
        if operation.validator is None and "spare" in work.before:
            work.note(f"{operation.collection} did not exist")
            return
        ensure_collection(work.db, operation.collection)
        wanted = {
            "validator": work.native(operation.validator or {}),
            "validationLevel": operation.level,
            "validationAction": operation.action,
        }
        # The server does not remove a setting again, even one set to its default.
        if not same_bson(wanted, work.before.get("previous")):
            self._modify(work, operation.collection, wanted)
        info = collection_info(work.db, operation.collection)
        if info is not None:
            work.save(checkpoint={"set": _validation_in(info)})

    def undo(self, operation: SetValidator, work: Work) -> None:
        previous = work.before.get("previous")
        info = collection_info(work.db, operation.collection)
        if previous is None:
            remove_created(work, operation.collection)
        elif info is not None:
            now = _validation_in(info)
            if same_bson(work.record.checkpoint.get("set", now), now):
                self._modify(work, operation.collection, previous)
            elif not same_bson(previous, now):
                work.note(
                    f"{operation.collection} now has a different validator, "
                    f"which remains; the former one: {shown(previous['validator'])}"
                )

    @staticmethod
    def _modify(work: Work, collection: str, options: Mapping[str, Any]) -> None:
        command(work.db, {"collMod": collection, **options})

    def forecast(self, look: Look[SetValidator]) -> Told:
        """Forecast; documents that a validator would refuse stay, and are reported."""
        told = Told()
        validator = look.operation.validator
        if validator is None or not look.is_there:
            return told
        query = {"$nor": [look.work.native(validator)]}
        refused = look.count(query)
        if not refused.exact:
            told.notes.append(refused.note or "")
        if not (refused.exact and refused.number):
            return told
        number, shown = refused.number, samples(look.db, look.collection, query)
        told.failing.append(Failing("validator", number, shown, fatal=False))
        one = number == 1
        noun = "document does" if one else "documents do"
        stay = "it remains as it is" if one else "they remain as they are"
        more = ", …" if number > len(shown) else ""
        later = {"strict": "refused", "moderate": "let through", "off": "let through"}
        how = "warned of" if look.operation.action == "warn" else later[look.said.level]
        told.notes.append(
            f"{number} {noun} not match it: {', '.join(shown)}{more}; {stay}, and a "
            f"later update of {'it' if one else 'them'} is {how}"
        )
        return told

    def reads(self, operation: SetValidator) -> frozenset[str]:
        return ANY

    def writes(self, operation: SetValidator) -> frozenset[str]:
        return frozenset()

    def replay(
        self, operation: SetValidator, names: Names, *, source: str | None
    ) -> None:
        names.validate(operation)

    def actions(self, operation: SetValidator) -> tuple[str, ...]:
        return ("collMod",)

    def why_not_standalone(self, operation: SetValidator) -> str | None:
        return None

    def statements(self, operation: SetValidator, part: Part) -> list[str]:
        name = operation.collection
        modify = {
            "collMod": name,
            "validator": part.work.native(operation.validator or {}),
            "validationLevel": operation.level,
            "validationAction": operation.action,
        }
        if operation.validator is None:
            return [only_if(is_there(name), db_command(modify))]
        return [
            only_if(f"!{is_there(name)}", db_command({"create": name})),
            db_command(modify),
        ]


def _validation_in(info: Mapping[str, Any]) -> dict[str, Any]:
    options = info["options"]
    return {name: options.get(name, default) for name, default in _VALIDATION.items()}
