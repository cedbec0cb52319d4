"""Mutated sessions, byte by byte, leave nothing behind and bring nobody to complain: see `fuzz`."""

import asyncio
import time

import pytest

from tests.realtime.wire.fuzz import fuzz

SECONDS = 1.5
FEWEST = 100


@pytest.mark.parametrize("seed", ["one", "two", "three"])
def test_no_input_raises_leaks_a_task_or_holds_memory(seed: str) -> None:
    """To run it for longer, and a single case again: `python -m tests.realtime.wire.fuzz --help`."""
    until = time.monotonic() + SECONDS
    fuzzer = asyncio.run(fuzz(seed, lambda number: number < FEWEST or time.monotonic() < until))
    played = fuzzer.played
    assert played.total() >= FEWEST
    assert min(played["101"], played["polling"], played["400"]) > FEWEST // 20, played
