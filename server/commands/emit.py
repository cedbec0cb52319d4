"""`python -m server emit`: send an event to connected clients, on whatever node they are."""

import argparse
import asyncio
import json
import sys

from domain.kit.errors import Unavailable
from realtime.bus.connections import BusOptions
from realtime.bus.emitter import RoomEmitter
from server.settings import Settings, load


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("emit", help="send an event to connected clients of all nodes")
    parser.add_argument("event", help="its name")
    parser.add_argument("payload", type=_json, help="what it carries, as JSON")
    parser.add_argument("--to", action="append", metavar="ROOM", help="a room or a socket's id; without one, everybody")
    parser.add_argument("--namespace", type=_namespace, default="/", help="begins with a slash (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Say it; exit status 1 when it is not known to be said."""
    try:
        nodes = asyncio.run(_emit(load(), options))
    except Unavailable as problem:
        print(f"not known to be said: {problem.message}", file=sys.stderr)
        return 1
    print(f"heard by {nodes} node{'' if nodes == 1 else 's'}")
    return 0


async def _emit(settings: Settings, options: argparse.Namespace) -> int:
    url = settings.redis_url.get_secret_value()
    emitter = RoomEmitter(BusOptions(url, timeout_seconds=settings.redis_timeout_seconds / 2))
    try:
        return await emitter.emit(options.event, options.payload, to=options.to, namespace=options.namespace)
    finally:
        await emitter.aclose()


def _namespace(text: str) -> str:
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"begins with a slash: /{text}")
    return text


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("is not JSON") from error
    return value
