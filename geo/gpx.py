"""GPX 1.0 and 1.1 read piece by piece, in any namespace prefix: points come out as bytes go in.

Promises to raise nothing but `GpxError` whatever the bytes are, and bounded memory: a document type (and with it every
entity) is refused, and so are documents that are too deep, too long in one piece, or made of too many names. Limits on
the size of the document, and what becomes of the points, are the caller's. Pure: it opens no file and no address.
"""

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NoReturn
from xml.parsers import expat

from geo.gpx_places import CHILDREN, FIELDS, OWN_ATTRIBUTES, Place
from geo.gpx_times import epoch_ms

SLICE_BYTES = 16 * 1024
"""What is read at once; larger pieces are cut. It takes a millisecond or two."""
LONGEST_MARKUP_BYTES = 64 * 1024
"""One tag, comment or instruction; expat keeps the whole of it."""
LONGEST_TEXT = 1_000
"""Characters of a name, a time or a number."""
DEEPEST = 64
"""Elements within one another."""
MOST_NAMES = 4_000
"""Different names of elements, attributes and namespaces; expat remembers them all."""
MOST_TRACKS = 500
"""`trk` elements in one document."""

_ENCODING = re.compile(r"utf-8|utf-16|us-ascii|iso-8859-\d{1,2}|windows-125\d", re.IGNORECASE)
_LARGEST_SEQ = 2**31 - 1


class GpxFault(StrEnum):
    """Why a document is refused."""

    NOT_XML = "not_xml"
    """Not well-formed, or it breaks off."""
    ENCODING = "encoding"
    """Not written in the encoding that it names, or in one that is not read."""
    DOCTYPE = "doctype"
    """It has a document type declaration, by which XML could read other files or grow without end."""
    NOT_GPX = "not_gpx"
    """XML of another kind."""
    TOO_DEEP = "too_deep"
    TOO_LONG = "too_long"
    TOO_MANY_NAMES = "too_many_names"
    TOO_MANY_TRACKS = "too_many_tracks"
    TOO_MANY_POINTS = "too_many_points"
    COORDINATES = "coordinates"
    """A track point whose latitude or longitude is missing, not a finite number, or out of range."""
    NO_POINTS = "no_points"
    """No track with a point; routes and waypoints are not recordings."""
    NO_TIMES = "no_times"
    """Track points, and not one has a time."""


