"""A stack of this test's own, stopped afterwards whatever happened to it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import stack


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for a stack under a parent that only its owner may enter, with a space and a quote in its name."""
    # Beside the other temporary files: in memory, where there is room.
    closed = Path(tempfile.mkdtemp(prefix="it's closed ", dir=tmp_path_factory.getbasetemp()))  # mode 700
    directory = closed / "a directory whose path is longer than a socket's may be" / ("deep" * 12) / ".data"
    yield directory
    stack.remove(directory)
    shutil.rmtree(closed)


@pytest.fixture
def report() -> list[str]:
    """The lines that a start has reported, when its `append` is given as the report."""
    return []
