"""`test` where the databases have schemas and settings before the first revision."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flask_dualmigrate import init, prove, upgrade
from tests.integration.conftest import MakeApp, Tree

TABLE = (
    'op.create_table("t", sa.Column("id", sa.BigInteger, primary_key=True))\n'
    "op.execute(\"COMMENT ON TABLE shop.t IS 'in the schema of search_path'\")"
)
MAKES_IT = 'op.execute("CREATE SCHEMA shop")\n'


@pytest.mark.parametrize("is_made", [False, True], ids=["there-before", "by-a-script"])
def test_scratch_databases_have_the_schemas_that_revisions_take_for_granted(
    make_app: MakeApp, tree: Tree, engine: sa.Engine, is_made: bool
) -> None:
    """Those of search_path and version_table_schema; not one that a script makes."""
    with engine.begin() as connection:
        database = connection.dialect.identifier_preparer.quote(
            str(engine.url.database)
        )
        connection.exec_driver_sql("CREATE SCHEMA meta")
        if not is_made:
            connection.exec_driver_sql("CREATE SCHEMA shop")
        connection.exec_driver_sql(
            f"ALTER DATABASE {database} SET search_path TO shop, public"
        )
    engine.dispose()
    tree.add(
        "r1",
        postgres=(MAKES_IT if is_made else "") + TABLE,
        postgres_down='op.drop_table("t")'
        + ('\nop.execute("DROP SCHEMA shop")' if is_made else ""),
    )
    app = make_app(version_table_schema="meta")
    with app.app_context():
        init()
        upgrade()
        result = prove(all_=True)
    assert [proof.outcome for proof in result.proofs] == ["equal"], result
