"""One phone's socket that stays: it reconnects for ever, renews its token, and keeps to the server's rates.

Messages are posted without waiting for earlier answers; each gives a future of its ack. A socket that ends fails the
futures of everything unanswered with ConnectionLost, and the owner sends those again.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import socketio

from loadtests.replay import protocol
from loadtests.replay.accounts import Accounts, Credentials, Tokens
from loadtests.replay.protocol import ConnectionLost, Rate, Ready, Refused

Handler = Callable[[dict[str, Any]], None]

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_HANDSHAKE_SECONDS = 10.0
_RATE_SHARE = 0.9  # the server counts arrivals, which bunch up
_NAMESPACE = "/"


class Allowance:
    """A token bucket on this side, so that the server's is never empty."""

    def __init__(self, rate: Rate) -> None:
        self._per_second = rate.per_second * _RATE_SHARE
        self._burst = max(1.0, rate.burst * _RATE_SHARE)
        self._tokens = self._burst
        self._at = time.monotonic()

    async def take(self) -> None:
        """Return when one more message is within the rate."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second) - 1
        self._at = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._per_second)


class Connection:
    """A signed-in socket. Run `run()` as a task; handlers are called with the object of each event."""

    def __init__(
        self,
        url: str,
        accounts: Accounts,
        credentials: Credentials,
        http: aiohttp.ClientSession,
        handlers: dict[str, Handler],
    ) -> None:
        self.url = url
        self.connects = 0
        self.errors: list[str] = []
        self._accounts = accounts
        self._credentials = credentials
        self._http = http
        self._handlers = handlers
        self._tokens: Tokens | None = None
        self._token_refused = False
        self._client: socketio.AsyncClient | None = None
        self._ready: Ready | None = None
        self._is_ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._unanswered: set[asyncio.Future[dict[str, Any]]] = set()
        self._allowances: dict[str, Allowance] = {}

    @property
    def ready(self) -> Ready | None:
        """What the server said at the start of the current connection; None while there is none."""
        return self._ready

    @property
    def tokens(self) -> Tokens | None:
        """The current tokens, once signed in."""
        return self._tokens

    async def wait_ready(self) -> Ready:
        """Return once connected and signed in."""
        while self._ready is None:
            await self._is_ready.wait()
        return self._ready

    async def post(self, event: str, payload: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
        """Send now, and return the future of the ack: its body, or Refused, or ConnectionLost."""
        allowance = self._allowances.get(event)
        if allowance is not None:
            await allowance.take()
        client = self._client
        if client is None or self._ready is None:
            raise ConnectionLost(event)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._unanswered.add(answer)
        answer.add_done_callback(self._unanswered.discard)
        try:
            await client.emit(event, payload, callback=lambda *arguments: _settle(answer, arguments))
        except socketio.exceptions.SocketIOError as error:
            answer.cancel()
            raise ConnectionLost(event) from error
        return answer

    async def ask(self, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send until it is answered, through lost connections and refusals that pass. Raises Refused."""
        while True:
            await self.wait_ready()
            try:
                return await (await self.post(event, payload))
            except ConnectionLost:
                continue
            except Refused as refusal:
                if not refusal.passes:
                    raise
                await asyncio.sleep(refusal.retry_after_seconds)

    async def run(self) -> None:
        """Stay connected until cancelled. Raises SignInFailed when the account is refused for good."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await self._have_a_token()
            if await self._connected_once():
                pause = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _have_a_token(self) -> None:
        """Sign in once; from then on the refresh token is enough, as long as the server honours it."""
        if self._tokens is None:
            self._tokens = await self._accounts.sign_in(self._credentials)
        elif self._token_refused or time.monotonic() >= self._tokens.refresh_at:
            self._tokens = await self._accounts.refresh(self._tokens, self._credentials)
        self._token_refused = False

    async def _connected_once(self) -> bool:
        """Connect, serve until the socket ends, clean up. Whether it was ready at all."""
        client = self._new_client()
        began = self.connects
        try:
            await self._connect(client)
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                await self._is_ready.wait()
            await self._serve(client)
        except (socketio.exceptions.SocketIOError, TimeoutError, aiohttp.ClientError, OSError):
            pass  # the server is away or busy: the caller tries again
        finally:
            self._forget()
            await client.disconnect()
        return self.connects > began

    async def _connect(self, client: socketio.AsyncClient) -> None:
        if self._tokens is None:
            raise ConnectionLost("not signed in")
        self._ended.clear()
        auth = {
            "token": self._tokens.access,
            "device_id": self._credentials.device_id,
            "protocol": protocol.PROTOCOL,
            "app": protocol.APP,
        }
        await client.connect(self.url, auth=auth, transports=["websocket"], wait_timeout=_HANDSHAKE_SECONDS)

    async def _serve(self, client: socketio.AsyncClient) -> None:
        """Renew the token when it is time, until the socket ends."""
        # A socket that ended while connect() was still waiting has told nobody.
        while self._tokens is not None and client.eio.state == "connected":
            try:
                async with asyncio.timeout(max(0.0, self._tokens.refresh_at - time.monotonic())):
                    await self._ended.wait()
                return
            except TimeoutError:
                self._tokens = await self._accounts.refresh(self._tokens, self._credentials)
            try:
                await (await self.post(protocol.AUTH_REFRESH, {"token": self._tokens.access}))
            except (ConnectionLost, Refused) as error:
                self.errors.append(str(error))
                return

    def _new_client(self) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=self._http)
        client.on("connect_error", self._refused)
        client.on("disconnect", self._disconnected)
        client.on(protocol.SESSION_READY, lambda payload: self._started(client, payload))
        client.on(protocol.ERROR, self._erred)
        client.on(protocol.AUTH_EXPIRING, lambda _: None)  # renewed long before
        for event, handler in self._handlers.items():
            client.on(event, handler)
        return client

    def _started(self, client: socketio.AsyncClient, payload: dict[str, Any]) -> None:
        self._client = client
        self._ready = protocol.ready_of(payload)
        self._allowances = {event: Allowance(rate) for event, rate in self._ready.rates.items()}
        self.connects += 1
        self._is_ready.set()

    def _refused(self, data: object = None) -> None:
        """CONNECT was refused: if it was the token, the next attempt comes with another one."""
        details = data.get("data") if isinstance(data, dict) else None
        code = details.get("code") if isinstance(details, dict) else None
        self.errors.append(f"connect: {code or data}")
        if code in protocol.SIGN_IN_AGAIN:
            self._token_refused = True

    def _erred(self, payload: object = None) -> None:
        code = payload.get("code") if isinstance(payload, dict) else None
        self.errors.append(str(payload))
        if code in protocol.SIGN_IN_AGAIN:
            self._token_refused = True

    def _disconnected(self, *_: object) -> None:
        self._forget()
        self._ended.set()

    def _forget(self) -> None:
        self._client, self._ready = None, None
        self._is_ready.clear()
        for answer in list(self._unanswered):
            if not answer.done():
                answer.set_exception(ConnectionLost("the socket ended"))


def _settle(answer: asyncio.Future[dict[str, Any]], arguments: tuple[object, ...]) -> None:
    if answer.done():
        return
    try:
        answer.set_result(protocol.answer_of(arguments[0] if arguments else None))
    except Refused as refusal:
        answer.set_exception(refusal)
