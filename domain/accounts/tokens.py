"""Access tokens: short-lived JWTs signed with named keys, so that keys can be rotated without signing anybody out.

Promises that a token is only believed when the algorithm is the one of the named key; what a token says in its header
chooses nothing else. Whether the session was revoked meanwhile is left to the caller.
"""

import binascii
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import Algorithm as Scheme
from jwt.algorithms import HMACAlgorithm, OKPAlgorithm

from domain.accounts.rules import Role, permissions_of
from domain.kit.clock import Clock
from domain.kit.errors import TokenExpired, Unauthenticated

Algorithm: TypeAlias = Literal["HS256", "EdDSA"]

ISSUER = "throttlecove"
AUDIENCE = "throttlecove"
_LONGEST_TOKEN = 8192
"""Characters: the longest names and device ids, in the worst of scripts, come to less than 6,000."""
_SHORTEST_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key of HS256 has at least the size of the hash."""
_TOLERANCE_SECONDS = 30
"""How far the clock of the node that issued a token may be ahead of this one's."""
_SCHEMES: Mapping[Algorithm, Scheme] = {"HS256": HMACAlgorithm(HMACAlgorithm.SHA256), "EdDSA": OKPAlgorithm()}
_ALPHABET = bytes.maketrans(b"-_+/=", b"+/!!!")
"""From base64url to base64; what is of base64 only, padding too, becomes what is in neither."""


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Who a token speaks for. `rider` is the short number used in frames; the token ends at `expires_at_ms`."""

    user_id: UUID
    rider: int
    username: str
    role: str
    session_id: UUID
    device_id: str
    expires_at_ms: int


@dataclass(frozen=True)
class _Key:
    algorithm: Algorithm
    signing: str | Ed25519PrivateKey | None
    verifying: bytes | Ed25519PublicKey
    """As the scheme has prepared it, once: that costs more than a signature."""

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made the signature of the message."""
        return _SCHEMES[self.algorithm].verify(message, self.verifying, signature)


class TokenKeys:
    """The named keys: a secret of at least 32 bytes is for HS256, a PEM text for EdDSA (Ed25519).

    A retired EdDSA key may be given as its public half. `algorithm`, when given, is what the active key has to be for.
    Raises ValueError, naming the key and never its value.
    """

    def __init__(self, active_kid: str, keys: Mapping[str, str], algorithm: Algorithm | None = None) -> None:
        self._keys = {kid: _read_key(kid, value) for kid, value in keys.items()}
        active = self._keys.get(active_kid)
        if active is None or active.signing is None:
            raise ValueError(f"there is no signing key named {active_kid!r}")
        if algorithm is not None and active.algorithm != algorithm:
            raise ValueError(f"the key {active_kid!r} is for {active.algorithm}, not for {algorithm}")
        self._headers = {"kid": active_kid}
        self._signing, self._algorithm = active.signing, active.algorithm

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWT of these claims, signed with the active key."""
        return jwt.encode(claims, self._signing, self._algorithm, headers=self._headers)

    def find(self, kid: str) -> _Key | None:
        """The key of this name."""
        return self._keys.get(kid)


def _read_key(kid: str, value: str) -> _Key:
    if not value.lstrip().startswith("-----BEGIN"):
        if len(value.encode()) < _SHORTEST_SECRET_BYTES:
            raise ValueError(f"the secret of key {kid!r} must have at least {_SHORTEST_SECRET_BYTES} bytes")
        return _Key("HS256", value, _prepared(kid, value))
    if "PUBLIC KEY" in value:
        public = load_pem_public_key(value.encode())
        if isinstance(public, Ed25519PublicKey):
            return _Key("EdDSA", None, public)
    else:
        private = load_pem_private_key(value.encode(), password=None)
        if isinstance(private, Ed25519PrivateKey):
            return _Key("EdDSA", private, private.public_key())
    raise ValueError(f"key {kid!r} must be an Ed25519 key in PEM form")


def _prepared(kid: str, secret: str) -> bytes:
    try:
        return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except jwt.InvalidKeyError:
        raise ValueError(f"the secret of key {kid!r} is a public key or a JWK, and no secret") from None


class TokenIssuer:
    """Signs access tokens with the active key; they live `lifetime_seconds`."""

    def __init__(self, keys: TokenKeys, clock: Clock, lifetime_seconds: int) -> None:
        self.lifetime_seconds = lifetime_seconds
        self._keys = keys
        self._clock = clock

    def issue(self, *, user_id: UUID, rider: int, username: str, role: Role, session_id: UUID, device_id: str) -> str:
        """A token for this user on this session."""
        now = self._clock.epoch_ms() // 1000
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "rider": rider,
            "username": username,
            "role": role.value,
            "permissions": permissions_of(role),
            "sid": str(session_id),
            "did": device_id,
            "iat": now,
            "exp": now + self.lifetime_seconds,
        }
        return self._keys.sign(claims)


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that our headers say; one that says more (`crit`, `b64`) wants to be read in another way."""

    alg: str
    kid: str
    typ: str | None = None


