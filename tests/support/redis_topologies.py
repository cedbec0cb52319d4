"""A Redis Cluster and a master with a sentinel on loopback: real servers, up in two seconds, and what tests do to them.

Each has replicas that take over within a second or two. The fixtures are shared by all tests of a process, which heal
and empty them.
"""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from domain.kit.redis_slots import SLOTS, slot_of
from server.stack import RedisServer
from server.stack.ports import HOST, free_port, is_free
from server.stack.processes import wait_until
from tests.support.servers import running

SERVICE = "throttlecove"
MASTERS = 3
_NODE_TIMEOUT_MS = 500
_DOWN_AFTER_MS = 300
_HEALED_SECONDS = 40.0
_ANSWER_SECONDS = 10.0
"""Longer than a busy machine keeps a server waiting: who does not answer in time would count as gone."""
_AT_ONCE = {"repl-diskless-sync-delay": "0"}
"""A replica is not kept waiting for others."""
_QUICK = ("INFO-PERIOD", 200, "PUBLISH-PERIOD", 200, "PING-PERIOD", 100)
"""Milliseconds; sentinels have no setting for them."""


def ask(server: RedisServer, *command: str | int) -> Any:
    """One server's answer, as it gave it."""
    retry = Retry(NoBackoff(), 0)
    with redis.Redis(host=HOST, port=server.port, socket_timeout=_ANSWER_SECONDS, retry=retry, protocol=2) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def _answers(server: RedisServer, *command: str | int) -> Any:
    """The same; None from one that is gone, paused or not ready."""
    if _is_paused(server):
        return None
    try:
        return ask(server, *command)
    except redis.RedisError:
        return None


def _is_paused(server: RedisServer) -> bool:
    try:
        return server.pid is not None and psutil.Process(server.pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def _heal(servers: list[RedisServer], is_healed: Callable[[], bool]) -> None:
    for server in servers:
        server.resume()
        server.start()
    assert wait_until(is_healed, timeout_seconds=_HEALED_SECONDS), "the servers do not find together again"


class _ClusterServer(RedisServer):
    """One of a cluster, with a second port for its bus."""

    def __init__(self, directory: Path) -> None:
        settings = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(_NODE_TIMEOUT_MS),
            "cluster-replica-validity-factor": "0",
            **_AT_ONCE,
        }
        super().__init__(directory, ephemeral=True, settings=settings)
        self.bus: int | None = None

    def _choose_port(self) -> None:
        super()._choose_port()
        # Right before the start: a port that was chosen long ago may be another server's by now.
        while self.bus is None or self.bus == self.port or not is_free(self.bus):
            self.bus = free_port()
        self._settings["cluster-port"] = str(self.bus)


