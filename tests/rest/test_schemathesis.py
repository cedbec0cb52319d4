"""Schemathesis reads the OpenAPI document, makes requests that fit it and requests that do not, and finds nothing."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
import uvicorn

from rest.track_answers import TRACK_ID
from tests.rest.conftest import Rest, bearer
from tests.support import eventually
from tests.support.tracks import seed_track

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 2
"""Of each operation and phase; give it hundreds after a change to many routes."""


@asynccontextmanager
async def served(rest: Rest) -> AsyncIterator[str]:
    """The address of a real server with this application."""
    server = uvicorn.Server(uvicorn.Config(rest.app, port=0, lifespan="off", ws="none", log_level="error"))
    serving = asyncio.create_task(server.serve(), name="uvicorn")
    try:
        await eventually(lambda: server.started, timeout=30)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing(rest: Rest, tmp_path: Path) -> None:
    rider = await rest.register()
    await seed_track(rest.world.engine, UUID(rider["user"]["id"]), track_id=UUID(TRACK_ID), points=300)
    async with served(rest) as address:
        command = ["--config-file", CONFIG, "run", f"{address}/openapi.json", "--max-examples", EXAMPLES,
                   "--no-color", "--header", f"Authorization: {bearer(rider)['Authorization']}"]  # fmt: skip
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "schemathesis.cli",
            *map(str, command),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await running.communicate()

    report = printed.decode()
    assert running.returncode == 0, report
    operations = sum(len(path) for path in (await rest.client.get("/openapi.json")).json()["paths"].values())
    assert f"Tested: {operations - 1}\n" in report, report