class GpxError(Exception):
    """The document cannot be read: why, a sentence for its author, and the line."""

    def __init__(self, fault: GpxFault, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.line = line


class GpxPoint(NamedTuple):
    """A track point with a time; the units of `geo.fix.Fix`, values as the file has them.

    `track` is the index of its `trk`. `seq`, `accuracy`, `lean` and `battery` are only in our own exports.
    """

    track: int
    seq: int | None
    timestamp: int
    latitude: float
    longitude: float
    altitude: float | None = None
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    lean: float | None = None
    battery: float | None = None


@dataclass
class GpxTrack:
    """One `trk`: its name, how many points it has, how many of them without a time (or with none that can be read),
    and how many other values cannot be read.
    """

    name: str | None = None
    points: int = 0
    without_time: int = 0
    unreadable_values: int = 0


class GpxReader:
    """Feed it the bytes, in pieces of any size, then `close` it. After an error it is of no more use."""

    def __init__(self, *, most_points: int = 1_000_000) -> None:
        self.tracks: list[GpxTrack] = []
        self.routes = 0
        self.waypoints = 0
        self._most_points = most_points
        self._all_points = 0
        self._fed = 0
        self._ready: list[GpxPoint] = []
        self._places: list[Place] = [Place.DOCUMENT]
        self._text: list[str] | None = None
        self._text_length = 0
        self._position = (0.0, 0.0)
        self._values: dict[str, str] = {}
        self._parser = self._new_parser()

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartNamespaceDeclHandler = _interned
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        return parser

    def feed(self, data: bytes) -> list[GpxPoint]:
        """Read on; the points that are complete now, in the order of the file. Raises GpxError."""
        for begin in range(0, len(data), SLICE_BYTES):
            piece = data[begin : begin + SLICE_BYTES]
            self._parse(piece, final=False)
            self._fed += len(piece)
            self._check_bounds()
        return self._take()

    def close(self) -> list[GpxPoint]:
        """The document ends here: the last points. Raises GpxError when it breaks off, or has nothing to record."""
        self._parse(b"", final=True)
        if not self._all_points:
            raise GpxError(GpxFault.NO_POINTS, _nothing_recorded(self.routes, self.waypoints))
        if self._all_points == sum(track.without_time for track in self.tracks):
            raise GpxError(GpxFault.NO_TIMES, "has no time at any track point; a recording needs them")
        return self._take()

    def _take(self) -> list[GpxPoint]:
        ready, self._ready = self._ready, []
        return ready

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            fault = GpxFault.ENCODING if error.code in _ENCODING_ERRORS else GpxFault.NOT_XML
            raise GpxError(fault, f"is not well-formed XML: {expat.ErrorString(error.code)}", error.lineno) from error
        except (ValueError, LookupError) as error:  # from Python's codecs
            raise GpxError(GpxFault.ENCODING, "is in an encoding that cannot be read; use UTF-8") from error

    def _check_bounds(self) -> None:
        if self._fed - self._parser.CurrentByteIndex > LONGEST_MARKUP_BYTES + SLICE_BYTES:
            self._refuse(GpxFault.TOO_LONG, f"has a tag or comment of over {LONGEST_MARKUP_BYTES} bytes")
        if len(self._parser.intern) > MOST_NAMES:
            self._refuse(GpxFault.TOO_MANY_NAMES, f"has over {MOST_NAMES} different names of elements and attributes")

    def _refuse(self, fault: GpxFault, message: str) -> NoReturn:
        raise GpxError(fault, message, self._parser.CurrentLineNumber)

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and not _ENCODING.fullmatch(encoding):
            self._refuse(GpxFault.ENCODING, "names an encoding that is not read; use UTF-8")

    def _refuse_doctype(self, *_: object) -> None:
        self._refuse(GpxFault.DOCTYPE, "has a document type declaration (DOCTYPE); remove it")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._places) > DEEPEST:
            self._refuse(GpxFault.TOO_DEEP, f"has more than {DEEPEST} elements within one another")
        children = CHILDREN.get(self._places[-1])
        # Names in extensions need their namespace; GPX's own are known by their place.
        place = Place.ELSEWHERE
        if children is not None:
            place = children.get(name) or children.get(name.rpartition(" ")[2], Place.ELSEWHERE)
        self._places.append(place)
        if place is Place.ELSEWHERE:
            if len(self._places) == 2:
                self._refuse(GpxFault.NOT_GPX, "is XML, but its outermost element is not `gpx`")
        elif place is Place.POINT:
            self._begin_point(attributes)
        elif place in FIELDS:
            self._text, self._text_length = [], 0
        elif place is Place.OWN_FIX:
            self._values.update((name, text) for name, text in attributes.items() if name in OWN_ATTRIBUTES)
        elif place is Place.TRACK:
            self._begin_track()
        elif place is Place.ROUTE:
            self.routes += 1
        elif place is Place.WAYPOINT:
            self.waypoints += 1

    def _characters(self, text: str) -> None:
        if self._text is None or self._places[-1] not in FIELDS:
            return
        self._text_length += len(text)
        if self._text_length > LONGEST_TEXT:
            self._refuse(GpxFault.TOO_LONG, f"has a name, time or number of over {LONGEST_TEXT} characters")
        self._text.append(text)

    def _end(self, _name: str) -> None:
        place = self._places.pop()
        if place in FIELDS and self._text is not None:
            text = "".join(self._text).strip()
            self._text = None
            if place is Place.TRACK_NAME:
                self.tracks[-1].name = text or None
            else:
                self._values.setdefault(FIELDS[place], text)
        elif place is Place.POINT:
            self._end_point()

    def _begin_track(self) -> None:
        if len(self.tracks) == MOST_TRACKS:
            self._refuse(GpxFault.TOO_MANY_TRACKS, f"has over {MOST_TRACKS} tracks; import them in parts")
        self.tracks.append(GpxTrack())

    def _begin_point(self, attributes: dict[str, str]) -> None:
        if self._all_points == self._most_points:
            self._refuse(GpxFault.TOO_MANY_POINTS, f"has over {self._most_points} track points; import them in parts")
        self._all_points += 1
        latitude, longitude = number(attributes.get("lat")), number(attributes.get("lon"))
        if latitude is None or not -90.0 <= latitude <= 90.0:
            self._refuse(GpxFault.COORDINATES, "has a trkpt whose lat is not a number between -90 and 90")
        if longitude is None or not -180.0 <= longitude <= 180.0:
            self._refuse(GpxFault.COORDINATES, "has a trkpt whose lon is not a number between -180 and 180")
        self._position = (latitude, longitude)
        self._values = {}

    def _end_point(self) -> None:
        track, values = self.tracks[-1], self._values
        track.points += 1
        timestamp = epoch_ms(values.get("time", ""))
        if timestamp is None:
            track.without_time += 1
            return
        numbers = [number(values.get(name)) for name in _NUMBERS]
        track.unreadable_values += len(values) - ("time" in values) - ("seq" in values)
        track.unreadable_values -= len(numbers) - numbers.count(None)
        seq = _seq(values.get("seq"))
        self._ready.append(GpxPoint(len(self.tracks) - 1, seq, timestamp, *self._position, *numbers))


_NUMBERS = GpxPoint._fields[5:]
_ENCODING_ERRORS = frozenset(
    expat.errors.codes[text]
    for text in (
        expat.errors.XML_ERROR_UNKNOWN_ENCODING,
        expat.errors.XML_ERROR_INCORRECT_ENCODING,
    )
)


def _interned(_prefix: str | None, _uri: str) -> None:
    """Does nothing itself: that it is called has expat's binding count these names among the others."""


def _nothing_recorded(routes: int, waypoints: int) -> str:
    if routes or waypoints:
        found = [_counted(count, what) for count, what in ((routes, "route"), (waypoints, "waypoint")) if count]
        return f"has no track points, only {' and '.join(found)}: these are plans and places, not recordings"
    return "has no track points"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def number(text: str | None) -> float | None:
    """A finite number as XML Schema writes it, or None."""
    if text is None or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seq(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return None
    seq = int(text)
    return seq if seq <= _LARGEST_SEQ else None
