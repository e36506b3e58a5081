"""A type is called narrower where PostgreSQL loses a value, and nowhere else."""

from __future__ import annotations

import sqlalchemy as sa

from flask_dualmigrate.alembic_scripts.narrowing import loss

VALUES = {
    "smallint": ("-32768", "7"),
    "integer": ("-2147483648", "2147483647"),
    "bigint": ("-9223372036854775808", "9007199254740993"),
    "numeric(4,0)": ("-9999",),
    "numeric(10,2)": ("-99999999.99", "0.01"),
    "numeric(12,2)": ("-9999999999.99", "0.01"),
    "numeric(12,4)": ("-99999999.9999", "0.0001"),
    "numeric(2,2)": ("-0.99",),
    "numeric(3,-2)": ("-99900",),
    "numeric": (f"{'1' * 60}.0123456789",),
    "real": ("-1.1754944e-38", "16777215", "0.3333333"),
    "double precision": ("-2.2250738585072014e-308", "0.30000000000000004", "1e300"),
    "boolean": ("true", "false"),
    "char(1)": ("x",),
    "char(6)": ("sixsix",),
    "varchar(1)": ("x",),
    "varchar(5)": ("fives",),
    "varchar(6)": ("sixsix",),
    "varchar(50)": ("x" * 50,),
    "varchar": ("x" * 60,),
    "text": ("x" * 60, "no number"),
    "date": ("4713-01-01 BC", "294276-12-31"),
    "time(0)": ("23:59:59",),
    "time": ("23:59:59.999999",),
    "timetz": ("23:59:59.999999-15:59:59",),
    "timestamp(0)": ("2026-12-01 23:59:59",),
    "timestamp(3)": ("2026-12-01 23:59:59.999", "4000-01-01 00:00:00 BC"),
    "timestamp": ("294276-12-31 23:59:59.999999",),
    "timestamptz(3)": ("2026-12-01 23:59:59.999+00",),
    "timestamptz": ("2026-12-01 23:59:59.999999+00",),
    "interval": ("-178000000 years 11 mons 3 days 04:05:06.789",),
    "interval(0)": ("1 day 00:00:01",),
    "interval day": ("3 days",),
    "uuid": ("ffffffff-ffff-ffff-ffff-ffffffffffff",),
    "inet": ("192.168.1.5/24", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/120"),
    "cidr": ("192.168.1.0/24",),
    "macaddr": ("08:00:2b:01:02:03",),
    "macaddr8": ("08:00:2b:01:02:03:04:05",),
    "json": (f'["{"x" * 60}"]',),
    "jsonb": (f'["{"x" * 60}"]',),
    "bit(4)": ("1011",),
    "varbit(4)": ("1011", "1"),
    "varbit(8)": ("10111011", "1"),
    "integer[]": (f"{{2147483647{',1' * 30}}}",),
    "bigint[]": (f"{{9223372036854775807{',1' * 30}}}",),
    "varchar(3)[]": (f"{{abc{',abc' * 30}}}",),
    "varchar(5)[]": (f"{{abcde{',abc' * 30}}}",),
}
"""Types of PostgreSQL, and values of each at its edges."""

# Called a loss though the values come back: exact numbers become inexact ones, the
# instant that a time stands for goes, `true` is cut, texts are longer elsewhere.
ALSO = {
    *(("numeric(4,0)", each) for each in ("real", "double precision")),
    *(("numeric(3,-2)", each) for each in ("real", "double precision")),
    *(("numeric(2,2)", each) for each in ("real", "double precision")),
    *((f"numeric({n})", "double precision") for n in ("10,2", "12,2", "12,4")),
    *((f"timestamptz{n}", f"timestamp{m}") for n in ("", "(3)") for m in ("", "(3)")),
    *(("boolean", text) for text in ("char(1)", "varchar(1)")),
    *(("bit(4)", number) for number in ("integer", "bigint")),
    *(("interval day", text) for text in ("char(6)", "varchar(5)", "varchar(6)")),
    *((f"interval{of}", "varchar(50)") for of in ("", "(0)", " day")),
}


def is_by_using(old: str, new: str) -> bool:
    """Return whether no cast shows what becomes of a value: an array of it, blanks."""
    return ("[]" in new and "[]" not in old) or ("bit" in old and "char" in new)


def survives(link: sa.Connection, old: str, new: str) -> bool | None:
    """Return whether each value comes back from the new type; None: it has no cast."""
    for value in VALUES[old]:
        one = f"CAST(CAST(:v AS text) AS {old})"
        back = f"CAST(CAST({one} AS {new}) AS {old})"
        query = sa.text(f"SELECT CAST({back} AS text) = CAST({one} AS text)")
        try:
            if not link.execute(query, {"v": value}).scalar_one():
                return False
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") == "42846":
                return None
            return False
    return True


def test_a_wider_type_is_no_loss_and_a_narrower_one_always_is(
    engine: sa.Engine,
) -> None:
    said: dict[bool, set[tuple[str, str]]] = {True: set(), False: set()}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("SET TimeZone TO 'UTC'")
        pairs = [(old, new) for old in VALUES for new in VALUES]
        pairs = [pair for pair in pairs if not is_by_using(*pair)]
        tried = {pair: survives(link, *pair) for pair in pairs}
    for pair, kept in tried.items():
        if kept is not None and kept is not (loss(*pair) is None):
            said[kept].add(pair)

    assert len(tried) - list(tried.values()).count(None) > 700
    assert said[False] == set()  # a narrower one that was called none
    assert said[True] <= ALSO  # a wider one that was called a loss