class _Claims(msgspec.Struct, frozen=True, gc=False):
    iss: Literal["throttlecove"]
    aud: Literal["throttlecove"]
    sub: UUID
    rider: int
    username: str
    role: str
    sid: UUID
    did: str
    iat: int
    exp: int


class TokenVerifier:
    """Tells who a token speaks for, or refuses it; pure computation, about ten microseconds with HS256.

    Tokens are read here: PyJWT reads each of them several times and prepares its key anew. The cryptography is PyJWT's.
    """

    def __init__(self, keys: TokenKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._known: dict[bytes, _Key] = {}
        """Keys by the headers that have come with a good signature: only ours have, so they are few."""
        self._header = msgspec.json.Decoder(_Header)
        self._claims = msgspec.json.Decoder(_Claims)

    def verify(self, token: str) -> Identity:
        """The identity in a token of ours. Raises TokenExpired when it was good and has ended, else Unauthenticated."""
        claims = self._read(token)
        now = self._clock.epoch_ms() / 1000
        if claims.iat > now + _TOLERANCE_SECONDS:
            raise Unauthenticated("the access token is from the future; check the clocks", field="token")
        if claims.exp <= now:
            raise TokenExpired("the access token has ended; refresh it", field="token")
        return Identity(
            user_id=claims.sub,
            rider=claims.rider,
            username=claims.username,
            role=sys.intern(claims.role),
            session_id=claims.sid,
            device_id=claims.did,
            expires_at_ms=claims.exp * 1000,
        )

    def _read(self, token: str) -> _Claims:
        if len(token) > _LONGEST_TOKEN:
            raise _refused()
        try:
            message, _, signature = token.encode("ascii").rpartition(b".")
            header, _, payload = message.partition(b".")
            key = self._known.get(header) or self._key_of(header)
            if not key.signed(message, _decoded(signature)):
                raise _refused()
            self._known[header] = key
            return self._claims.decode(_decoded(payload))
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise _refused() from error

    def _key_of(self, header: bytes) -> _Key:
        """The key that a header names. Raises Unauthenticated, ValueError or MsgspecError."""
        named = self._header.decode(_decoded(header))
        key = self._keys.find(named.kid)
        if key is None or named.alg != key.algorithm:
            raise _refused()
        return key


def _decoded(segment: bytes) -> bytes:
    """What a segment of a token holds: base64url without padding (RFC 7515, section 2). Raises ValueError."""
    return binascii.a2b_base64(segment.translate(_ALPHABET) + b"=" * (-len(segment) % 4), strict_mode=True)


def _refused() -> Unauthenticated:
    """One answer for every way to be wrong: which check failed is nobody's business."""
    return Unauthenticated("the access token is not one of ours; sign in again", field="token")
