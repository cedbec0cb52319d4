"""Real recorded tracks for tests, read with the standard library; without the data the tests that need it are skipped.

The directory is named by THROTTLECOVE_DATA, or lies beside the repository. Tracks are never part of the repository.
"""

import csv
import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from geo.track import TrackArrays

Row = tuple[int, float, float, float | None, float | None, float | None]
"""Timestamp (ms), latitude, longitude, altitude, accuracy, speed."""

DATA = Path(os.environ.get("THROTTLECOVE_DATA", Path(__file__).parents[3] / "shared" / "data"))
TRACKS = DATA / "tracks"
VECTORS = DATA / "vectors"


def names() -> list[str]:
    """The files that can be read as tracks."""
    return sorted(path.name for path in TRACKS.glob("*") if path.suffix in _READERS and path.name != "gpxpy_stats.json")


def needs_data(name: str = "") -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (TRACKS / name).exists(), reason=f"no real tracks at {TRACKS}")


def load(name: str) -> TrackArrays:
    """One track, its fixes numbered in file order; points without a time are left out."""
    path = TRACKS / name
    return of_rows(list(_READERS[path.suffix](path)))


def of_rows(rows: list[Row]) -> TrackArrays:
    return TrackArrays.from_rows([(seq, *row) for seq, row in enumerate(rows)])


def _epoch_ms(text: str) -> int:
    text = re.sub(r"(\.\d{6})\d+", r"\1", text.strip().replace("Z", "+00:00"))
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _gpx(path: Path) -> Iterator[Row]:
    for point in ET.parse(path).getroot().iter():
        if not point.tag.endswith("}trkpt"):
            continue
        children = {child.tag.rsplit("}")[-1]: child.text for child in point}
        if time := children.get("time"):
            altitude, speed = (float(text) if (text := children.get(key)) else None for key in ("ele", "speed"))
            yield _epoch_ms(time), float(point.attrib["lat"]), float(point.attrib["lon"]), altitude, None, speed


def _csv(path: Path) -> Iterator[Row]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            altitude = float(row["elevation"]) if "elevation" in row else None
            yield (_epoch_ms(row["tracked_at"]), float(row["latitude"]), float(row["longitude"]), altitude,
                   float(row["accuracy"]), None)  # fmt: skip


def _geojson(path: Path) -> Iterator[Row]:
    for feature in json.loads(path.read_text())["features"]:
        longitude, latitude = feature["geometry"]["coordinates"]
        values = {key: item["value"] for key, item in feature["properties"]["phenomenons"].items()}
        speed = values["GPS Speed"] / 3.6 if "GPS Speed" in values else None
        yield (_epoch_ms(feature["properties"]["time"]), latitude, longitude, values.get("GPS Altitude"),
               values.get("GPS Accuracy"), speed)  # fmt: skip


def _barefoot(path: Path) -> Iterator[Row]:
    for point in json.loads(path.read_text()):
        longitude, latitude = map(float, re.findall(r"[-\d.]+", point["point"]))
        yield _epoch_ms(point["time"]), latitude, longitude, None, None, None


def _vbo(path: Path) -> Iterator[Row]:
    day = 1_400_000_000_000 // 86_400_000 * 86_400_000
    for line in path.read_text().split("[data]")[1].split("\n"):
        if not (fields := line.split()):
            continue
        clock = float(fields[1])
        seconds = clock // 10_000 * 3600 + clock // 100 % 100 * 60 + clock % 100
        latitude, longitude = float(fields[2]) / 60, -float(fields[3]) / 60
        yield day + round(seconds * 1000), latitude, longitude, None, None, float(fields[4]) / 3.6


_READERS = {".gpx": _gpx, ".csv": _csv, ".geojson": _geojson, ".json": _barefoot, ".vbo": _vbo}
