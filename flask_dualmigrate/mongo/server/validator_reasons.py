"""Why a validator refused a document: the server's errInfo, in words.

Source: MongoDB manual, Schema Validation; MongoDB before 5.0 reports no details.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Details = Mapping[str, Any]
Shown = Callable[[Any], str]

_MOST = 3
"""The maximum number of reasons in an error."""

_NESTED = (
    *("schemaRulesNotSatisfied", "clausesNotSatisfied", "clausesSatisfied"),
    *("propertiesNotSatisfied", "schemasNotSatisfied", "failingDependencies"),
    "details",
)
"""Where a combined rule keeps the reasons of its parts."""


def refused_document(error_info: Details, shown: Shown) -> str:
    """Return which document it is, and why: `the document with _id 2: name is missing`.

    shown: returns a value as the error shows it.
    """
    which = "a document"
    if "failingDocumentId" in error_info:
        which = f"the document with _id {shown(error_info['failingDocumentId'])}"
    found = list(dict.fromkeys(_reasons(error_info.get("details"), "", shown)))
    why = "; ".join([*found[:_MOST], *(["…"] if len(found) > _MOST else [])])
    return f"{which}: {why}" if why else which


def _reasons(rule: Any, path: str, shown: Shown) -> Iterator[str]:
    if isinstance(rule, list | tuple):
        for each in rule:
            yield from _reasons(each, path, shown)
    elif isinstance(rule, Mapping):
        yield from _reasons_of(rule, path, shown)


def _reasons_of(rule: Details, path: str, shown: Shown) -> Iterator[str]:
    below = [rule[name] for name in _NESTED if rule.get(name)]
    missing = rule.get("missingProperties", ())
    added = rule.get("additionalProperties", ())
    for name in missing:
        yield f"{_joined(path, name)} is missing"
    if isinstance(added, list | tuple):
        for name in added:
            yield f"{_joined(path, name)} is not allowed"
    if below:
        inner = _joined(path, rule.get("propertyName", rule.get("itemIndex")))
        yield from _reasons(below, inner, shown)
    elif not missing and not added:
        yield _leaf(rule, path, shown)


def _leaf(rule: Details, path: str, shown: Shown) -> str:
    reason = rule.get("reason", "not satisfied")
    what = [shown(rule["specifiedAs"])] if "specifiedAs" in rule else []
    for name in ("consideredValue", "consideredValues"):
        if name in rule:
            what.append(f"value {shown(rule[name])}")
    told = f"{reason} ({', '.join(what or [str(rule.get('operatorName'))])})"
    return f"{path}: {told}" if path else told


def _joined(path: str, name: Any) -> str:
    return path if name is None else f"{path}.{name}" if path else str(name)
