"""PostgreSQL and MongoDB from wheels, for development, tests and demonstrations.

    from flask_dualmigrate import embedded

    app = Flask(__name__)
    embedded.configure(app)

The servers start on demand, keep their data under the app's instance folder, are
shared by all processes that use the same folder, and stop when the last of these
leaves. If ``DATABASE_URL`` or ``MONGO_URI`` is set, it wins, and that side's server is
not started.
"""

from __future__ import annotations

from .config import configure
from .servers import EmbeddedServers

__all__ = ["EmbeddedServers", "configure"]
