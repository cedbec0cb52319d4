"""Redis behind TLS on loopback, of each topology: real servers, which no client without a certificate may use.

They keep a plain port beside it, for the tests' look at them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from domain.kit.redis_slots import SLOTS
from server.stack import RedisServer
from server.stack.ports import HOST, free_port, is_free
from server.stack.processes import wait_until
from tests.support.certificates import Authority
from tests.support.redis_topologies import SERVICE, ask
from tests.support.servers import running

_FORMED_SECONDS = 40.0


class TlsRedis(RedisServer):
    """One of them; `port` is the plain one."""

    def __init__(self, directory: Path, authority: Authority, settings: dict[str, str] | None = None) -> None:
        certificate, key = authority.sign("server")
        files = {"tls-cert-file": certificate, "tls-key-file": key, "tls-ca-cert-file": authority.certificate}
        settings = {**{name: str(file) for name, file in files.items()}, **(settings or {})}
        super().__init__(directory, ephemeral=True, settings=settings)
        self.tls_port = 0
        self._cluster_port = 0

    def _choose_port(self) -> None:
        super()._choose_port()
        self.tls_port = self._another(self.tls_port)
        self._settings["tls-port"] = str(self.tls_port)
        if "cluster-enabled" in self._settings:
            self._cluster_port = self._another(self._cluster_port)
            self._settings["cluster-port"] = str(self._cluster_port)

    def _another(self, port: int) -> int:
        # Right before the start: a port that was chosen long ago may be another server's by now.
        while port in {0, self.port} or not is_free(port):
            port = free_port()
        return port

    def meet(self, other: "TlsRedis") -> None:
        """Have it join the other one's cluster."""
        ask(self, "CLUSTER", "MEET", HOST, other.tls_port, other._cluster_port)


class _TlsSentinel(TlsRedis):
    """A sentinel that decides alone, and names the master by its TLS port."""

    def __init__(self, directory: Path, authority: Authority, master: TlsRedis) -> None:
        super().__init__(directory, authority, {"tls-replication": "yes"})
        self._master = master

    def _options(self) -> dict[str, str]:
        return {name: value for name, value in super()._options().items() if not name.startswith(_NOT_FOR_SENTINELS)}

    def _command(self) -> list[str]:
        command = super()._command()
        with self._configuration.open("a") as configuration:
            configuration.write(f"sentinel monitor {SERVICE} {HOST} {self._master.tls_port} 1\n")
        return [*command, "--sentinel"]


_NOT_FOR_SENTINELS = ("append", "maxmemory", "save", "tcp-backlog")


@dataclass(frozen=True)
class TlsServers:
    """What runs, and how it is reached."""

    place: str
    """The address without options."""
    authority: Authority
    client: tuple[Path, Path]
    """The certificate of a client, and its key."""

    def url(self, **changed: Path | str) -> str:
        """The address, with the options that are needed unless they are changed; empty ones are left out."""
        certificate, key = self.client
        needed = {"ssl_ca_certs": self.authority.certificate, "ssl_certfile": certificate, "ssl_keyfile": key}
        options = {**needed, **changed}
        return f"{self.place}?{'&'.join(f'{name}={value}' for name, value in options.items() if value)}"


@contextmanager
def running_with_tls(directory: Path, topology: str) -> Iterator[TlsServers]:
    """One Redis, a master with a sentinel, or a cluster of two masters, for as long as the block lasts."""
    authority = Authority(directory / "certificates")
    start = {"one": _one, "sentinel": _with_sentinel, "cluster": _cluster}[topology]
    with start(directory, authority) as place:
        yield TlsServers(place, authority, authority.sign("client"))


@contextmanager
def _one(directory: Path, authority: Authority) -> Iterator[str]:
    server = TlsRedis(directory / "redis", authority)
    with running(server):
        yield f"rediss://{HOST}:{server.tls_port}/0"


@contextmanager
def _with_sentinel(directory: Path, authority: Authority) -> Iterator[str]:
    master = TlsRedis(directory / "redis", authority)
    with running(master):
        sentinel = _TlsSentinel(directory / "sentinel", authority, master)
        with running(sentinel):
            yield f"rediss+sentinel://{HOST}:{sentinel.tls_port}/{SERVICE}"


@contextmanager
def _cluster(directory: Path, authority: Authority) -> Iterator[str]:
    settings = {"cluster-enabled": "yes", "tls-cluster": "yes"}
    servers = [TlsRedis(directory / f"redis-{number}", authority, settings) for number in range(2)]
    with running(*servers):
        for number, server in enumerate(servers):
            ask(server, "CLUSTER", "ADDSLOTSRANGE", number * SLOTS // 2, (number + 1) * SLOTS // 2 - 1)
            ask(server, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        servers[1].meet(servers[0])
        assert wait_until(lambda: all(map(_is_whole, servers)), timeout_seconds=_FORMED_SECONDS)
        yield f"rediss+cluster://{HOST}:{servers[0].tls_port}"


def _is_whole(server: TlsRedis) -> bool:
    return b"cluster_state:ok" in ask(server, "CLUSTER", "INFO")
