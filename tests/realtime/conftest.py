"""Every test of the live side ends without an error in the logs and without a task left behind."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import structlog


@pytest.fixture
async def faultless(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fails the test when anything logged an error, or a task outlived it."""
    before = asyncio.all_tasks()
    with structlog.testing.capture_logs() as entries:
        yield
        for _ in range(10):
            await asyncio.sleep(0)
    assert [entry for entry in entries if entry["log_level"] == "error"] == []
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR] == []
    mine = {asyncio.current_task()}
    assert [task.get_name() for task in asyncio.all_tasks() - before - mine] == []
