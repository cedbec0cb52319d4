"""Access tokens: believed only when one of our keys signed them, by its own algorithm, for us, and in time."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from domain.accounts.rules import Role
from domain.accounts.tokens import AUDIENCE, ISSUER, Identity, TokenIssuer, TokenKeys, TokenVerifier
from domain.kit.clock import ManualClock
from domain.kit.errors import TokenExpired, Unauthenticated

SECRET = "one secret that is certainly long enough"
OTHER = "another secret that is certainly long enough"
USER, SESSION = uuid4(), uuid4()


def pem_pair() -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return private, public


def issue(keys: TokenKeys, clock: ManualClock, lifetime_seconds: int = 900) -> str:
    return TokenIssuer(keys, clock, lifetime_seconds).issue(
        user_id=USER, rider=7, username="ada", role=Role.USER, session_id=SESSION, device_id="phone"
    )


def claims(clock: ManualClock, **changed: Any) -> dict[str, Any]:
    now = clock.epoch_ms() // 1000
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(USER),
        "rider": 7,
        "username": "ada",
        "role": "user",
        "permissions": [],
        "sid": str(SESSION),
        "did": "phone",
        "iat": now,
        "exp": now + 900,
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(payload: dict[str, Any], secret: Any = SECRET, algorithm: str = "HS256", kid: Any = "a") -> str:
    return jwt.encode(payload, secret, algorithm, headers={"kid": kid})


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def hmac_signed(payload: dict[str, Any], secret: str, kid: object) -> str:
    """HS256 by hand: PyJWT itself refuses to sign with a public key, or with a key id that is no text."""
    unsigned = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{part(payload)}"
    mac = hmac.digest(secret.encode(), unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def verifier(clock: ManualClock) -> TokenVerifier:
    return TokenVerifier(TokenKeys("a", {"a": SECRET}), clock)


def test_a_token_says_who_it_speaks_for(clock: ManualClock, verifier: TokenVerifier) -> None:
    identity = verifier.verify(issue(TokenKeys("a", {"a": SECRET}), clock))

    assert identity == Identity(USER, 7, "ada", "user", SESSION, "phone", clock.epoch_ms() + 900_000)


def test_a_token_carries_the_claims_that_clients_expect(clock: ManualClock) -> None:
    token = issue(TokenKeys("a", {"a": SECRET}), clock)

    payload = jwt.decode(token, options={"verify_signature": False})

    assert payload["permissions"] == ["read:own", "write:own", "read:public"]
    assert payload["exp"] - payload["iat"] == 900
    assert jwt.get_unverified_header(token)["kid"] == "a"


async def test_a_token_ends_by_our_own_clock(clock: ManualClock, verifier: TokenVerifier) -> None:
    token = issue(TokenKeys("a", {"a": SECRET}), clock)
    await clock.turn(899)
    verifier.verify(token)

    await clock.turn(1)

    with pytest.raises(TokenExpired):
        verifier.verify(token)


async def test_a_forged_token_that_has_ended_is_forged_first(clock: ManualClock, verifier: TokenVerifier) -> None:
    token = signed(claims(clock), OTHER)
    await clock.turn(1000)

    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_node_whose_clock_is_a_little_ahead_is_believed(clock: ManualClock, verifier: TokenVerifier) -> None:
    ahead = ManualClock(clock.now() + timedelta(seconds=20))

    assert verifier.verify(issue(TokenKeys("a", {"a": SECRET}), ahead)).user_id == USER


@pytest.mark.parametrize(
    "changed",
    [
        {"iat": 4_000_000_000, "exp": 4_000_000_900},
        {"aud": "somebody-else"},
        {"aud": None},
        {"iss": "somebody-else"},
        {"iss": None},
        {"sub": None},
        {"sub": "not a uuid"},
        {"sub": 7},
        {"sid": None},
        {"sid": "not a uuid"},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1.5},
        {"iat": None},
        {"rider": "seven"},
        {"role": ["admin"]},
        {"did": None},
    ],
    ids=str,
)
def test_claims_that_are_not_ours_are_refused(
    clock: ManualClock, verifier: TokenVerifier, changed: dict[str, Any]
) -> None:
    verifier.verify(signed(claims(clock)))  # the same without the change is good

    with pytest.raises(Unauthenticated):
        verifier.verify(signed(claims(clock, **changed)))


@pytest.mark.parametrize(
    "kid",
    ["unknown", "", None, 7, ["a"], {"a": 1}],
    ids=repr,
)
def test_a_key_that_we_do_not_have_is_refused(clock: ManualClock, verifier: TokenVerifier, kid: object) -> None:
    verifier.verify(hmac_signed(claims(clock), SECRET, "a"))

    with pytest.raises(Unauthenticated):
        verifier.verify(hmac_signed(claims(clock), SECRET, kid))


def test_alg_none_is_refused(clock: ManualClock, verifier: TokenVerifier) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        token = f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': 'a'})}.{part(claims(clock))}."
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


def test_another_algorithm_with_the_right_secret_is_refused(clock: ManualClock, verifier: TokenVerifier) -> None:
    long_secret = SECRET * 2
    verifier = TokenVerifier(TokenKeys("a", {"a": long_secret}), clock)
    verifier.verify(signed(claims(clock), long_secret))

    with pytest.raises(Unauthenticated):
        verifier.verify(signed(claims(clock), long_secret, "HS512"))


def test_a_public_key_is_no_secret(clock: ManualClock) -> None:
    private, public = pem_pair()
    verifier = TokenVerifier(TokenKeys("e", {"e": private}), clock)

    for secret in (public, public.strip(), public.replace("\n", "")):
        with pytest.raises(Unauthenticated):
            verifier.verify(hmac_signed(claims(clock), secret, "e"))


def test_eddsa_signs_and_believes_its_own_key_only(clock: ManualClock) -> None:
    private, _ = pem_pair()
    other, _ = pem_pair()
    keys = TokenKeys("e", {"e": private}, "EdDSA")
    verifier = TokenVerifier(keys, clock)

    assert verifier.verify(issue(keys, clock)).rider == 7
    with pytest.raises(Unauthenticated):
        verifier.verify(issue(TokenKeys("e", {"e": other}), clock))


def test_keys_are_rotated_without_signing_anybody_out(clock: ManualClock) -> None:
    private, public = pem_pair()
    old = issue(TokenKeys("a", {"a": SECRET}), clock)
    newer = issue(TokenKeys("e", {"e": private}), clock)

    after = TokenVerifier(TokenKeys("b", {"a": SECRET, "b": OTHER, "e": public}), clock)
    assert after.verify(old) == after.verify(newer)

    at_last = TokenVerifier(TokenKeys("b", {"b": OTHER}), clock)
    for token in (old, newer):
        with pytest.raises(Unauthenticated):
            at_last.verify(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "Bearer x",
        "\x00",
        "é.é.é",
        "\ud800",
        "x" * 5000,
        f"{part({'alg': 'HS256', 'kid': 'a'})}.!.!",
        f"{base64.urlsafe_b64encode(b'[' * 2900).decode().rstrip('=')}.e30.x",
        f"{part([])}.{part([])}.x",
        f"{part('x')}.{part(1)}.x",
    ],
    ids=lambda token: repr(token[:12]),
)
def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


@pytest.mark.parametrize("more", [{"crit": ["b64"]}, {"b64": False}, {"jku": "https://example.com"}], ids=str)
def test_a_header_that_says_more_than_ours_is_refused(
    clock: ManualClock, verifier: TokenVerifier, more: dict[str, Any]
) -> None:
    verifier.verify(signed(claims(clock)))
    unsigned = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'a'} | more)}.{part(claims(clock))}"
    mac = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), unsigned.encode(), hashlib.sha256)).rstrip(b"=")

    with pytest.raises(Unauthenticated):
        verifier.verify(f"{unsigned}.{mac.decode()}")


@pytest.mark.parametrize("junk", ["=", "!", "+", " ", "\n"])
def test_what_is_not_base64url_is_refused(clock: ManualClock, verifier: TokenVerifier, junk: str) -> None:
    token = signed(claims(clock))

    for place in (3, token.index(".") + 5, len(token)):
        with pytest.raises(Unauthenticated):
            verifier.verify(token[:place] + junk + token[place:])


def test_a_public_key_or_a_jwk_is_no_secret_of_hs256() -> None:
    for value in ("ssh-ed25519 " + "A" * 60, '{"kty": "oct", "k": "' + "A" * 60 + '"}'):
        with pytest.raises(ValueError, match="'a'") as refused:
            TokenKeys("a", {"a": value})
        assert value not in str(refused.value)


def test_a_changed_byte_is_noticed(clock: ManualClock, verifier: TokenVerifier) -> None:
    head, body, signature = signed(claims(clock)).split(".")
    forged = part(claims(clock, role="super_admin"))

    for token in (f"{head}.{forged}.{signature}", f"{head}.{body}.{signature[::-1]}", f"{head}.{body}."):
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


def test_keys_that_cannot_be_used_are_named_and_not_shown() -> None:
    _, public = pem_pair()
    for active, keys, algorithm in (
        ("a", {"a": "too short"}, None),
        ("b", {"a": SECRET}, None),
        ("a", {"a": public}, None),
        ("a", {"a": SECRET}, "EdDSA"),
    ):
        with pytest.raises(ValueError, match=active) as refused:
            TokenKeys(active, keys, algorithm)
        assert not any(value in str(refused.value) for value in keys.values())
