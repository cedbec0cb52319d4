"""Refresh, rotation, reuse and revocation, on a real database."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from domain.accounts.service import Device
from domain.kit.errors import Invalid, NotFound, Unauthenticated, Unavailable
from tests.support.accounts import PASSWORD, PHONE, World, world


async def refresh(accounts: World, token: str, device_id: str = "phone-1") -> str:
    signed_in = await accounts.accounts.refresh(refresh_token=token, device_id=device_id)
    return signed_in.refresh_token


async def test_a_refresh_brings_new_tokens_of_the_same_session(accounts: World) -> None:
    first = await accounts.rider()
    await accounts.clock.turn(600)

    second = await accounts.accounts.refresh(refresh_token=first.refresh_token, device_id="phone-1")

    assert second.refresh_token != first.refresh_token
    assert second.session_id == first.session_id
    assert accounts.verifier.verify(second.access_token).expires_at_ms == accounts.clock.epoch_ms() + 900_000


async def test_a_lost_answer_is_given_again(accounts: World) -> None:
    token = (await accounts.rider()).refresh_token
    lost = await refresh(accounts, token)
    await accounts.clock.turn(60)

    again = await refresh(accounts, token)

    assert again == lost
    await refresh(accounts, again)


async def test_used_after_a_minute_it_ends_the_session(accounts: World) -> None:
    rider = await accounts.rider()
    current = await refresh(accounts, rider.refresh_token)
    await accounts.clock.turn(61)

    with pytest.raises(Unauthenticated):
        await refresh(accounts, rider.refresh_token)

    with pytest.raises(Unauthenticated):
        await refresh(accounts, current)
    assert await accounts.accounts.session_is_revoked(rider.session_id)
    assert accounts.told.revoked == [(rider.session_id, accounts.clock.epoch_ms() + 900_000)]


async def test_once_the_next_was_used_the_previous_ends_the_session(accounts: World) -> None:
    rider = await accounts.rider()
    current = await refresh(accounts, await refresh(accounts, rider.refresh_token))

    with pytest.raises(Unauthenticated):
        await refresh(accounts, rider.refresh_token)

    with pytest.raises(Unauthenticated):
        await refresh(accounts, current)


@pytest.mark.parametrize("already_used", [False, True])
async def test_another_device_ends_the_session(accounts: World, already_used: bool) -> None:
    rider = await accounts.rider()
    current = await refresh(accounts, rider.refresh_token) if already_used else rider.refresh_token

    with pytest.raises(Unauthenticated):
        await refresh(accounts, rider.refresh_token, "phone-2")

    with pytest.raises(Unauthenticated):
        await refresh(accounts, current)


async def test_only_the_session_at_fault_ends(accounts: World) -> None:
    rider = await accounts.rider()
    tablet = await accounts.accounts.login(identifier="ada", password=PASSWORD, device=Device("tablet"))

    with pytest.raises(Unauthenticated):
        await refresh(accounts, rider.refresh_token, "thief")

    await refresh(accounts, tablet.refresh_token, "tablet")


async def test_refreshes_at_once_get_the_same_next_token(accounts: World) -> None:
    token = (await accounts.rider()).refresh_token

    answers = await asyncio.gather(*(refresh(accounts, token) for _ in range(8)))

    assert len(set(answers)) == 1
    assert await refresh(accounts, answers[0]) != answers[0]


async def test_a_session_ends_after_seven_days_without_use(accounts: World) -> None:
    token = (await accounts.rider()).refresh_token
    for _ in range(3):
        await accounts.clock.turn(timedelta(days=6).total_seconds())
        token = await refresh(accounts, token)
    await accounts.clock.turn(timedelta(days=7).total_seconds())

    with pytest.raises(Unauthenticated):
        await refresh(accounts, token)


async def test_tokens_that_ended_by_themselves_are_forgotten(accounts: World) -> None:
    token = (await accounts.rider()).refresh_token
    for _ in range(5):
        await accounts.clock.turn(timedelta(days=3).total_seconds())
        token = await refresh(accounts, token)

    async with accounts.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM refresh_tokens"))).scalar_one() == 3


@pytest.mark.parametrize("token", ["unknown", "x" * 200])
async def test_an_unknown_token_is_refused(accounts: World, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await refresh(accounts, token)


@pytest.mark.parametrize(
    ("token", "device_id", "field"),
    [
        ("", "p", "refresh_token"),
        ("\ud800", "p", "refresh_token"),
        ("x", "\0", "device_id"),
        ("x", "\udfff", "device_id"),
    ],
    ids=ascii,
)
async def test_what_is_no_text_is_refused(accounts: World, token: str, device_id: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await refresh(accounts, token, device_id)
    assert refused.value.field == field


async def test_logout_ends_the_session_and_tells_the_nodes(accounts: World) -> None:
    rider = await accounts.rider()
    assert not await accounts.accounts.session_is_revoked(rider.session_id)

    await accounts.accounts.logout(rider.session_id)
    await accounts.accounts.logout(rider.session_id)

    assert await accounts.accounts.session_is_revoked(rider.session_id)
    assert {session_id for session_id, _ in accounts.told.revoked} == {rider.session_id}
    with pytest.raises(Unauthenticated):
        await refresh(accounts, rider.refresh_token)


async def test_the_list_of_sessions(accounts: World) -> None:
    rider = await accounts.rider()
    await accounts.clock.turn(10)
    tablet = await accounts.accounts.login(
        identifier="ada", password=PASSWORD, device=Device("tablet", "2001:db8::7", "Web/1.0")
    )
    other = await accounts.rider("bob")

    listed = await accounts.accounts.sessions(rider.user.id)

    assert [each.id for each in listed] == [tablet.session_id, rider.session_id]
    assert (listed[0].device_id, listed[0].ip_address, listed[0].user_agent) == ("tablet", "2001:db8::7", "Web/1.0")
    assert listed[1].ip_address == PHONE.ip_address
    assert other.session_id not in {each.id for each in listed}


async def test_a_revoked_session_is_not_listed_and_cannot_be_revoked_again(accounts: World) -> None:
    rider = await accounts.rider()

    await accounts.accounts.revoke_session(rider.user.id, rider.session_id)

    assert await accounts.accounts.sessions(rider.user.id) == []
    with pytest.raises(NotFound):
        await accounts.accounts.revoke_session(rider.user.id, rider.session_id)


async def test_nobody_ends_the_session_of_another(accounts: World) -> None:
    ada, eve = await accounts.rider("ada"), await accounts.rider("eve")

    for session_id in (ada.session_id, uuid4()):
        with pytest.raises(NotFound):
            await accounts.accounts.revoke_session(eve.user.id, session_id)

    assert not await accounts.accounts.session_is_revoked(ada.session_id)


async def test_nodes_can_ask_what_was_revoked(accounts: World) -> None:
    first, second, third = [await accounts.rider(name) for name in ("ada", "bob", "eve")]
    await accounts.accounts.logout(first.session_id)
    await accounts.clock.turn(10)
    since = accounts.clock.now()
    await accounts.accounts.logout(second.session_id)

    assert await accounts.accounts.revoked_since(since) == [(second.session_id, accounts.clock.epoch_ms() + 900_000)]
    assert len(await accounts.accounts.revoked_since(since - timedelta(seconds=10))) == 2
    assert not await accounts.accounts.session_is_revoked(third.session_id)


async def test_a_session_goes_with_its_account(accounts: World) -> None:
    rider = await accounts.rider()
    async with accounts.engine.begin() as connection:
        await connection.execute(text("DELETE FROM users"))

    assert await accounts.accounts.session_is_revoked(rider.session_id)
    with pytest.raises(NotFound):
        await accounts.accounts.user(rider.user.id)


async def test_a_hint_that_is_lost_does_not_undo_the_revocation(database_url: str) -> None:
    async with world(database_url) as accounts:
        rider = await accounts.rider()

        async def unheard(*_: object) -> None:
            raise Unavailable("Redis is away")

        accounts.told.session_revoked = unheard  # type: ignore[method-assign]
        await accounts.accounts.logout(rider.session_id)

        assert await accounts.accounts.session_is_revoked(rider.session_id)
