"""Redis in the topology that a run asks for: its servers, its address, and what can be done to it.

One server; a master with two replicas and three sentinels; or a cluster of three masters with a replica each.
"""

import asyncio
import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from loadtests.stress.schedule import Topology
from server.stack import RedisServer
from server.stack.ports import HOST, free_port

PortOf = Callable[[int], int]
"""Where a server's port is reached: by itself, or through a proxy."""

SERVICE = "throttlecove"
_DOWN_AFTER_MS = 1500
_MASTERS = 3
_SLOTS = 16_384
_CLUSTER: Mapping[str, str] = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": str(_DOWN_AFTER_MS),
    "cluster-config-file": "nodes.conf",
    "cluster-replica-validity-factor": "0",
}
_FORMED_SECONDS = 30.0
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 1.0


def itself(port: int) -> int:
    """No proxy between."""
    return port


class Redises(ABC):
    """All servers of one topology, below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers: list[RedisServer] = []

    @abstractmethod
    async def start(self) -> None:
        """Start all servers until they serve together."""

    @abstractmethod
    def url(self, port_of: PortOf = itself) -> str:
        """The address for clients."""

    @abstractmethod
    def current(self) -> RedisServer:
        """The server that faults are done to: one that is a master now. Raises when there is none."""

    @abstractmethod
    def is_whole(self) -> bool:
        """Whether every server answers and has the place that it has for good. Raises when one cannot be asked."""

    @abstractmethod
    async def fail_over(self) -> None:
        """Have a replica take over in good order; returns when it has."""

    @property
    def ports(self) -> list[int]:
        """Every port that clients may be told of."""
        return [server.port for server in self.servers]

    def masters(self) -> list[RedisServer]:
        """The servers that say that they are masters."""
        return [server for server in self.servers if _role(server) == "master"]

    async def stop(self) -> None:
        """End all of them and remove what they have stored."""
        for server in self.servers:
            await asyncio.to_thread(server.remove)

    def _server(self, name: str, settings: dict[str, str] | None = None) -> RedisServer:
        server = RedisServer(self.directory / name, ephemeral=True, settings=settings)
        self.servers.append(server)
        return server


class Single(Redises):
    """One Redis."""

    async def start(self) -> None:
        """See the base class."""
        self._server("redis").start()

    def url(self, port_of: PortOf = itself) -> str:
        """See the base class."""
        return f"redis://{HOST}:{port_of(self.servers[0].port)}/0"

    def current(self) -> RedisServer:
        """See the base class."""
        return self.servers[0]

    def is_whole(self) -> bool:
        """See the base class."""
        return answers(self.servers[0])

    async def fail_over(self) -> None:
        """There is nobody to take over."""
        raise NotImplementedError("one Redis cannot fail over")


class SentinelServer(RedisServer):
    """A sentinel that watches one master."""

    name = "Sentinel"

    def __init__(self, directory: Path, master: RedisServer) -> None:
        super().__init__(directory, ephemeral=True)
        self._master = master

    def _command(self) -> list[str]:
        # It writes its own state into its configuration: only the first start may make it.
        if not self._configuration.exists():
            self._configuration.write_text("".join(f"{line}\n" for line in self._lines()))
        return [shutil.which("redis-server") or "redis-server", str(self._configuration), "--sentinel"]

    def _lines(self) -> Iterator[str]:
        yield f"bind {HOST}"
        yield f"port {self.port}"
        yield f'dir "{self._data}"'
        yield f'pidfile "{self._pid_file}"'
        yield "daemonize no"
        yield "set-proc-title no"
        yield f"sentinel monitor {SERVICE} {HOST} {self._master.port} 2"
        yield f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}"
        yield f"sentinel failover-timeout {SERVICE} 5000"
        yield f"sentinel parallel-syncs {SERVICE} 2"


class Sentinel(Redises):
    """A master, two replicas, three sentinels."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._sentinels: list[SentinelServer] = []

    @property
    def ports(self) -> list[int]:
        """See the base class."""
        return [*super().ports, *(sentinel.port for sentinel in self._sentinels)]

    async def start(self) -> None:
        """See the base class."""
        master = self._server("redis-1")
        master.start()
        for number in (2, 3):
            self._server(f"redis-{number}", {"replicaof": f"{HOST} {master.port}"}).start()
        for number in (1, 2, 3):
            sentinel = SentinelServer(self.directory / f"sentinel-{number}", master)
            self._sentinels.append(sentinel)
            sentinel.start()
        await _until(self._agree, "the sentinels do not find one another")

    def url(self, port_of: PortOf = itself) -> str:
        """See the base class."""
        hosts = ",".join(f"{HOST}:{port_of(sentinel.port)}" for sentinel in self._sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def current(self) -> RedisServer:
        """See the base class."""
        port = self._master_port()
        return next(server for server in self.masters() if server.port == port)

    def is_whole(self) -> bool:
        """One master, for the sentinels too, and two replicas of it.

        One that was demoted is told so ten seconds later; until then it takes what clients send that are connected to
        it, and no replica confirms that.
        """
        port = self._master_port()
        return sum(_master_of(server) == port for server in self.servers) == len(self.servers) - 1

    async def fail_over(self) -> None:
        """See the base class."""
        before = self._master_port()
        with _client(self._sentinels[0].port) as client:
            client.execute_command("SENTINEL", "FAILOVER", SERVICE)
        await _until(lambda: self._master_port() != before, "the sentinels have promoted nobody")

    async def stop(self) -> None:
        """See the base class."""
        for sentinel in self._sentinels:
            await asyncio.to_thread(sentinel.remove)
        await super().stop()

    def _master_port(self) -> int:
        with _client(self._sentinels[0].port) as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(port)

    def _agree(self) -> bool:
        for sentinel in self._sentinels:
            with _client(sentinel.port) as client:
                told = client.execute_command("SENTINEL", "MASTER", SERVICE)
            facts = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
            found = {_text(name): _text(value) for name, value in facts.items()}
            if found["num-slaves"] != "2" or found["num-other-sentinels"] != "2":
                return False
        return True


class Cluster(Redises):
    """Three masters with a replica each."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._buses: list[int] = []

    async def start(self) -> None:
        """See the base class."""
        for number in range(1, 2 * _MASTERS + 1):
            self._buses.append(free_port())
            self._server(f"redis-{number}", {**_CLUSTER, "cluster-port": str(self._buses[-1])}).start()
        masters, replicas = self.servers[:_MASTERS], self.servers[_MASTERS:]
        for number, master in enumerate(masters):
            first, last = number * _SLOTS // _MASTERS, (number + 1) * _SLOTS // _MASTERS - 1
            tell(master, "CLUSTER", "ADDSLOTSRANGE", first, last)
            tell(master, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server, bus in zip(self.servers[1:], self._buses[1:], strict=True):
            tell(masters[0], "CLUSTER", "MEET", HOST, server.port, bus)
        await _until(self._has_met, "the servers of the cluster do not meet")
        for master, replica in zip(masters, replicas, strict=True):
            tell(replica, "CLUSTER", "REPLICATE", _text(tell(master, "CLUSTER", "MYID")))
        await _until(self._is_formed, "the cluster does not form")

    def url(self, port_of: PortOf = itself) -> str:
        """See the base class."""
        return "redis+cluster://" + ",".join(f"{HOST}:{port_of(server.port)}" for server in self.servers[:3])

    def current(self) -> RedisServer:
        """The master that holds the track stream. Raises LookupError while there is none."""
        for server in self.masters():
            with contextlib.suppress(redis.ResponseError):
                tell(server, "XLEN", "tracks:stream")  # MOVED, unless the slot is its own
                return server
        raise LookupError("no master has the slot")

    async def fail_over(self) -> None:
        """See the base class."""
        master = self.current()
        replica = next(server for server in self.servers if _master_of(server) == master.port)
        with _client(replica.port) as client:
            client.execute_command("CLUSTER", "FAILOVER")
        await _until(lambda: _role(replica) == "master", "the replica does not take over")

    def is_whole(self) -> bool:
        """See the base class."""
        return self._is_formed()

    def _has_met(self) -> bool:
        return all(_cluster(server).get("cluster_known_nodes") == str(2 * _MASTERS) for server in self.servers)

    def _is_formed(self) -> bool:
        linked = sum(_master_of(server) is not None for server in self.servers)
        return linked == _MASTERS and all(_cluster(server)["cluster_state"] == "ok" for server in self.servers)


def create(topology: Topology, directory: Path) -> Redises:
    """The servers of a topology, not started yet."""
    kinds: dict[Topology, type[Redises]] = {
        Topology.SINGLE: Single,
        Topology.SENTINEL: Sentinel,
        Topology.CLUSTER: Cluster,
    }
    return kinds[topology](directory)


def _client(port: int) -> "redis.Redis":
    return redis.Redis(
        host=HOST,
        port=port,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def tell(server: RedisServer, *command: str | bytes | int) -> object:
    """The answer of one server to a command. Raises redis.RedisError."""
    with _client(server.port) as client:
        answer: object = client.execute_command(*command)
    return answer


def answers(server: RedisServer) -> bool:
    """Whether the server takes commands now."""
    try:
        return bool(tell(server, "PING"))
    except redis.RedisError:
        return False


def _replication(server: RedisServer) -> dict[str, object]:
    try:
        found = tell(server, "INFO", "replication")
    except redis.RedisError:
        return {}
    return found if isinstance(found, dict) else {}


def _cluster(server: RedisServer) -> dict[str, str]:
    lines = _text(tell(server, "CLUSTER", "INFO")).splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def _role(server: RedisServer) -> object:
    return _replication(server).get("role")


def _master_of(server: RedisServer) -> int | None:
    """The port of the master whose link is up, None for a master or a replica without one."""
    found = _replication(server)
    if found.get("role") != "slave" or found.get("master_link_status") != "up":
        return None
    return int(str(found["master_port"]))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def until_whole(redises: Redises) -> None:
    """Wait until every server has its place. Raises RuntimeError when that takes too long."""
    await _until(redises.is_whole, "Redis is not whole again")


async def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = asyncio.get_running_loop().time() + _FORMED_SECONDS
    while not await asyncio.to_thread(_quietly, holds):
        if asyncio.get_running_loop().time() > deadline:
            raise RuntimeError(otherwise)
        await asyncio.sleep(_POLL_SECONDS)


def _quietly(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except (redis.RedisError, LookupError, StopIteration):
        return False
