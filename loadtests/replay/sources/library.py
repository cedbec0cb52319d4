"""A directory of recorded tracks: every GPX and every recognisable CSV is read, every other file is named with why."""

from dataclasses import dataclass, field
from pathlib import Path

from loadtests.replay.sources.csv_tracks import read_csv
from loadtests.replay.sources.gpx import read_gpx
from loadtests.replay.sources.tracks import NotATrack, Track

_READERS = {".gpx": read_gpx, ".csv": read_csv}


@dataclass(slots=True)
class Library:
    """What a directory holds: tracks by name, and the files that were left out with the reason."""

    tracks: list[Track] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def read_directory(directory: Path) -> Library:
    """Read all files below `directory`, in the order of their names. Raises NotADirectoryError."""
    if not directory.is_dir():
        raise NotADirectoryError(f"{directory} is not a directory")
    library = Library()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = str(path.relative_to(directory))
        try:
            track = _read(path)
        except (NotATrack, OSError) as error:
            library.skipped[name] = str(error)
            continue
        library.tracks.append(track)
    return library


def _read(path: Path) -> Track:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise NotATrack("neither GPX nor CSV")
    track = reader(path)
    if not track.fixes:
        raise NotATrack(f"none of its {track.without_time + track.unreadable} points has a time and a position")
    return track
