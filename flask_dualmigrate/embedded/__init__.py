"""PostgreSQL and MongoDB from wheels, for development, tests and demonstrations.

    from flask_dualmigrate import embedded

    app = Flask(__name__)
    embedded.configure(app)

The servers start on demand, keep their data under the app's instance folder, are
shared by all processes that use the same folder, and stop when the last of these
leaves. ``DATABASE_URL`` and ``MONGO_URI``, where set, win: nothing is started then.
"""

from __future__ import annotations

from .config import configure
from .servers import EmbeddedServers

__all__ = ["EmbeddedServers", "configure"]
