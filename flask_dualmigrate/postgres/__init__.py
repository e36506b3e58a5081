"""The PostgreSQL side, or any other SQLAlchemy dialect if there is only one side."""
