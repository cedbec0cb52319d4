"""GPX 1.0 and 1.1 in any namespace, read as a stream: memory holds the points, never the document.

Uses expat directly and refuses entity declarations, so a file can neither read others nor grow without end. A file
that breaks off in the middle (a phone that lost power) keeps the points before the break.
"""

from pathlib import Path
from xml.parsers import expat

from loadtests.replay.sources.times import epoch_ms
from loadtests.replay.sources.tracks import NotATrack, Point, Track, number, track_of

_CHUNK_BYTES = 1 << 16
_FIELDS = {"ele": "altitude", "time": "time", "speed": "speed", "course": "heading"}


def read_gpx(path: Path) -> Track:
    """All `trkpt` of all tracks and segments, in file order, as one track. Raises NotATrack."""
    reader = _Reader()
    notes: tuple[str, ...] = ()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                reader.parser.Parse(chunk, False)
            reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        if not reader.points:
            raise NotATrack(f"not well-formed XML: {error}") from error
        notes = (f"breaks off: {error}",)
    if not reader.points and not reader.unreadable:
        raise NotATrack("has no track points")
    return track_of(path.name, reader.points, reader.unreadable, notes)


class _Reader:
    """Collects track points from expat's calls."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.unreadable = 0
        self._position: tuple[float, float] | None = None
        self._values: dict[str, str] = {}
        self._field: str | None = None
        self._text: list[str] = []
        self._depth: int | None = None  # elements open inside the current point; None outside of points
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._refuse_entity

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise NotATrack(f"declares the entity {name!r}; entities are not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "trkpt":
            self._position = _position(attributes)
            self._values = {}
            self._depth = 0
        elif self._depth is not None:
            self._depth += 1
            # Only children of the point itself: extensions use the same words in other units.
            self._field = _FIELDS.get(tag) if self._depth == 1 else None
            self._text = []

    def _characters(self, text: str) -> None:
        if self._field is not None:
            self._text.append(text)

    def _end(self, _: str) -> None:
        if self._depth is None:
            return
        if self._depth == 0:
            self._depth = None
            self._finish_point()
            return
        if self._field is not None:
            self._values.setdefault(self._field, "".join(self._text))
            self._field = None
        self._depth -= 1

    def _finish_point(self) -> None:
        if self._position is None:
            self.unreadable += 1
            return
        values = self._values
        self.points.append(
            Point(
                epoch_ms(values.get("time", "")),
                *self._position,
                altitude=number(values.get("altitude")),
                speed=number(values.get("speed")),
                heading=number(values.get("heading")),
            )
        )


def _position(attributes: dict[str, str]) -> tuple[float, float] | None:
    latitude, longitude = number(attributes.get("lat")), number(attributes.get("lon"))
    return None if latitude is None or longitude is None else (latitude, longitude)
