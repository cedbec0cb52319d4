"""Where Redis is, as an address says it: one server, a master that sentinels know, or a cluster. Pure.

    redis://[user:password@]host[:6379][/database]                         rediss:// for TLS; unix:///path as well
    redis+sentinel://[user:password@]host[:26379],host…/service[/database] rediss+sentinel:// for TLS
    redis+cluster://[user:password@]host[:6379],host…                      rediss+cluster:// for TLS

A name or password is percent-encoded where it has `@`, `/`, `:`, `,` or `?`. Options behind a `?` are redis-py's; those
that begin with `sentinel_` are for the sentinels, which have a login of their own: `sentinel_password`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio.connection import parse_url

Address: TypeAlias = tuple[str, int]
"""Host and port."""


class Topology(StrEnum):
    """What stands behind an address."""

    ONE = "one"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES = {"redis": Topology.ONE, "redis+sentinel": Topology.SENTINEL, "redis+cluster": Topology.CLUSTER}
_PORTS = {Topology.ONE: 6379, Topology.SENTINEL: 26379, Topology.CLUSTER: 6379}
_FOR_SENTINELS = "sentinel_"


class BadRedisUrl(ValueError):
    """The address cannot be used; the message says why, and repeats nothing of it."""


@dataclass(frozen=True)
class RedisUrl:
    """A parsed address. What it says of logins and files of keys is in the options, which are not shown."""

    topology: Topology
    addresses: tuple[Address, ...]
    """Redis servers, or sentinels; empty for a Unix socket, whose path is an option."""
    service: str = ""
    """What the sentinels call the master."""
    tls: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Further options of redis-py's connections to Redis."""
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The same for connections to sentinels."""


def parse_redis_url(text: str) -> RedisUrl:
    """The address that is meant. Raises BadRedisUrl."""
    scheme, _, rest = text.partition("://")
    if scheme == "unix":
        return RedisUrl(Topology.ONE, (), options=_without_class(text))
    tls = scheme.startswith("rediss")
    topology = _SCHEMES.get(scheme.replace("rediss", "redis", 1))
    if topology is None:
        known = ", ".join(f"{name}://" for name in _SCHEMES)
        raise BadRedisUrl(f"must begin with {known}, with rediss for TLS, or unix://")
    place, _, query = rest.partition("?")
    login, _, where = place.rpartition("@")
    hosts, _, path = where.partition("/")
    addresses = tuple(_address(host, _PORTS[topology]) for host in hosts.split(","))
    if topology is Topology.ONE and len(addresses) > 1:
        raise BadRedisUrl("has several hosts: that is redis+sentinel://…/<service> or redis+cluster://…")
    service, database = _service_and_database(topology, path.strip("/"))
    shared, for_sentinels = _options(query)
    options = {"db": database} | shared | _login(login)
    return RedisUrl(topology, addresses, service, tls, options, shared | for_sentinels)


def _address(text: str, default_port: int) -> Address:
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or port == 0 or text.strip().endswith(":"):
        raise BadRedisUrl("must name each host with a number from 1 to 65535 as its port: host:port,host:port")
    return host, port or default_port


def _login(text: str) -> dict[str, str]:
    user, _, password = text.partition(":")
    return {name: unquote(value) for name, value in (("username", user), ("password", password)) if value}


def _service_and_database(topology: Topology, path: str) -> tuple[str, int]:
    service = ""
    if topology is Topology.SENTINEL:
        service, _, path = path.partition("/")
        if not service:
            raise BadRedisUrl("must name what the sentinels watch, behind the hosts: redis+sentinel://…/<service>")
    if path and not (path.isascii() and path.isdecimal()):
        raise BadRedisUrl("must have a number as its database")
    if topology is Topology.CLUSTER and int(path or 0):
        raise BadRedisUrl("names a database, of which a cluster has only one")
    return unquote(service), int(path or 0)


def _options(query: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What a query says of all connections, and what of those to sentinels alone."""
    pairs = parse_qsl(query)
    own = {name.removeprefix(_FOR_SENTINELS): value for name, value in pairs if name.startswith(_FOR_SENTINELS)}
    shared = [(name, value) for name, value in pairs if not name.startswith(_FOR_SENTINELS)]
    return _without_class(f"redis://?{urlencode(shared)}"), own


def _without_class(url: str) -> dict[str, Any]:
    """The options that redis-py reads from an address."""
    try:
        options = dict(parse_url(url))
    except ValueError:
        raise BadRedisUrl("has an option behind its ? with a value that it cannot have") from None
    options.pop("connection_class", None)
    return options
