"""The programs in docs/streams.md go on where they were, against a real node."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.docs.test_readme import JAVASCRIPT, ROOT, put
from tests.e2e.phones import Account, phone, register
from tests.e2e.processes import Site
from tests.support import eventually
from tests.support.javascript import node as node_program


def program(language: str, directory: Path) -> list[str]:
    """The page's program as a file, with the command that runs it."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "streams.md").read_text("utf-8"), re.DOTALL)
    if language == "python":
        script, command = directory / "streams.py", sys.executable
    else:
        script, command = JAVASCRIPT / "node_modules" / ".streams-client.mjs", node_program()
    put(script, code)
    return [command, str(script)]


@asynccontextmanager
async def started(command: list[str], account: Account, positions: Path) -> AsyncIterator[asyncio.StreamReader]:
    """The program at work; what it says."""
    arguments = [account.url, account.access_token, account.device_id, str(positions)]
    process = await asyncio.create_subprocess_exec(*command, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def says(said: asyncio.StreamReader, *lines: str) -> None:
    """These are its next lines."""
    async with asyncio.timeout(40):
        assert [(await said.readline()).decode().strip() for _ in lines] == list(lines)


async def kept(positions: Path, seq: int) -> None:
    """The program has written down this position; only then may it be killed."""
    await eventually(lambda: [place["seq"] for place in json.loads(positions.read_text("utf-8")).values()] == [seq])


async def follow(command: list[str], account: Account, positions: Path) -> None:
    async with phone(account) as device:
        async with started(command, account, positions) as said:
            await says(said, "up to date")
            await device.share("public")
            await says(said, "1 sharing:changed public")
            await kept(positions, 1)
        for audience in ("followers", "nobody"):
            await device.share(audience)
        async with started(command, account, positions) as said:
            await says(said, "2 sharing:changed followers", "3 sharing:changed nobody", "up to date")
            await device.share("public")
            await says(said, "4 sharing:changed public")
            await kept(positions, 4)
        positions.write_text(re.sub(r'("epoch": ?")', r"\1old ", positions.read_text("utf-8")), "utf-8")
        async with started(command, account, positions) as said:
            await says(said, "snapshot public", "up to date")


async def test_the_programs_go_on_where_they_were(one_site: Site, tmp_path: Path) -> None:
    node = await one_site.node()
    riders = {language: await register(node.url) for language in ("python", "javascript")}
    await asyncio.gather(
        *(
            follow(program(language, tmp_path), account, tmp_path / f"{language}.json")
            for language, account in riders.items()
        )
    )
