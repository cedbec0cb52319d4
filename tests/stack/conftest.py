"""A stack of this test's own, stopped afterwards whatever happened to it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import stack


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory for a stack under a parent that only its owner may enter, with a space and a quote in its name."""
    closed = Path(tempfile.mkdtemp(prefix="it's closed "))  # mode 700
    directory = closed / "a directory whose path is longer than a socket's may be" / ("deep" * 12) / ".data"
    yield directory
    stack.remove(directory)
    shutil.rmtree(closed)


@pytest.fixture
def report() -> list[str]:
    """The lines that a start has reported, when its `append` is given as the report."""
    return []
