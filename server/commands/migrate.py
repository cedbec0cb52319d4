"""`python -m server migrate`: bring the database up to the schema of this version."""

import argparse

from domain.db.migrate import migrate
from server.settings import load
from server.telemetry import configure_logging


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("migrate", help="bring the database up to date")
    parser.set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    """Migrate; safe to run from several machines at once."""
    settings = load()
    configure_logging(settings)
    migrate(settings.database_url.get_secret_value())
    print("the database is up to date")
    return 0
