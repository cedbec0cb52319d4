"""The bench runs, checks what it measured, and tells its figures; reaching the goal is up to the machine."""

import asyncio
import json
import sys

import pytest

from tests.workers.recording import ROOT


@pytest.mark.timeout(300)
async def test_the_bench_tells_the_figures_of_both_kinds_of_traffic() -> None:
    command = [sys.executable, "-m", "loadtests.bench", "tracks", "--rounds", "1", "--fixes", "3000", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    told, _ = await process.communicate()
    figures = json.loads(told)
    assert (figures["fixes"], figures["goal"], figures["settings_changed"]) == (3000, 0.5, {})
    assert process.returncode == (0 if figures["ratio"] >= 0.5 else 1)
    for traffic in ("live", "batches"):
        assert figures[traffic]["ratio"] >= figures["ratio"]
        assert figures[traffic]["writer_fixes_per_second"] > 0
