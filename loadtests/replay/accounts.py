"""Accounts over REST: sign in with a known name or register it, and fresh tokens before the old ones end.

Waits as long as the server says when it is asked too often, and goes on trying while the server is away.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx

_AWAY_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
_REFRESH_AT = 0.75  # of a token's life


class SignInFailed(Exception):
    """The server refused the account for good; the message has its answer."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs in, on which device."""

    username: str
    password: str
    device_id: str
    full_name: str | None = None

    @property
    def email(self) -> str:
        """An address that nobody has (RFC 2606)."""
        return f"{self.username}@riders.example.org"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gave; `refresh_at` is the monotonic time at which to ask for new ones."""

    access: str
    refresh: str
    refresh_at: float
    user_id: str
    rider: int


class Accounts:
    """Signs accounts in at one server. `known` says that the accounts probably exist: then login is tried first."""

    def __init__(self, http: httpx.AsyncClient, url: str, *, known: bool) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._known = known

    async def sign_in(self, credentials: Credentials) -> Tokens:
        """Tokens for the account, which is registered if need be. Raises SignInFailed."""
        attempts = (self._login, self._register) if self._known else (self._register, self._login)
        failure = ""
        for attempt in attempts:
            response = await attempt(credentials)
            if response.is_success:
                return _tokens(response.json())
            failure = f"{response.request.url.path} answered {response.status_code}: {response.text[:300]}"
        raise SignInFailed(f"{credentials.username}: {failure}")

    async def refresh(self, tokens: Tokens, credentials: Credentials) -> Tokens:
        """New tokens from the refresh token; when it is not honoured any more, sign in again."""
        body = {"refresh_token": tokens.refresh, "device_id": credentials.device_id}
        response = await self._post("/v1/auth/refresh", body)
        if not response.is_success:
            return await self.sign_in(credentials)
        return _tokens(response.json(), before=tokens)

    async def _login(self, credentials: Credentials) -> httpx.Response:
        body = {"identifier": credentials.username, "password": credentials.password}
        return await self._post("/v1/auth/login", {**body, "device_id": credentials.device_id})

    async def _register(self, credentials: Credentials) -> httpx.Response:
        body = {"username": credentials.username, "email": credentials.email, "password": credentials.password}
        named = {**body, "full_name": credentials.full_name, "device_id": credentials.device_id}
        response = await self._post("/v1/auth/register", named)
        if response.is_success and "access_token" not in response.json():
            return await self._login(credentials)
        return response

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """The answer, once there is one: neither an absent server nor a full bucket is an answer."""
        while True:
            try:
                response = await self._http.post(self._url + path, json=body)
            except httpx.TransportError:
                await asyncio.sleep(_AWAY_SECONDS)
                continue
            if response.status_code not in (429, 502, 503, 504):
                return response
            await asyncio.sleep(_wait_of(response))


def _wait_of(response: httpx.Response) -> float:
    try:
        wait = float(response.headers.get("Retry-After", _AWAY_SECONDS))
    except ValueError:
        wait = _AWAY_SECONDS
    return min(max(wait, 0.1), _LONGEST_WAIT_SECONDS)


def _tokens(body: dict[str, Any], before: Tokens | None = None) -> Tokens:
    user = body.get("user") or {}
    return Tokens(
        access=body["access_token"],
        refresh=body["refresh_token"],
        refresh_at=time.monotonic() + float(body["expires_in"]) * _REFRESH_AT,
        user_id=str(user["id"]) if "id" in user or before is None else before.user_id,
        rider=int(user["rider"]) if "rider" in user or before is None else before.rider,
    )
