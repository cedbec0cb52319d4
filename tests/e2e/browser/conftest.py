"""One browser for a module's tests, and the two nodes of `tests.e2e`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.browser.chromium import chromium
from tests.e2e.processes import Pair

_BUILT = Path(__file__).parents[3] / "web" / "dist" / "index.html"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser that tests share; each opens windows of its own in it."""
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def served(pair: Pair) -> Pair:
    """Two nodes with the page, and a worker."""
    assert _BUILT.exists(), "the page is not built; run `make page`"
    pair.site.worker()
    return pair
