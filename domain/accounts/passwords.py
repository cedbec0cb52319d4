"""Password hashes: argon2id, computed in threads and a few at a time, because each takes tens of megabytes.

Promises that checking a password takes as long for an account that does not exist.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from domain.kit.errors import Unavailable

T = TypeVar("T")

_RETRY_AFTER_MS = 1_000


class Passwords:
    """Hashes and checks passwords: `parallel` at once, `waiting` more in line, the rest is told to come later."""

    def __init__(self, hasher: PasswordHasher | None = None, *, parallel: int = 2, waiting: int = 100) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(parallel)
        self._room = parallel + waiting
        self._stand_in = self._hasher.hash(secrets.token_urlsafe())  # once, at the start

    async def hash(self, password: str) -> str:
        """The hash to keep. Raises Unavailable when too many are waiting."""
        return await self._in_thread(self._hash, password)

    async def matches(self, kept: str | None, password: str) -> bool:
        """Whether the password belongs to the kept hash; None (no such account) takes as long and is False.

        Raises Unavailable when too many are waiting.
        """
        if kept is None:
            await self._in_thread(self._matches, self._stand_in, password)
            return False
        return await self._in_thread(self._matches, kept, password)

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made with other costs than today's, and should be made anew at the next sign-in."""
        return self._hasher.check_needs_rehash(kept)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_composed(password))

    def _matches(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, _composed(password))
        except (VerifyMismatchError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[..., T], *texts: str) -> T:
        if self._room == 0:
            raise Unavailable("too many sign-ins at once; try again", retry_after_ms=_RETRY_AFTER_MS)
        self._room -= 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work, *texts)
        finally:
            self._room += 1


def _composed(password: str) -> bytes:
    """One password typed on two keyboards is the same bytes (NFKC, as NIST SP 800-63B-4 asks)."""
    return unicodedata.normalize("NFKC", password).encode()
