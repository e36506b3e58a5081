"""Flask-Migrate, set up as its users have it, but for its log lines."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path
from typing import Any

from .apps import Parts


def flask_migrate_tree(parts: Parts, root: Path, scripts: Path | None = None) -> None:
    """Make a directory by its own `init`, and copy Alembic scripts into it.

    scripts: the folder they are in; None: there are none. Its alembic.ini logs warnings
    only: writing a line a revision to a terminal is not what is measured.
    """
    import flask_migrate  # not needed by the other measurements

    flask_migrate.Migrate(parts.app, parts.db)
    with contextlib.redirect_stdout(io.StringIO()):
        flask_migrate.init(str(root))
    ini = root / "alembic.ini"
    ini.write_text(ini.read_text().replace("level = INFO", "level = WARN"))
    if scripts is not None:
        shutil.copytree(scripts, root / "versions", dirs_exist_ok=True)


def flask_migrate_upgrade(parts: Parts, root: Path, **options: Any) -> None:
    """Register it with an app, and upgrade to head. options: of Alembic's configure."""
    import flask_migrate  # not needed by the other measurements

    flask_migrate.Migrate(parts.app, parts.db, str(root), **options)
    flask_migrate.upgrade()
