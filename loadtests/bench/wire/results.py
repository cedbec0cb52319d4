"""What was measured, the goals, and the arithmetic between them: medians of rounds, and ratios of medians."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

OURS = "ours"
NODE = "node"
SHARDED = "node-sharded"
PLAIN = "python-socketio"
FLOOR = "floor"
PEERS = (OURS, NODE, PLAIN, FLOOR)


@dataclass(frozen=True)
class Reading:
    """One figure of one server in one round; without a value, `note` says why there is none."""

    figure: str
    peer: str
    value: float | None
    note: str = ""
    details: dict[str, object] = field(default_factory=dict)
    noise: float = 0.0
    """How far off the value may be, where a measurement can tell by itself."""


@dataclass(frozen=True)
class Goal:
    """Ours is at most `most` times the peer's figure; without a peer, at most `most` itself."""

    peer: str | None
    most: float
    within_noise: bool = False
    """It is enough that ours cannot be told from nothing."""


@dataclass(frozen=True)
class Figure:
    """A row of the table. Smaller is better in every one."""

    name: str
    title: str
    unit: str
    goals: tuple[Goal, ...]


FIGURES = (
    Figure("fanout-paced", "fan-out, one event every 20 ms", "µs/delivery", (Goal(NODE, 0.6), Goal(PLAIN, 0.15))),
    Figure("fanout-flow", "fan-out, back to back", "µs/delivery", (Goal(NODE, 1.0), Goal(FLOOR, 1.3))),
    Figure("event", "event in, handled, ack out", "µs/event", (Goal(NODE, 0.5),)),
    Figure("connect", "connect", "µs/connect", (Goal(NODE, 0.6),)),
    Figure("memory", "memory of an idle socket", "KiB/socket", (Goal(NODE, 0.4),)),
    Figure("neighbour-msgpack", "one more neighbour, msgpack", "bytes", (Goal(None, 16),)),
    Figure("neighbour-json", "one more neighbour, JSON", "bytes", (Goal(None, 32),)),
    Figure("map", "live map", "µs/position", (Goal(NODE, 0.1),)),
)


@dataclass(frozen=True)
class Verdict:
    """How a goal stands; `reached` is None where one of the two figures is missing."""

    figure: Figure
    goal: Goal
    ratio: float | None
    is_noise: bool = False
    """Whether ours cannot be told from nothing."""

    @property
    def reached(self) -> bool | None:
        """Whether the ratio is within the goal."""
        if self.ratio is None:
            return None
        return self.ratio <= self.goal.most or (self.goal.within_noise and self.is_noise)


class Results:
    """The readings of a run, of these figures."""

    def __init__(self, readings: Iterable[Reading], figures: Sequence[Figure] = FIGURES) -> None:
        self.readings = list(readings)
        self._figures = figures

    def measured(self) -> list[Figure]:
        """The figures that have a reading, in the order of the table."""
        names = {one.figure for one in self.readings}
        return [figure for figure in self._figures if figure.name in names]

    def of(self, figure: str, peer: str) -> list[Reading]:
        """The readings of one cell of the table."""
        return [one for one in self.readings if (one.figure, one.peer) == (figure, peer)]

    def values(self, figure: str, peer: str) -> list[float]:
        """Their values; empty unless every round gave one, since a median of the better rounds would flatter."""
        readings = self.of(figure, peer)
        values = [one.value for one in readings if one.value is not None]
        return values if len(values) == len(readings) else []

    def median(self, figure: str, peer: str) -> float | None:
        """The median of the rounds."""
        values = self.values(figure, peer)
        return statistics.median(values) if values else None

    def ratio(self, figure: str, peer: str) -> float | None:
        """Ours as a multiple of the peer's, by medians."""
        ours, theirs = self.median(figure, OURS), self.median(figure, peer)
        return None if ours is None or not theirs else ours / theirs

    def verdicts(self) -> list[Verdict]:
        """Every goal of what was measured."""
        return [
            Verdict(
                figure,
                goal,
                self.median(figure.name, OURS) if goal.peer is None else self.ratio(figure.name, goal.peer),
                self._is_noise(figure.name),
            )
            for figure in self.measured()
            for goal in figure.goals
        ]

    def _is_noise(self, figure: str) -> bool:
        median = self.median(figure, OURS)
        noise = [one.noise for one in self.of(figure, OURS)]
        return median is not None and abs(median) <= statistics.median(noise)

    def notes(self) -> list[str]:
        """What is to be said about single cells, once each."""
        return list(dict.fromkeys(f"{one.figure}, {one.peer}: {one.note}" for one in self.readings if one.note))


def spread(values: Sequence[float]) -> float:
    """Half the distance between the largest and the smallest round, as a share of the median."""
    median = abs(statistics.median(values)) if values else 0.0
    return (max(values) - min(values)) / 2 / median if median else 0.0
