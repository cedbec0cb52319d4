"""Who a socket speaks for: the token at CONNECT, fresher tokens later, the end of tokens, sessions that are revoked.

A session that is revoked while its CONNECT is being checked is not let in: revocations heard lately are remembered
until the tokens they end would have ended anyway.
"""

from collections.abc import Awaitable
from typing import NamedTuple, Protocol
from uuid import UUID

from domain.accounts.tokens import Identity
from domain.kit.clock import Clock
from domain.kit.errors import Forbidden, Invalid, Unauthenticated
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

    def all_heard(self) -> bool:
        """Whether every revocation has been heard: then only those are revoked that this node has been told of."""
        ...

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


class Credentials(NamedTuple):
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

    def check(self, auth: Arguments) -> Credentials:
        """The credentials in a CONNECT, but for revocation. Raises Invalid, Unauthenticated or TokenExpired."""
        if len(auth) == 0:
            raise _without_token()
        try:
            wanted = decode_only(auth, self._decoder)
        except Invalid as fault:
            (sent,) = auth.values() if fault.field == "token" else (None,)
            if isinstance(sent, dict) and "token" not in sent:
                raise _without_token() from fault
            raise
        identity = self._verifier.verify(wanted.token)
        if identity.device_id != wanted.device_id:
            raise Unauthenticated("this token was issued to another device", field="device_id")
        return Credentials(identity, wanted)

    def refuse_revoked(self, identity: Identity) -> Awaitable[None] | None:
        """Raises Unauthenticated when the session was ended. What is to be awaited for that, if memory cannot tell.

        The awaitable raises Unavailable, too.
        """
        if identity.session_id in self._recent:
            raise _ended()
        return None if self._revocations.all_heard() else self._ask(identity)

    async def identify(self, token: str) -> Identity:
        """Who the token speaks for, now. Raises Unauthenticated, TokenExpired or Unavailable."""
        identity = self._verifier.verify(token)
        if (asked := self.refuse_revoked(identity)) is not None:
            await asked
        return identity

    async def _ask(self, identity: Identity) -> None:
        revoked = await self._revocations.is_revoked(identity.session_id)
        if revoked or identity.session_id in self._recent:
            raise _ended()


def _without_token() -> Unauthenticated:
    return Unauthenticated("CONNECT needs `auth` with `token` and `device_id`", field="token")


def _ended() -> Unauthenticated:
    return Unauthenticated("this session was ended; sign in again", field="token")


class TokenEnds:
    """Warns clients before their token ends, and closes those that did nothing. Driven by `check`.

    Clients lie in sets by the second in which something is due for them: first the warning, then the end.
    """

    def __init__(self, clock: Clock, warn_seconds: float) -> None:
        self._clock = clock
        self._warn_ms = round(warn_seconds * 1000)
        self._due: dict[int, set[Client]] = {}

    def watch(self, client: Client) -> None:
        """Look after the token the client has now."""
        self._due.setdefault(self._warn_at(client), set()).add(client)

    def renew(self, client: Client, identity: Identity) -> None:
        """The client has a fresher token: what was due for the one before is not any more."""
        self.forget(client)
        client.identity = identity
        self.watch(client)

    def forget(self, client: Client) -> None:
        """The client is gone."""
        for second in (self._warn_at(client), _second(client.identity.expires_at_ms)):
            clients = self._due.get(second)
            if clients is not None:
                clients.discard(client)
                if not clients:
                    del self._due[second]

    def check(self) -> None:
        """Do what is due."""
        now = self._clock.epoch_ms() // 1000
        for second in sorted(second for second in self._due if second <= now):
            for client in self._due.pop(second):
                self._tell(client, now)

    def _tell(self, client: Client, now: int) -> None:
        ends_at = client.identity.expires_at_ms
        if _second(ends_at) <= now:
            client.close(TOKEN_ENDED)
        else:
            client.emit(AUTH_EXPIRING, AuthExpiring(ends_at))
            self._due.setdefault(_second(ends_at), set()).add(client)

    def _warn_at(self, client: Client) -> int:
        return _second(client.identity.expires_at_ms - self._warn_ms)


def _second(epoch_ms: int) -> int:
    """The first whole second that is not before this moment."""
    return -(-epoch_ms // 1000)


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
            self._ends.renew(client, identity)
        return AuthRefreshed(client.identity.expires_at_ms)
