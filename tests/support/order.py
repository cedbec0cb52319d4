"""The order of the tests: what takes long comes first, so that no process waits for a long one in the end.

`scripts/test` shares them out with `--dist worksteal`: each of two processes begins with half of the list, and whoever
has done its own takes from the end of the other's.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

_FIRST_HALF = ("deploy", "docs", "e2e")
_SECOND_HALF = ("e2e/browser", "stack", "workers")
"""Folders with processes, servers and browsers of their own; both halves take about as long."""


def with_long_ones_first(items: Sequence[pytest.Item], tests: Path) -> list[pytest.Item]:
    """The same items; files stay together. `tests` is the directory whose folders are meant."""
    first, second, quick = [], [], []
    for item in items:
        folder = item.path.parent.relative_to(tests).as_posix()
        if folder in _SECOND_HALF:
            second.append(item)
        elif folder in _FIRST_HALF:
            first.append(item)
        else:
            quick.append(item)
    room = max(0, len(items) // 2 - len(first))
    return [*first, *quick[:room], *second, *quick[room:]]
