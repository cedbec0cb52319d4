"""Names, passwords, lockout and rotation, decided without any I/O."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from domain.accounts.rules import (
    Lockout,
    Presented,
    Role,
    Rotation,
    check_email,
    check_password,
    check_username,
    count_attempt,
    is_locked,
    permissions_of,
    rotation,
)
from domain.kit.errors import Invalid
from domain.kit.text import folded

NOW = datetime(2026, 5, 1, tzinfo=UTC)
GRACE = timedelta(seconds=60)


@pytest.mark.parametrize("name", ["ada", "Ada.L_1-x", "a", "Søren", "राम", "王小明", "x" * 50, "7up"])
def test_usernames_of_any_script_are_taken(name: str) -> None:
    assert check_username(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "x" * 51, "a b", "a@b", "a\uff20b", "a\0", "a\n", "-a", ".", "\ud800", "a\u200bb", "<b>", " ada", "🏍"],
    ids=ascii,
)
def test_usernames_that_could_deceive_are_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_username(name)
    assert refused.value.field == "username"


def test_two_spellings_of_one_name_are_equal() -> None:
    for other in ("ADA", "Ada", "\uff21da"):
        assert folded(other) == folded("ada")
    assert folded("Straße") == folded("STRASSE")


@pytest.mark.parametrize("email", ["a@b", "a.b+c@example.org", "ä@example.org", "a@xn--bcher-kva.example"])
def test_addresses_are_taken(email: str) -> None:
    assert check_email(email) == email


@pytest.mark.parametrize(
    "email", ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b..c", "a@.b", "a@b.", "a@b\0", "x" * 255]
)
def test_what_cannot_be_an_address_is_refused(email: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_email(email)
    assert refused.value.field == "email"


@pytest.mark.parametrize(
    "password",
    ["short", "x" * 1025, "aaaaaaaa", "ada.lovelace", "ADA.Lovelace", "a@example.org", "\ud800 valid length"],
    ids=ascii,
)
def test_passwords_that_protect_nothing_are_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_password(password, "ada.lovelace", "a@example.org")
    assert refused.value.field == "password"


def test_any_other_password_is_taken() -> None:
    for password in ("12345678", "correct horse", "пароль от мотоцикла", "pass\0word", "x" * 1022 + "yz"):
        check_password(password, "ada", "a@example.org")


def test_each_role_may_do_what_the_ones_before_may() -> None:
    roles = list(Role)
    for lower, higher in itertools.pairwise(roles):
        assert set(permissions_of(lower)) < set(permissions_of(higher))


def test_an_account_rests_after_too_many_attempts_and_begins_anew() -> None:
    lockout = Lockout(attempts=3, rest=timedelta(minutes=15))
    assert count_attempt(lockout, 0, None, NOW) == (1, None)
    assert count_attempt(lockout, 1, None, NOW) == (2, None)

    attempts, locked_until = count_attempt(lockout, 2, None, NOW)

    assert is_locked(locked_until, NOW + timedelta(minutes=14, seconds=59))
    assert not is_locked(locked_until, NOW + timedelta(minutes=15))
    assert count_attempt(lockout, attempts, locked_until, NOW + timedelta(minutes=15)) == (1, None)


def presented(**changed: object) -> Presented:
    good: dict[str, object] = {
        "superseded_at": None,
        "successor_used": False,
        "same_device": True,
        "session_expires_at": NOW + timedelta(days=7),
        "session_revoked": False,
    }
    return Presented(**good | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, Rotation.ISSUE),
        ({"same_device": False}, Rotation.REUSE),
        ({"superseded_at": NOW}, Rotation.REPEAT),
        ({"superseded_at": NOW - GRACE}, Rotation.REPEAT),
        ({"superseded_at": NOW - GRACE - timedelta(milliseconds=1)}, Rotation.REUSE),
        ({"superseded_at": NOW, "same_device": False}, Rotation.REUSE),
        ({"superseded_at": NOW, "successor_used": True}, Rotation.REUSE),
        ({"session_revoked": True}, Rotation.ENDED),
        ({"session_revoked": True, "superseded_at": NOW - timedelta(days=1)}, Rotation.ENDED),
        ({"session_expires_at": NOW}, Rotation.ENDED),
    ],
    ids=str,
)
def test_what_becomes_of_a_presented_token(changed: dict[str, object], expected: Rotation) -> None:
    assert rotation(presented(**changed), NOW, GRACE) is expected
