"""What a node reads in Postgres when it starts, and before that: it does not believe that it knows who was revoked."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from domain.kit.errors import Unavailable
from domain.location.service import RiderDirectory
from domain.sharing.rules import Audience, PolicyChange
from realtime.gateway.revocations import HeardRevocations
from server.truth import ALLOWANCE, Truth
from tests.support.accounts import World, world

TOKEN_SECONDS = 4 * 3600
STATEMENT_SECONDS = 60
POSITION_SECONDS = 300
OVERLAP_SECONDS = STATEMENT_SECONDS + ALLOWANCE.total_seconds()


class Node:
    """The truth of a node that starts now, and what it was told."""

    def __init__(self, shared: World) -> None:
        self.truth = Truth(
            shared.accounts,
            RiderDirectory(shared.engine),
            shared.clock,
            token_seconds=TOKEN_SECONDS,
            statement_seconds=STATEMENT_SECONDS,
            position_seconds=POSITION_SECONDS,
        )
        self.revoked: list[UUID] = []
        self.changed: list[PolicyChange] = []
        self.truth.attach(
            session_revoked=lambda session, _: self.revoked.append(session), policy_changed=self.changed.append
        )


@pytest.fixture
async def shared(database_url: str) -> AsyncIterator[World]:
    async with world(database_url) as shared:
        yield shared


async def test_a_node_that_starts_knows_every_session_whose_tokens_may_still_live(shared: World) -> None:
    long_ago, before = await shared.rider("ada"), await shared.rider("ben")
    await shared.accounts.logout(long_ago.session_id)
    await shared.clock.turn(2 * OVERLAP_SECONDS)
    await shared.accounts.logout(before.session_id)
    await shared.clock.turn(TOKEN_SECONDS)
    node = Node(shared)
    await node.truth.look()
    assert node.revoked == [before.session_id]


async def test_a_commit_that_took_as_long_as_it_may_is_seen(shared: World) -> None:
    node, rider = Node(shared), await shared.rider()
    await node.truth.look()
    began = shared.clock.now()
    await shared.clock.turn(STATEMENT_SECONDS)
    await node.truth.look()
    async with shared.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE sessions SET revoked_at = $1 WHERE id = $2", (began, rider.session_id))
    await node.truth.look()
    await node.truth.look()
    assert node.revoked == [rider.session_id]


async def test_a_node_that_starts_hears_of_policies_that_changed_while_positions_of_before_may_be_shown(
    shared: World,
) -> None:
    rider = (await shared.rider()).user
    for audience, seconds in ((Audience.PUBLIC, POSITION_SECONDS), (Audience.NOBODY, OVERLAP_SECONDS)):
        await shared.sharing.set(rider.id, audience, None)
        await shared.clock.turn(seconds)
    node = Node(shared)
    for _ in range(2):
        await node.truth.look()
        assert node.changed == [PolicyChange(rider.id, rider.rider, 2)]


async def test_until_it_has_looked_postgres_is_asked_and_without_postgres_nobody_is_let_in(shared: World) -> None:
    class Heard:
        fresh = True

    asked: list[UUID] = []

    async def ask(session_id: UUID) -> bool:
        asked.append(session_id)
        if len(asked) > 1:
            raise Unavailable("Postgres is away")
        return True

    node, session = Node(shared), uuid4()
    revocations = HeardRevocations([Heard(), node.truth], ask)
    assert await revocations.is_revoked(session)
    with pytest.raises(Unavailable):
        await revocations.is_revoked(session)
    await node.truth.look()
    assert not await revocations.is_revoked(session)
    assert asked == [session, session]
