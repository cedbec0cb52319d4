"""Who a socket speaks for: the token at CONNECT, fresher tokens later, the end of tokens, sessions that are revoked.

A session that is revoked while its CONNECT is being checked is not let in: revocations heard lately are remembered
until the tokens they end would have ended anyway.
"""

import heapq
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.accounts.tokens import Identity
from domain.kit.clock import Clock
from domain.kit.errors import Forbidden, Unauthenticated
from realtime.gateway.answers import decode_only
from realtime.gateway.client import Client
from realtime.gateway.codes import TOKEN_ENDED
from realtime.gateway.contracts import handles
from realtime.gateway.events.session import (
    AUTH_EXPIRING,
    AUTH_REFRESH,
    AuthExpiring,
    AuthRefresh,
    AuthRefreshed,
    ConnectAuth,
)
from realtime.wire.packets import Arguments, PayloadDecoder


class Verifier(Protocol):
    """Reads access tokens (`domain.accounts.tokens.TokenVerifier`)."""

    def verify(self, token: str) -> Identity:
        """Who the token speaks for. Raises Unauthenticated or TokenExpired."""
        ...


class Revocations(Protocol):
    """Knows which sessions were ended."""

    async def is_revoked(self, session_id: UUID) -> bool:
        """Whether the session was revoked. Raises Unavailable when nobody can say."""
        ...


class RecentlyRevoked:
    """Sessions this node heard to be revoked, until their last access token has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[UUID, int] = {}

    def add(self, session_id: UUID, expires_at_ms: int) -> None:
        """Remember until `expires_at_ms` (epoch)."""
        self._until[session_id] = max(expires_at_ms, self._until.get(session_id, 0))

    def __contains__(self, session_id: UUID) -> bool:
        return session_id in self._until

    def forget_ended(self) -> None:
        """Let go of those whose tokens have ended."""
        now = self._clock.epoch_ms()
        for session_id in [session_id for session_id, until in self._until.items() if until <= now]:
            del self._until[session_id]


@dataclass(frozen=True)
class Credentials:
    """What a CONNECT proved."""

    identity: Identity
    auth: ConnectAuth


class Doorkeeper:
    """Decides whether a token is good: signature, end, device, revocation."""

    def __init__(self, verifier: Verifier, revocations: Revocations, recent: RecentlyRevoked) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._recent = recent
        self._decoder = PayloadDecoder(ConnectAuth)

    async def check(self, auth: Arguments) -> Credentials:
        """The credentials in a CONNECT. Raises Invalid, Unauthenticated, TokenExpired or Unavailable."""
        if len(auth) == 0:
            raise Unauthenticated("CONNECT needs `auth` with `token` and `device_id`", field="token")
        wanted = decode_only(auth, self._decoder)
        identity = await self.identify(wanted.token)
        if identity.device_id != wanted.device_id:
            raise Unauthenticated("this token was issued to another device", field="device_id")
        return Credentials(identity, wanted)

    async def identify(self, token: str) -> Identity:
        """Who the token speaks for, now. Raises Unauthenticated, TokenExpired or Unavailable."""
        identity = self._verifier.verify(token)
        revoked = await self._revocations.is_revoked(identity.session_id)
        if revoked or identity.session_id in self._recent:
            raise Unauthenticated("this session was ended; sign in again", field="token")
        return identity


class TokenEnds:
    """Warns clients before their token ends, and closes those that did nothing. Driven by `check`."""

    def __init__(self, clock: Clock, warn_seconds: float) -> None:
        self._clock = clock
        self._warn_ms = round(warn_seconds * 1000)
        self._clients: dict[str, Client] = {}
        self._due: list[tuple[int, int, str, bool]] = []

    def watch(self, client: Client) -> None:
        """Look after the token the client has now; what was due for an earlier one is passed over."""
        ends = client.identity.expires_at_ms
        self._clients[client.id] = client
        heapq.heappush(self._due, (ends - self._warn_ms, ends, client.id, False))
        heapq.heappush(self._due, (ends, ends, client.id, True))

    def forget(self, client: Client) -> None:
        """The client is gone."""
        self._clients.pop(client.id, None)

    def check(self) -> None:
        """Do what is due."""
        now = self._clock.epoch_ms()
        while self._due and self._due[0][0] <= now:
            _, ends, client_id, final = heapq.heappop(self._due)
            client = self._clients.get(client_id)
            if client is None or client.identity.expires_at_ms != ends:
                continue
            if final:
                client.close(TOKEN_ENDED)
            else:
                client.emit(AUTH_EXPIRING, AuthExpiring(ends))


class SessionHandlers:
    """Answers the Session events of clients."""

    def __init__(self, doorkeeper: Doorkeeper, ends: TokenEnds) -> None:
        self._doorkeeper = doorkeeper
        self._ends = ends

    @handles(AUTH_REFRESH)
    async def refresh(self, client: Client, payload: AuthRefresh) -> AuthRefreshed:
        """Take a newer token of the same rider and session."""
        identity = await self._doorkeeper.identify(payload.token)
        held = client.identity
        if (identity.user_id, identity.session_id) != (held.user_id, held.session_id):
            raise Forbidden("the token is of another rider or session; connect again with it", field="token")
        if identity.expires_at_ms > held.expires_at_ms:
            client.identity = identity
            self._ends.watch(client)
        return AuthRefreshed(client.identity.expires_at_ms)
