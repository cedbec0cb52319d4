"""The clients in the README do what the README says, against a real node."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import Site
from tests.support.javascript import node as node_program

ROOT = Path(__file__).parents[2]
JAVASCRIPT = ROOT / "tests" / "e2e" / "js"


def snippet(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return str(code)


async def output_of(*command: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_the_client_rides_and_sees_itself(one_site: Site, tmp_path: Path, language: str) -> None:
    node = await one_site.node()
    if language == "python":
        script = tmp_path / "client.py"
        command, cwd = [sys.executable, str(script)], tmp_path
    else:
        script = JAVASCRIPT / "node_modules" / ".readme-client.mjs"  # beside the packages that it imports
        command, cwd = [node_program(), str(script)], JAVASCRIPT
    script.write_text(snippet(language), "utf-8")
    said = await output_of(*command, node.url, f"reader_{language}", cwd=cwd)
    for step in ("sharing", "watching", "started", "kept", "frame"):
        assert step in said, said
