"""Fixtures of the recording tests."""

from collections.abc import AsyncIterator

import pytest

from tests.workers.recording import Recording, recording_on


@pytest.fixture
async def recording(database_url: str, redis_url: str) -> AsyncIterator[Recording]:
    """A stream and a database of this test's own."""
    async with recording_on(database_url, redis_url) as recording:
        yield recording
