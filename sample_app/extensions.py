"""The app's extensions: one object each, bound to an app in `create_app`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from flask_dualmigrate import DualMigrate


class Base(DeclarativeBase):
    """Base of the models; every constraint has a name, so a revision can drop it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
if TYPE_CHECKING:  # a type checker cannot follow the class that db makes at run time
    Model = Base
else:
    Model = db.Model
mongo = PyMongo()
dualmigrate = DualMigrate()
