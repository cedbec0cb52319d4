"""The one permitted wait of the tests: until a condition holds, with the event loop running meanwhile."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.005


async def eventually(
    condition: Callable[[], T | Awaitable[T]], *, timeout: float = 10.0, every: float = _POLL_SECONDS
) -> T:
    """Wait until `condition()` (plain or async) is true, and return its value; AssertionError after `timeout` seconds.

    `every` so many seconds it is looked at; seldom where looking takes its time from what is waited for. A condition
    that raises AssertionError counts as not holding yet; the last one is shown when time is up.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        value, complaint = await _look(condition)
        if value:
            return value  # type: ignore[return-value]
        if loop.time() > deadline:
            raise AssertionError(f"not true within {timeout} s; last: {complaint or value!r}") from complaint
        await asyncio.sleep(every)


async def _look(condition: Callable[[], T | Awaitable[T]]) -> tuple[T | None, AssertionError | None]:
    try:
        value = condition()
        return (await value if inspect.isawaitable(value) else value), None
    except AssertionError as complaint:
        return None, complaint
