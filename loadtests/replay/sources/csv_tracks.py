"""CSV files whose columns are recognisable: a time (or a date and a time), a latitude and a longitude.

The delimiter is found in the header line; columns are known by their names in any order, case or spelling of units.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from loadtests.replay.sources.times import epoch_ms
from loadtests.replay.sources.tracks import NotATrack, Point, Track, number, track_of

_PREAMBLE_LINES = 20
_DELIMITERS = ";\t|,"
_LATITUDE = ("latitude", "lat", "position_lat", "gps_latitude", "gps_lat", "y_lat")
_LONGITUDE = ("longitude", "lon", "lng", "long", "position_long", "gps_longitude", "gps_lon", "x_lon")
_TIME = ("timestamp", "tracked_at", "datetime", "date_time", "time", "recorded_at", "gps_time", "utc_time", "time_utc",
         "created_at", "utc", "epoch", "unixtime", "unix_time", "ts", "t")  # fmt: skip
_DATE = ("date", "day", "gps_date")
_ALTITUDE = ("altitude", "elevation", "ele", "alt", "height")
_ACCURACY = ("accuracy", "horizontal_accuracy", "hacc")
_UNIT = re.compile(r"[\s_]*[(\[].*?[)\]]")
_WORDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Columns:
    latitude: int
    longitude: int
    time: int
    date: int | None
    altitude: int | None
    accuracy: int | None


def read_csv(path: Path) -> Track:
    """The rows of the file in their order, as one track. Raises NotATrack when the columns are not recognisable."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        columns, delimiter = _header(file)
        reader = csv.reader((line.replace("\0", "") for line in file), delimiter=delimiter)
        points: list[Point] = []
        unreadable = 0
        for row in _rows(reader):
            point = _point(row, columns, comma_decimals=delimiter != ",")
            if point is None:
                unreadable += 1
            else:
                points.append(point)
    return track_of(path.name, points, unreadable)


def _header(file: TextIO) -> tuple[_Columns, str]:
    """The columns named by one of the first lines (some loggers put a preamble on top), and its delimiter."""
    reason = NotATrack("is empty")
    for line in islice((text for text in file if text.strip()), _PREAMBLE_LINES):
        delimiter = max(_DELIMITERS, key=line.count)
        try:
            return _columns(next(csv.reader([line], delimiter=delimiter), [])), delimiter
        except NotATrack as error:
            reason = error
    raise reason


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Rows that hold anything; a line the csv module cannot split counts as an unreadable one."""
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield ["?"]
            continue
        if any(cell.strip() for cell in row):
            yield row


def _columns(header: Sequence[str]) -> _Columns:
    names = [_WORDS.sub("_", _UNIT.sub("", name.strip().lower())).strip("_") for name in header]
    latitude, longitude = _find(names, _LATITUDE), _find(names, _LONGITUDE)
    date, time = _find(names, _DATE), _find(names, _TIME)
    if time is None and date is not None:
        time, date = date, None  # a column named `date` alone holds both
    missing = [
        what for what, found in (("time", time), ("latitude", latitude), ("longitude", longitude)) if found is None
    ]
    if latitude is None or longitude is None or time is None:
        raise NotATrack(f"no column recognised as {', '.join(missing)}")
    if date is not None and names[time] not in ("time", "gps_time", "utc_time", "time_utc", "utc"):
        date = None  # a full timestamp needs no date beside it
    return _Columns(latitude, longitude, time, date, _find(names, _ALTITUDE), _find(names, _ACCURACY))


def _find(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _point(row: Sequence[str], columns: _Columns, *, comma_decimals: bool) -> Point | None:
    def value(column: int | None) -> float | None:
        text = "" if column is None or column >= len(row) else row[column].strip()
        return number(text.replace(",", ".") if comma_decimals else text)

    latitude, longitude = value(columns.latitude), value(columns.longitude)
    if latitude is None or longitude is None:
        return None
    return Point(_time(row, columns), latitude, longitude, value(columns.altitude), value(columns.accuracy))


def _time(row: Sequence[str], columns: _Columns) -> int | None:
    text = row[columns.time].strip() if columns.time < len(row) else ""
    if columns.date is not None and columns.date < len(row):
        complete = epoch_ms(text) if len(text) > len("24:00:00.000000000Z") else None
        return complete if complete is not None else epoch_ms(f"{row[columns.date].strip()} {text}")
    return epoch_ms(text)
