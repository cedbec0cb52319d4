"""What a connection to Redis through TLS trusts and shows, as the options of an address say.

All connections of an address share one context: to load a system's authorities takes some 20 ms, too long for each
attempt while Redis is away. Files that have changed are read again at the next connection, so that a renewed
certificate needs no restart; while they cannot be used, what was read before serves on.
"""

import ssl
from pathlib import Path
from typing import TypeAlias

import structlog
from redis.asyncio.connection import RedisSSLContext

from domain.kit.redis_urls import BadRedisUrl

_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""What changes with a file: its number, its size, when it was written."""

_log = structlog.get_logger(__name__)


class TlsContext:
    """The context of the connections to an address."""

    def __init__(self, asked: RedisSSLContext) -> None:
        """`asked` is what redis-py has read from the options; no file is read yet."""
        self._asked = asked
        self._files = {"ssl_ca_certs": asked.ca_certs, "ssl_certfile": asked.certfile, "ssl_keyfile": asked.keyfile}
        self._context: ssl.SSLContext | None = None
        self._stamp: _Stamp = ()

    def get(self) -> ssl.SSLContext:
        """For the next connection. Raises BadRedisUrl when nothing usable was ever read."""
        stamp = tuple(_stamp_of(file) for file in self._files.values())
        if self._context is None or stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._read()
            except BadRedisUrl as error:
                if self._context is None:
                    raise
                _log.error("redis_certificates_unusable", reason=str(error))
        return self._context

    def _read(self) -> ssl.SSLContext:
        for option, file in self._files.items():
            if file is not None:
                _insist_on_reading(option, file)
        try:
            return self._build()
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise BadRedisUrl(f"has certificates, a key or ssl_ options that cannot be used ({reason})") from None

    def _build(self) -> ssl.SSLContext:
        """As redis-py does it, but who names an authority trusts no other."""
        asked = self._asked
        context = ssl.create_default_context(cafile=asked.ca_certs, capath=asked.ca_path, cadata=asked.ca_data)
        context.check_hostname = asked.check_hostname
        context.verify_mode = asked.cert_reqs
        for flag in asked.include_verify_flags or ():
            context.verify_flags |= flag
        for flag in asked.exclude_verify_flags or ():
            context.verify_flags &= ~flag
        if (file := asked.certfile or asked.keyfile) is not None:
            context.load_cert_chain(file, asked.keyfile, asked.password or _no_password)
        if asked.min_version is not None:
            context.minimum_version = asked.min_version
        if asked.ciphers is not None:
            context.set_ciphers(asked.ciphers)
        return context


def _stamp_of(file: str | None) -> tuple[int, int, int] | None:
    try:
        about = Path(file).stat() if file else None
    except OSError:
        about = None
    return about and (about.st_ino, about.st_size, about.st_mtime_ns)


def _insist_on_reading(option: str, file: str) -> None:
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        raise BadRedisUrl(f"names a file with {option} that cannot be read ({error.strerror})") from None


def _no_password() -> str:
    """Asked for when a key has one and the address has none; OpenSSL would ask the terminal."""
    raise ValueError("ssl_password is missing")
