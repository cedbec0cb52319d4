"""The clients in the README do what the README says, against a real node."""

import asyncio
import math
import os
import re
import sys
from pathlib import Path

import pytest

from server.commands.demo import RIDERS_AT, RIDERS_WITHIN_KM
from tests.e2e.processes import Site
from tests.support.javascript import node as node_program

ROOT = Path(__file__).parents[2]
JAVASCRIPT = ROOT / "tests" / "e2e" / "js"


def snippet(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return str(code)


def written(language: str, directory: Path) -> tuple[list[str], Path]:
    """The client of the README as a file, with the command that runs it; and where to run it."""
    if language == "python":
        script, command, cwd = directory / "client.py", sys.executable, directory
    else:
        # Beside the packages that it imports.
        script, command, cwd = JAVASCRIPT / "node_modules" / ".readme-client.mjs", node_program(), JAVASCRIPT
    put(script, snippet(language))
    return [command, str(script)], cwd


def put(script: Path, code: str) -> None:
    """At once: another test process may be running what is there."""
    unfinished = script.with_name(f"{script.name}.{os.getpid()}")
    unfinished.write_text(code, "utf-8")
    unfinished.replace(script)


async def output_of(*command: str, cwd: Path, fails: bool = False) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 40)
    assert (process.returncode != 0) == fails, said.decode()
    return said.decode()


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_the_client_rides_and_sees_itself_with_an_old_name_too(
    one_site: Site, tmp_path: Path, language: str
) -> None:
    node = await one_site.node()
    command, cwd = written(language, tmp_path)
    for _ in ("a new name", "the same again"):
        said = await output_of(*command, node.url, f"reader_{language}", cwd=cwd)
        for step in ("watching", "kept", "frame"):
            assert step in said, said


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_without_arguments_the_client_says_how_it_is_used(tmp_path: Path, language: str) -> None:
    command, cwd = written(language, tmp_path)
    said = await output_of(*command, cwd=cwd, fails=True)
    assert said.startswith("usage: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_client_has_twenty_lines(language: str) -> None:
    assert len([line for line in snippet(language).splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_client_looks_where_the_simulated_riders_ride(language: str) -> None:
    (bounds,) = re.findall(r"bounds\"?: \[([-\d., ]+)\]", snippet(language))
    west, south, east, north = map(float, bounds.split(","))
    latitude, longitude = RIDERS_AT
    kilometres_north = 111.3 * min(north - latitude, latitude - south)
    kilometres_east = 111.3 * math.cos(math.radians(latitude)) * min(east - longitude, longitude - west)
    assert min(kilometres_north, kilometres_east) > RIDERS_WITHIN_KM
