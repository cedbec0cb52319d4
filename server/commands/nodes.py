"""`python -m server nodes`: which nodes are up, and how they are. Asks Redis and nothing else."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from redis.exceptions import TimeoutError as RedisTimeout

from domain.kit.errors import Unavailable
from domain.kit.redis_urls import Topology, parse_redis_url
from realtime.bus.connections import BusOptions
from realtime.bus.nodes import LIFE_SECONDS, Listed, NodeList
from server.settings import load

_HEADINGS = (
    "name",
    "id",
    "address",
    "version",
    "up since (UTC)",
    "sockets",
    "riders",
    "subscriptions",
    "heard",
    "round trip",
    "gaps filled",
    "state",
)
_NUMBERS = slice(5, 11)
"""Columns of figures: they are set to the right."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("nodes", help="show which nodes are up, and how they are")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Found:
    """The nodes, or why they cannot be told; and, of a cluster that does not tell, which masters do not answer."""

    nodes: Sequence[Listed] = ()
    fault: Exception | None = None
    masters: Mapping[str, Exception | None] = field(default_factory=dict)


def run(options: argparse.Namespace) -> int:
    """Print the nodes; exit status 1 when none is up or Redis cannot be asked, which is known after some seconds."""
    settings = load()
    bus = BusOptions(settings.redis_url.get_secret_value(), timeout_seconds=settings.redis_timeout_seconds / 2)
    found = asyncio.run(_read(bus))
    if found.fault is not None:
        if options.json:
            print(
                json.dumps(
                    {"nodes": None, "masters": {name: each and _why(each) for name, each in found.masters.items()}}
                )
            )
        print(_excuse(found, found.fault, settings.shown()["redis_url"]), file=sys.stderr)
        return 1
    nodes = found.nodes
    if options.json:
        print(json.dumps({"nodes": [_as_object(node) for node in nodes]}))
    elif nodes:
        print("\n".join(_table([_HEADINGS, *map(_row, nodes)])))
    if all(node.silent for node in nodes):
        waits = f"; the silent ones are forgotten after {LIFE_SECONDS} s" if nodes else ""
        print(f"no node is up: start one with python -m server run{waits}", file=sys.stderr)
        return 1
    return 0


async def _read(options: BusOptions) -> _Found:
    reader = NodeList(options)
    try:
        return _Found(await reader.nodes())
    except Unavailable as error:
        fault = error.__cause__ if isinstance(error.__cause__, Exception) else error
        in_parts = parse_redis_url(options.redis_url).topology is Topology.CLUSTER
        return _Found(fault=fault, masters=await reader.masters() if in_parts else {})
    finally:
        await reader.aclose()


def _excuse(found: _Found, fault: Exception, where: str) -> str:
    """Why the nodes cannot be told, and what there is to look at."""
    silent = sorted(name for name, reason in found.masters.items() if reason is not None)
    parts = [f"cannot ask {where} which nodes are up: {_why(fault)}"]
    if silent:
        parts.append(f"of its {len(found.masters)} masters {', '.join(silent)} gave no answer")
    return "; ".join([*parts, "look at Redis, and at REDIS_URL"])


def _why(fault: Exception) -> str:
    if isinstance(fault, TimeoutError | RedisTimeout):
        return "no answer in time"
    return str(fault).rstrip(".") or type(fault).__name__


def _as_object(listed: Listed) -> dict[str, Any]:
    node, figures = msgspec.to_builtins(listed.node), msgspec.to_builtins(listed.figures)
    lag = {"round_trip_ms": listed.round_trip_ms, "silent_ms": listed.silent_ms}
    return {**node, **figures, **lag, "state": _state(listed)}


def _state(listed: Listed) -> str:
    if listed.silent:
        return "silent"
    return "draining" if listed.figures.draining else "serving"


def _row(listed: Listed) -> Sequence[str]:
    node, figures = listed.node, listed.figures
    state = _state(listed)
    return (
        node.name or "-",
        node.id,
        node.address,
        node.version or "-",
        f"{datetime.fromtimestamp(node.started_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}",
        str(figures.sockets),
        str(figures.riders),
        str(figures.subscriptions),
        "never" if figures.heard_ms is None else f"{figures.heard_ms} ms ago",
        "-" if listed.round_trip_ms is None else f"{listed.round_trip_ms:g} ms",
        str(figures.gaps_filled),
        f"silent for {listed.silent_ms / 1000:.0f} s" if listed.silent else state,
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = range(len(widths))[_NUMBERS]
    lines = []
    for row in rows:
        cells = [
            text.rjust(width) if place in numbers else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
