"""`python -m server epochs`: which epoch streams have; `--renew` after a backup was restored.

A restored database gives numbers again that clients have seen with other events. With new epochs no number from before
means anything: clients that come back get a snapshot, and those who are connected are told to resume within a second.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from domain.db.engine import create_engine
from domain.kit.clock import SystemClock
from domain.kit.errors import Unavailable
from domain.kit.sealed import Sealer
from domain.streams.rules import Appended
from domain.streams.service import Streams
from server.settings import Settings, load


class _Nobody:
    """There is nothing to hint: nothing is appended."""

    async def said(self, appended: Sequence[Appended]) -> None: ...


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its option."""
    parser = subparsers.add_parser("epochs", help="show, or after a restore renew, the epoch of streams")
    parser.add_argument("--renew", action="store_true", help="make all positions of clients void")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show or renew; exit status 2 when there is no way to the database."""
    settings = load()
    try:
        print(asyncio.run(_answer(settings, renew=options.renew)))
    except Unavailable as refusal:
        print(f"DATABASE_URL: {refusal.message}", file=sys.stderr)
        return 2
    return 0


async def _answer(settings: Settings, *, renew: bool) -> str:
    engine = create_engine(settings.database_url.get_secret_value(), pool_size=1, command_timeout_seconds=None)
    streams = Streams(engine, SystemClock(), Sealer({}, ""), _Nobody())
    try:
        if not renew:
            return f"streams begin with the epoch {await streams.epoch()}"
        epoch, renewed = await streams.renew_epochs()
        return f"{renewed} streams, and those to come, have the epoch {epoch}"
    finally:
        await engine.dispose()
