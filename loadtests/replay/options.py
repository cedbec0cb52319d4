"""What a run is asked to do: the command line of `python -m loadtests.replay`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.replay.database import SABOTAGES
from loadtests.replay.sources.roads import Area

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_WITHIN_SECONDS = 120.0
DEFAULT_RIDERS = 12
_PASSWORD = "ride-with-friends-2026"
_MOST_WATCHERS = 50


@dataclass(frozen=True, slots=True)
class Options:
    """A run. `tracks` None means generated roads; `speedup` None means as fast as `within` asks for."""

    urls: tuple[str, ...] = (DEFAULT_URL,)
    tracks: Path | None = None
    riders: int | None = None
    watchers: int | None = None
    speedup: float | None = None
    within: float | None = None
    seconds: int = 120
    forever: bool = False
    quiet: bool = False
    seed: int = 1
    area: Area | None = None
    worldwide: bool = False
    radius_metres: float = 6_000.0
    account_prefix: str | None = None
    password: str = _PASSWORD
    database_url: str | None = None
    check: bool = True
    sabotage: str | None = None
    settle_seconds: float = 60.0
    give_up_seconds: float | None = None

    def watchers_for(self, riders: int) -> int:
        """How many riders are watched: nobody in endless riding, else all up to a limit, unless said otherwise."""
        if self.watchers is not None:
            return min(self.watchers, riders)
        return 0 if self.forever else min(riders, _MOST_WATCHERS)


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; ends the program with status 2 when it makes no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.forever and given.tracks is not None:
        parser.error("--forever is for generated roads; recorded tracks end")
    if given.speedup is not None and given.within is not None:
        parser.error("choose --speedup or --within, not both")
    if given.forever and given.sabotage:
        parser.error("--sabotage needs a run that ends with a check")
    values = vars(given)
    centre = values.pop("centre")
    radius_metres = values.pop("radius_km") * 1000
    area = None if centre is None else Area(centre[0], centre[1], radius_metres)
    urls = tuple(values.pop("url") or (DEFAULT_URL,))
    check = not values.pop("no_check") and not given.forever
    return Options(urls=urls, area=area, radius_metres=radius_metres, check=check, **values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m loadtests.replay", description="Riders on recorded or generated tracks, and a check in PostGIS."
    )
    add = parser.add_argument
    add("--url", action="extend", nargs="+", metavar="URL", help=f"nodes, one or more (default: {DEFAULT_URL})")
    add("--tracks", type=Path, metavar="DIR", help="ride every GPX and CSV in DIR (default: generated roads)")
    add("--riders", type=count, help=f"riders at the same time (default: one a track, or {DEFAULT_RIDERS})")
    add("--watchers", type=_count_or_none, help=f"how many riders are watched (default: all, up to {_MOST_WATCHERS})")
    add("--speedup", type=positive, metavar="X", help="ride X times as fast as recorded")
    add("--within", type=positive, metavar="SECONDS", help="ride each track within this time (default for tracks: 120)")
    add("--seconds", type=count, default=120, help="length of a generated ride (default: %(default)s)")
    add("--forever", action="store_true", help="generated rides without end, and no check")
    add("--quiet", action="store_true", help="no progress, only problems and the result")
    add("--seed", type=int, default=1, help="same seed, same roads and stretches (default: %(default)s)")
    add("--centre", type=_place, metavar="LAT,LON", help="generated roads lie around this place")
    add("--radius-km", type=positive, default=6.0, help="… within this distance (default: %(default)s)")
    add("--worldwide", action="store_true", help="generated roads on six continents instead of around one place")
    add("--account-prefix", metavar="NAME", help="accounts NAME1, NAME2, … are used again (default: new ones)")
    add("--password", default=_PASSWORD, help="their password")
    add("--database-url", metavar="URL", help="where to check (default: DATABASE_URL, or the private stack)")
    add("--no-check", action="store_true", help="do not look into the database")
    add("--sabotage", choices=SABOTAGES, help="damage one stored fix before the check, which must then fail")
    add("--settle-seconds", type=positive, default=60.0, help="how long the worker may take to finish the tracks")
    add("--give-up-seconds", type=positive, help="end riding after this long, whatever is unanswered")
    return parser


def count(text: str) -> int:
    """An argument that is 1 or more. Raises ArgumentTypeError or ValueError."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _count_or_none(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def positive(text: str) -> float:
    """An argument that is more than 0. Raises ArgumentTypeError or ValueError."""
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _place(text: str) -> tuple[float, float]:
    latitude, _, longitude = text.partition(",")
    place = float(latitude), float(longitude)
    if not (-80 <= place[0] <= 80 and -180 <= place[1] <= 180):
        raise argparse.ArgumentTypeError("LAT is from -80 to 80 (roads end there), LON from -180 to 180")
    return place
