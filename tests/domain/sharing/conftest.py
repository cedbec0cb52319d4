"""Accounts on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import World, world


@pytest.fixture
async def accounts(database_url: str) -> AsyncIterator[World]:
    async with world(database_url) as each:
        yield each
