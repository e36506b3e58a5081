"""The app for a WSGI server: `gunicorn sample_app.wsgi:app`.

Where it runs is said by the environment: DATABASE_URL, MONGO_URI, DB_TYPE ("postgres"
unless set) and AUTO_UPGRADE ("true" unless set). See sample_app/deploy.
"""

from __future__ import annotations

from . import create_app

app = create_app()
