"""Drives the load generator (`c/generator.c`): commands down, one report of what happened up for each."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadtests.bench.wire.processes import on_cores

_BUSY = 0.9
"""Share of its core at which the generator may be what is measured."""


class LoadFailed(Exception):
    """What was asked of the generator did not happen; the message says what did."""


@dataclass(frozen=True)
class Counters:
    """What the clients of a group did and heard during one command."""

    ready: int
    sent: int
    acks: int
    refused: int
    frames: int
    bytes: int
    events: int
    rows: int
    """Riders in the location frames that were heard."""
    closed: int


@dataclass(frozen=True)
class Happened:
    """The report on one command."""

    done: bool
    """Whether all that was asked for happened in time."""
    seconds: float
    cpu_seconds: float
    """Of the generator."""
    lag_ms: float
    """How late it was, at worst, with an event of a paced load."""
    latency_us: dict[str, int]
    """From an event to its ack, or to its delivery."""
    sightings_us: dict[str, int]
    """From a position to a frame that has it, for each client that sees it (`Generator.look`)."""
    groups: dict[str, Counters]


class Generator:
    """One generator process, on the cores of everything but the servers under test."""

    def __init__(self, binary: Path, port: int, cores: Iterable[int], directory: Path) -> None:
        self._port = port
        self._directory = directory
        self._files = 0
        self.busiest = 0.0
        """Its largest share of a core during a load."""
        with on_cores(cores):
            self._process = subprocess.Popen(
                [str(binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def group(
        self,
        name: str,
        auths: list[str] | None = None,
        *,
        greeted: bool = False,
        rows: bool = False,
        port: int | None = None,
    ) -> None:
        """Clients that are counted together; client i connects with `auths[i]`, all that follow with the last one.

        `greeted`: a client is connected when its first event has come. `rows`: count riders in its frames. `port`: of
        another server than the generator's.
        """
        path = "-" if auths is None else str(self._file(auths))
        self._tell(f"group {name} {path} {int(greeted)} {int(rows)} {port or self._port}")

    def events(self, name: str, templates: list[str]) -> None:
        """What the group sends from now on: `["name",…]`; see `c/templates.c` for what may stand in it."""
        self._tell(f"events {name} {self._file(templates)}")

    def look(self, name: str, numbers: Iterable[int], together: int) -> None:
        """Time how long positions of the group (`{turn}` in their templates) take to be seen within it.

        Client i is rider `numbers[i]`; so many riders that follow one another see one another.
        """
        self._require(f"look {name} {self._file([str(one) for one in numbers])} {together}", "riders have numbers")

    def open(self, name: str, count: int, *, at_once: int = 100, seconds: float = 60) -> Happened:
        """Connect the group. Raises LoadFailed when not all are let in."""
        return self._require(f"open {name} {count} {at_once} {seconds}", f"{count} sockets were to be opened")

    def once(self, name: str, *, at_once: int = 50, seconds: float = 60) -> Happened:
        """Each client sends its event. Raises LoadFailed when one is refused or not answered."""
        return self._require(f"once {name} {at_once} {seconds}", "each client was to be answered once")

    def flow(self, name: str, window: int, seconds: float, listeners: str = "-") -> Happened:
        """Keep so many events without an answer (or, with listeners, broadcasts not delivered) all the time."""
        return self._load(f"flow {name} {window} {seconds} {listeners}")

    def pace(
        self,
        name: str,
        interval_ms: float,
        seconds: float,
        *,
        acks: bool = False,
        drain_seconds: float = 10,
        listeners: str = "-",
        lossy: bool = False,
    ) -> Happened:
        """Each client sends once in each interval; afterwards wait for what is under way.

        Raises LoadFailed when a socket is closed, unless `lossy`: then that is for the caller to see.
        """
        return self._load(f"pace {name} {interval_ms} {seconds} {int(acks)} {drain_seconds} {listeners}", lossy=lossy)

    def idle(self, seconds: float) -> Happened:
        """Answer pings only."""
        return self._tell(f"idle {seconds}")

    def close(self, name: str) -> None:
        """Reset the group's connections."""
        self._tell(f"close {name}")

    def _load(self, command: str, *, lossy: bool = False) -> Happened:
        happened = self._tell(command)
        share = happened.cpu_seconds / max(happened.seconds, 1e-9)
        self.busiest = max(self.busiest, share)
        if share > _BUSY:
            print(f"the generator itself was busy for {share:.0%} of this load", file=sys.stderr)
        lost = sum(group.closed for group in happened.groups.values())
        if lost and not lossy:
            raise LoadFailed(f"{lost} sockets were closed by the server during `{command}`")
        return happened

    def _require(self, command: str, wanted: str) -> Happened:
        happened = self._tell(command)
        if not happened.done:
            raise LoadFailed(f"{wanted}; what happened: {happened.groups}")
        return happened

    def _tell(self, command: str) -> Happened:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise LoadFailed(f"the load generator ended at `{command}` with status {self._process.wait()}")
        return _read(json.loads(answer))

    def _file(self, lines: list[str]) -> Path:
        self._files += 1
        path = self._directory / f"generator-{self._process.pid}-{self._files}"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path


def _read(told: dict[str, Any]) -> Happened:
    groups = {name: Counters(**counters) for name, counters in told.pop("groups").items()}
    return Happened(**told, groups=groups)
