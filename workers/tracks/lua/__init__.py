"""The Redis scripts of the track writer, each in a file of its own with its keys and arguments on top."""

from pathlib import Path


def script(name: str) -> str:
    """The text of `<name>.lua`."""
    return (Path(__file__).parent / f"{name}.lua").read_text()
