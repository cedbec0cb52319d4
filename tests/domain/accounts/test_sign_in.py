"""Registering and signing in, on a real database."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from domain.accounts.passwords import Passwords
from domain.accounts.rules import LONGEST_DEVICE_ID, LONGEST_USERNAME, Lockout
from domain.accounts.service import AccountOptions, Device
from domain.db.tables import users
from domain.kit.errors import Conflict, Invalid, Unauthenticated, Unavailable
from tests.support.accounts import PASSWORD, PHONE, QuickHasher, World, world


async def sign_in(accounts: World, identifier: str = "ada", password: str = PASSWORD) -> str:
    signed_in = await accounts.accounts.login(identifier=identifier, password=password, device=PHONE)
    return signed_in.access_token


async def test_a_new_rider_is_signed_in(accounts: World) -> None:
    signed_in = await accounts.rider("Ada")

    identity = accounts.verifier.verify(signed_in.access_token)
    assert (identity.user_id, identity.rider) == (signed_in.user.id, signed_in.user.rider)
    assert (identity.session_id, identity.device_id) == (signed_in.session_id, "phone-1")
    assert signed_in.expires_in == 900
    assert (await accounts.accounts.user(signed_in.user.id)) == signed_in.user


async def test_riders_have_different_short_numbers(accounts: World) -> None:
    numbers = [(await accounts.rider(name)).user.rider for name in ("ada", "bob", "eve")]

    assert len(set(numbers)) == 3


@pytest.mark.parametrize("identifier", ["ada", "ADA", "ada@example.org", "Ada@Example.ORG"])
async def test_names_and_addresses_sign_in_in_any_case(accounts: World, identifier: str) -> None:
    rider = await accounts.rider()

    assert accounts.verifier.verify(await sign_in(accounts, identifier)).user_id == rider.user.id


@pytest.mark.parametrize(
    ("username", "email", "field"),
    [("ADA", "other@example.org", "username"), ("other", "ADA@example.ORG", "email")],
)
async def test_a_name_is_given_once(accounts: World, username: str, email: str, field: str) -> None:
    await accounts.rider("ada")

    with pytest.raises(Conflict) as refused:
        await accounts.accounts.register(username=username, email=email, password=PASSWORD, device=PHONE)
    assert refused.value.field == field


async def test_a_name_is_given_once_however_many_ask_at_once(accounts: World) -> None:
    answers = await asyncio.gather(*(accounts.rider("ada") for _ in range(5)), return_exceptions=True)

    assert sum(not isinstance(each, Exception) for each in answers) == 1
    assert sum(isinstance(each, Conflict) for each in answers) == 4


async def test_a_refused_registration_leaves_nothing(accounts: World) -> None:
    for bad in ({"username": "a b"}, {"email": "x"}, {"password": "short"}, {"full_name": "a\0b"}):
        with pytest.raises(Invalid) as refused:
            good = {"username": "ada", "email": "a@example.org", "password": PASSWORD}
            await accounts.accounts.register(device=PHONE, **good | bad)
        assert refused.value.field in bad

    async with accounts.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one() == 0


async def test_no_answer_tells_whether_an_account_exists(accounts: World) -> None:
    await accounts.rider()
    refusals = []
    for identifier, password in (("ada", "wrong password"), ("nobody", PASSWORD), ("no@example.org", PASSWORD)):
        with pytest.raises(Unauthenticated) as refused:
            await sign_in(accounts, identifier, password)
        refusals.append((refused.value.message, refused.value.field))

    assert len(set(refusals)) == 1


@pytest.mark.parametrize("identifier", ["ada", "nobody", "no@example.org"])
async def test_a_password_is_checked_whether_or_not_there_is_an_account(database_url: str, identifier: str) -> None:
    hasher = QuickHasher()
    async with world(database_url, hasher=hasher) as accounts:
        await accounts.rider()

        with pytest.raises(Unauthenticated):
            await sign_in(accounts, identifier, "wrong password")

        assert len(hasher.checked) == 1


async def test_neither_password_nor_refresh_token_is_stored(accounts: World) -> None:
    signed_in = await accounts.rider()
    async with accounts.engine.connect() as connection:
        kept = str((await connection.execute(text("SELECT u.*, t.* FROM users u, refresh_tokens t"))).all())

    assert "$argon2id$" in kept
    assert PASSWORD not in kept
    assert signed_in.refresh_token not in kept


async def test_one_password_typed_on_two_keyboards(accounts: World) -> None:
    await accounts.accounts.register(username="zoe", email="z@example.org", password="caf\u00e9 au lait", device=PHONE)

    await sign_in(accounts, "zoe", "cafe\u0301 au lait")


async def test_an_account_rests_after_too_many_wrong_passwords(database_url: str) -> None:
    options = AccountOptions(lockout=Lockout(attempts=3, rest=timedelta(minutes=15)))
    async with world(database_url, options) as accounts:
        await accounts.rider()
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await sign_in(accounts, password="wrong password")

        with pytest.raises(Unauthenticated):
            await sign_in(accounts)
        await accounts.clock.turn(15 * 60)

        await sign_in(accounts)


async def test_a_right_password_sets_the_count_back(database_url: str) -> None:
    async with world(database_url, AccountOptions(lockout=Lockout(attempts=3))) as accounts:
        await accounts.rider()
        for _ in range(3):
            for _ in range(2):
                with pytest.raises(Unauthenticated):
                    await sign_in(accounts, password="wrong password")
            await sign_in(accounts)


async def test_many_attempts_at_once_are_no_way_around_the_lock(database_url: str) -> None:
    hasher = QuickHasher()
    async with world(database_url, AccountOptions(lockout=Lockout(attempts=3)), hasher) as accounts:
        rider = await accounts.rider()
        async with accounts.engine.connect() as connection:
            kept = (await connection.execute(select(users.c.password_hash).where(users.c.id == rider.user.id))).scalar()

        attempts = (sign_in(accounts, password="wrong password") for _ in range(10))
        await asyncio.gather(*attempts, return_exceptions=True)

        assert hasher.checked.count(str(kept)) == 3


async def test_a_hash_with_other_costs_is_made_anew(accounts: World) -> None:
    rider = await accounts.rider()
    costly = Passwords()
    async with accounts.engine.begin() as connection:
        old = await costly.hash(PASSWORD)
        await connection.execute(update(users).values(password_hash=old))

    await sign_in(accounts)

    async with accounts.engine.connect() as connection:
        kept = (await connection.execute(users.select().where(users.c.id == rider.user.id))).one().password_hash
    assert kept != old
    await sign_in(accounts)


async def test_a_device_without_a_name_gets_one(accounts: World) -> None:
    first, second = [await accounts.rider(name, Device()) for name in ("ada", "bob")]

    assert len({first.device_id, second.device_id}) == 2


async def test_the_longest_names_fit_into_a_token(accounts: World) -> None:
    name, device_id = "\U00020000" * LONGEST_USERNAME, "\U0001f3cd" * LONGEST_DEVICE_ID
    signed_in = await accounts.accounts.register(
        username=name, email="x@example.org", password=PASSWORD, device=Device(device_id)
    )

    identity = accounts.verifier.verify(signed_in.access_token)

    assert (identity.username, identity.device_id) == (name, device_id)


async def test_a_flood_of_sign_ins_is_told_to_come_later() -> None:
    passwords = Passwords(QuickHasher(), parallel=1, waiting=2)
    answers = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(6)), return_exceptions=True)

    assert sum(isinstance(each, str) for each in answers) == 3
    assert sum(isinstance(each, Unavailable) for each in answers) == 3
    assert await passwords.hash(PASSWORD)