class RedisCluster:
    """Three masters, a replica of each."""

    def __init__(self, directory: Path) -> None:
        self.servers = [_ClusterServer(directory / f"redis-{number}") for number in range(2 * MASTERS)]

    @property
    def url(self) -> str:
        """Names two of the servers: the others are found."""
        return f"redis+cluster://{HOST}:{self.servers[0].port},{HOST}:{self.servers[1].port}"

    def form(self) -> None:
        """Make them a cluster; what `redis-cli --cluster create` does, without its pauses."""
        first = self.servers[0]
        for number, server in enumerate(self.servers[:MASTERS]):
            bounds = number * SLOTS // MASTERS, (number + 1) * SLOTS // MASTERS - 1
            ask(server, "CLUSTER", "ADDSLOTSRANGE", *bounds)
            ask(server, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            ask(server, "CLUSTER", "MEET", HOST, first.port, first.bus or 0)
        assert wait_until(lambda: all(map(self._knows_all, self.servers)), timeout_seconds=_HEALED_SECONDS)
        for master, replica in zip(self.servers[:MASTERS], self.servers[MASTERS:], strict=True):
            ask(replica, "CLUSTER", "REPLICATE", self._id(master))
        self.heal()

    def _knows_all(self, server: RedisServer) -> bool:
        nodes = ask(server, "CLUSTER", "NODES").splitlines()
        return len(nodes) == len(self.servers) and not any(b"handshake" in node for node in nodes)

    @staticmethod
    def _id(server: RedisServer) -> str:
        return str(ask(server, "CLUSTER", "MYID").decode())

    def heal(self) -> None:
        """Start what is not running, and wait until each master has its replica."""
        _heal(self.servers, self._is_whole)

    def _is_whole(self) -> bool:
        states = [_answers(server, "CLUSTER", "INFO") for server in self.servers]
        whole = all(state is not None and b"cluster_state:ok" in state for state in states)
        return whole and sum(map(_has_replica, self.servers)) == MASTERS

    def empty(self) -> None:
        """Forget all keys and scripts."""
        for server in self.servers:
            if _role(server) == "master":
                ask(server, "FLUSHALL")
                ask(server, "SCRIPT", "FLUSH")

    def masters(self) -> list[RedisServer]:
        """Those that are masters now."""
        return [server for server in self.servers if _role(server) == "master"]

    def owner(self, key: str) -> RedisServer:
        """The master of a key or channel."""
        slot = slot_of(key)
        for first, last, (_, port, *_), *_ in ask(self.masters()[0], "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == port)
        raise LookupError(key)

    def move(self, key: str) -> RedisServer:
        """Move the slot of a key, with all that is in it, to another master, which is answered."""
        slot, source = slot_of(key), self.owner(key)
        target = next(master for master in self.masters() if master is not source)
        self.open(slot, source, target)
        self.carry(slot, source, target)
        self.close(slot, target)
        return target

    def open(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Begin to move a slot: keys that are not on its master are asked for at the other one."""
        ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self._id(source))
        ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self._id(target))

    def carry(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Take the keys of an open slot over."""
        while keys := ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            ask(source, "MIGRATE", HOST, target.port, "", 0, 1000, "KEYS", *(key.decode() for key in keys))

    def close(self, slot: int, target: RedisServer) -> None:
        """Give an open slot to its new master."""
        for server in [target, *(master for master in self.masters() if master is not target)]:
            ask(server, "CLUSTER", "SETSLOT", slot, "NODE", self._id(target))


def _role(server: RedisServer) -> str | None:
    about = _answers(server, "INFO", "replication")
    return None if about is None else "master" if b"role:master" in about else "replica"


def _has_replica(server: RedisServer) -> bool:
    about = _answers(server, "INFO", "replication")
    return about is not None and b"role:master" in about and b"state=online" in about


class _SentinelServer(RedisServer):
    """A sentinel that decides alone."""

    def __init__(self, directory: Path, master: RedisServer) -> None:
        super().__init__(directory, ephemeral=True)
        self._master = master

    def _options(self) -> dict[str, str]:
        names = ("bind", "port", "dir", "pidfile", "daemonize", "set-proc-title")
        return {name: value for name, value in super()._options().items() if name in names}

    def _command(self) -> list[str]:
        if self._configuration.exists():  # it keeps there what it knows
            return [shutil.which("redis-server") or "", str(self._configuration), "--sentinel"]
        command = super()._command()
        with self._configuration.open("a") as configuration:
            configuration.write(
                f"sentinel monitor {SERVICE} {HOST} {self._master.port} 1\n"
                f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}\n"
                f"sentinel failover-timeout {SERVICE} 2000\n"
            )
        return [*command, "--sentinel"]


class RedisWithSentinel:
    """A master, its replica, a sentinel."""

    def __init__(self, directory: Path) -> None:
        master = RedisServer(directory / "redis-1", ephemeral=True, settings=_AT_ONCE)
        master.start()
        settings = {"replicaof": f"{HOST} {master.port}", **_AT_ONCE}
        self.servers = [master, RedisServer(directory / "redis-2", ephemeral=True, settings=settings)]
        self.sentinel = _SentinelServer(directory / "sentinel", master)
        self._mute = socket.create_server((HOST, 0))
        self._gone = socket.socket()
        self._gone.bind((HOST, 0))  # nobody listens there, and nobody else can

    @property
    def url(self) -> str:
        """Names three sentinels, of which the first is not there and the second never answers."""
        ports = self._gone.getsockname()[1], self._mute.getsockname()[1], self.sentinel.port
        return f"redis+sentinel://{','.join(f'{HOST}:{port}' for port in ports)}/{SERVICE}"

    def heal(self) -> None:
        """Start what is not running, and wait until the master has a replica that the sentinel knows."""
        _heal([*self.servers, self.sentinel], lambda: True)
        ask(self.sentinel, "SENTINEL", "DEBUG", *_QUICK)
        _heal([], self._is_whole)

    def _is_whole(self) -> bool:
        return self.master is not None and _has_replica(self.master) and self._knows_replica()

    def _knows_replica(self) -> bool:
        replicas = _answers(self.sentinel, "SENTINEL", "REPLICAS", SERVICE) or []
        facts = [dict(zip(replica[::2], replica[1::2], strict=True)) for replica in replicas]
        return any(fact[b"flags"] == b"slave" and fact[b"master-link-status"] == b"ok" for fact in facts)

    @property
    def master(self) -> RedisServer | None:
        """Whom the sentinel names, if that is a master."""
        address = _answers(self.sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        named = [server for server in self.servers if address is not None and server.port == int(address[1])]
        return named[0] if named and _role(named[0]) == "master" else None

    def empty(self) -> None:
        """Forget all keys and scripts."""
        assert self.master is not None
        ask(self.master, "FLUSHALL")
        ask(self.master, "SCRIPT", "FLUSH")

    def close(self) -> None:
        """Let go of what is no process."""
        self._mute.close()
        self._gone.close()


@contextmanager
def running_cluster(directory: Path) -> Iterator[RedisCluster]:
    """A cluster, for as long as the block lasts."""
    cluster = RedisCluster(directory)
    with running(*cluster.servers):
        cluster.form()
        yield cluster


@contextmanager
def running_with_sentinel(directory: Path) -> Iterator[RedisWithSentinel]:
    """A master with a sentinel, for as long as the block lasts."""
    servers = RedisWithSentinel(directory)
    with closing(servers), running(*servers.servers, servers.sentinel):
        servers.heal()
        yield servers
