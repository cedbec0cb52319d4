"""Durations as they are reported."""

import math
from collections.abc import Iterable


class Seconds:
    """Many durations."""

    def __init__(self) -> None:
        self._values: list[float] = []

    @classmethod
    def of(cls, several: "Iterable[Seconds]") -> "Seconds":
        """All of them together."""
        together = cls()
        for each in several:
            together._values += each._values
        return together

    def add(self, value: float) -> None:
        """One more."""
        self._values.append(value)

    def summary(self) -> dict[str, float | int | None]:
        """How many, the middle one, the 99th percentile, the longest."""
        ordered = sorted(self._values)
        return {
            "count": len(ordered),
            "p50": _at(ordered, 0.5),
            "p99": _at(ordered, 0.99),
            "max": _at(ordered, 1.0),
        }


def _at(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3)
