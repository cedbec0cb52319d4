"""The statements of the track writer and the finisher, each in a file of its own with its arguments on top."""

from pathlib import Path


def statement(name: str) -> str:
    """The text of `<name>.sql`."""
    return (Path(__file__).parent / f"{name}.sql").read_text()
