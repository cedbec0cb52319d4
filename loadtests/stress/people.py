"""The accounts of a run: registered once, before anything is disturbed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import httpx

from loadtests.replay.accounts import Accounts, Credentials
from loadtests.stress.link import Heard, Link
from loadtests.stress.system import Node

_PASSWORD = "winding-roads-2026"
_AT_ONCE = 4


@dataclass(frozen=True)
class Person:
    """One signed-in device; its token outlives the run."""

    rider: int
    user_id: str
    token: str
    device_id: str

    async def connect(self, node: Node, heard: Heard) -> Link:
        """A connection to a node. Raises ConnectionLost."""
        return await Link.open(node.url, self.token, self.device_id, heard)


async def register(node: Node, count: int) -> list[Person]:
    """So many people who are new. Raises SignInFailed."""
    gate = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(timeout=30) as http:
        accounts = Accounts(http, node.url, known=False)

        async def one() -> Person:
            name = uuid4().hex[:12]
            credentials = Credentials(f"stress_{name}", _PASSWORD, name)
            async with gate:
                tokens = await accounts.sign_in(credentials)
            return Person(tokens.rider, tokens.user_id, tokens.access, name)

        return list(await asyncio.gather(*(one() for _ in range(count))))


def shared(people: Sequence[Person], sizes: Sequence[int]) -> list[list[Person]]:
    """The people divided into groups of these sizes."""
    groups, begin = [], 0
    for size in sizes:
        groups.append(list(people[begin : begin + size]))
        begin += size
    return groups
