"""`python -m server migrate`: bring the database up to the schema of this version."""

import argparse
import sys

import asyncpg
from sqlalchemy.exc import DBAPIError

from domain.db.migrate import migrate
from server.settings import load
from server.telemetry import start_logging

# Without SQLAlchemy's wrapping, or without a statement, these come from connecting; all else is a fault of ours.
_NO_CONNECTION = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("migrate", help="bring the database up to date")
    parser.set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    """Migrate; safe to run from several machines at once. Exit status 2 when there is no way to the database."""
    settings = load()
    start_logging(settings)
    try:
        migrate(settings.database_url.get_secret_value())
    except (DBAPIError, *_NO_CONNECTION) as error:
        refusal: BaseException = error
        if isinstance(error, DBAPIError):
            if error.statement is not None or error.orig is None:
                raise
            refusal = error.orig.__cause__ or error.orig
        print(f"DATABASE_URL: no connection to this database ({type(refusal).__name__})", file=sys.stderr)
        return 2
    print("the database is up to date")
    return 0
