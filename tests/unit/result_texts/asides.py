"""What is kept aside, and what a purge dropped."""

from __future__ import annotations

import dataclasses

from flask_dualmigrate.backend import Aside
from flask_dualmigrate.results import AsidesResult, PurgeResult
from flask_dualmigrate.revisions import Direction

from .inspect import NOON

ASIDE = Aside(
    name="_aside_ab12_item.note",
    holds="values",
    collection="item",
    field="note",
    revision="ab12",
    direction=Direction.UPGRADE,
    step=0,
    verb="drop_field",
    documents=1200,
    size_bytes=3_250_586,
    since=NOON,
    age_s=36.5 * 86_400,
    for_downgrade=True,
    needed=False,
)

TEXTS = [
    (AsidesResult(()), "Nothing is kept aside."),
    (
        AsidesResult((ASIDE,)),
        f"{'Aside':<21}  {'Holds':<19}  Documents  {'Size':<7}  {'Since':<20}  "
        f"Age   {'By':<19}  For\n"
        f"{'-' * 21}  {'-' * 19}  ---------  -------  {'-' * 20}  ----  {'-' * 19}  "
        f"{'-' * 17}\n"
        "_aside_ab12_item.note  values of item.note  1,200      3.1 MiB  "
        "2026-11-21 12:30:01Z  36 d  upgrade ab12 step 0  downgrade of ab12\n"
        "\n"
        "1 aside, 3.1 MiB.",
    ),
    (PurgeResult((), ()), "No aside is that old; nothing was dropped."),
    (
        PurgeResult((ASIDE,), (dataclasses.replace(ASIDE, name="_aside_2"),)),
        "Dropped _aside_ab12_item.note: 1,200 documents, 3.1 MiB; a downgrade of ab12 "
        "cannot put that back\n"
        "Left _aside_2: ab12 is half done, and it needs this aside",
    ),
]
