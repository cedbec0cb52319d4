"""The REST reference at /docs, in a browser that reaches nothing but the node."""

import pytest
from playwright.async_api import Browser, Route

from tests.e2e.browser.chromium import window
from tests.e2e.processes import Pair

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_reference_needs_nobody_else_and_breaks_no_policy(browser: Browser, served: Pair) -> None:
    elsewhere = []

    async def guard(route: Route) -> None:
        if route.request.url.startswith((served.one.url, "data:")):
            await route.continue_()
        else:
            elsewhere.append(route.request.url)
            await route.abort()

    async with window(browser) as reader:
        await reader.context.route("**/*", guard)
        await reader.page.goto(f"{served.one.url}/docs")
        operation = reader.page.locator("[id='operations-auth-login_v1_auth_login_post']")
        await operation.click()
        await operation.get_by_role("button", name="Try it out").wait_for()
        assert elsewhere == []
        assert reader.complaints == []
