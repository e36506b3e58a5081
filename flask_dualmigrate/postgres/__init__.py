"""The PostgreSQL side, or any other dialect of SQLAlchemy's where there is one side."""
