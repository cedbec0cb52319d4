"""Every form of an address of Redis is read as it is meant; what cannot be meant is refused without being repeated."""

import pytest
from redis.crc import key_slot

from domain.kit.redis_connections import Maker
from domain.kit.redis_slots import key_of, slot_of, units_of
from domain.kit.redis_urls import BadRedisUrl, Topology, parse_redis_url
from domain.kit.transports import LocalConnection, TlsConnection


def test_one_redis() -> None:
    url = parse_redis_url("redis://me:p%40ss@cache:6380/2?health_check_interval=3")
    assert (url.topology, url.addresses, url.tls) == (Topology.ONE, (("cache", 6380),), False)
    assert url.options == {"username": "me", "password": "p@ss", "db": 2, "health_check_interval": 3}
    assert parse_redis_url("redis://cache").addresses == (("cache", 6379),)
    assert parse_redis_url("redis://[::1]:7/1").addresses == (("::1", 7),)


def test_a_master_that_sentinels_know() -> None:
    url = parse_redis_url("redis+sentinel://:secret@a,b:1,[::1]:2/main/3?sentinel_password=other&ssl_ca_certs=/ca")
    assert (url.topology, url.service) == (Topology.SENTINEL, "main")
    assert url.addresses == (("a", 26379), ("b", 1), ("::1", 2))
    assert url.options == {"password": "secret", "db": 3, "ssl_ca_certs": "/ca"}
    assert url.sentinel_options == {"password": "other", "ssl_ca_certs": "/ca"}
    assert "secret" not in repr(url)
    assert "other" not in repr(url)


def test_a_cluster() -> None:
    url = parse_redis_url("rediss+cluster://u:p@a:1,b")
    assert (url.topology, url.addresses, url.tls) == (Topology.CLUSTER, (("a", 1), ("b", 6379)), True)
    maker = Maker(url, name="test", connect_timeout_seconds=1)
    assert isinstance(maker.make(("c", 3)), TlsConnection)
    assert (maker.make(("c", 3)).host, maker.make_probe(("d", 4)).port) == ("c", 4)  # type: ignore[attr-defined]


def test_a_socket_of_this_machine() -> None:
    url = parse_redis_url("unix://me@/run/redis.sock?db=1")
    connection = Maker(url, name="test", connect_timeout_seconds=1).make()
    assert isinstance(connection, LocalConnection)
    assert (connection.path, connection.db, connection.username) == ("/run/redis.sock", 1, "me")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://:hunter2@here", "must begin with redis://"),
        ("redis+other://:hunter2@here", "must begin with redis://"),
        ("redis://:hunter2@", "host:port"),
        ("redis://:hunter2@here:port", "host:port"),
        ("redis://:hunter2@here:0", "host:port"),
        ("redis://:hunter2@here:99999", "host:port"),
        ("redis://:hunter2@here/there", "a number as its database"),
        ("redis://:hunter2@here?db=hunter2", "an option"),
        ("redis://:hunter2@here,there", "several hosts"),
        ("redis+cluster://:hunter2@here,,there", "host:port"),
        ("redis+cluster://:hunter2@here/1", "only one"),
        ("redis+sentinel://:hunter2@here", "<service>"),
        ("redis+sentinel://:hunter2@here/main/hunter2", "a number as its database"),
    ],
)
def test_what_cannot_be_meant_is_said_without_it(text: str, says: str) -> None:
    with pytest.raises(BadRedisUrl) as bad:
        parse_redis_url(text)
    assert says in str(bad.value)
    assert "hunter2" not in str(bad.value)


@pytest.mark.parametrize(
    "key", ["", "a", "live:{ride:1}", "{}x", "{a", "a}b{c}d", "rooms:in:/,ü{}", "{{x}}", "x" * 300]
)
def test_slots_are_those_of_redis(key: str) -> None:
    assert slot_of(key) == slot_of(key.encode()) == key_slot(key.encode())


def test_the_key_of_a_command_is_found() -> None:
    keys = {
        ("GET", "k"): "k",
        (b"evalsha", "sha", 2, "k", "other", "argument"): "k",
        ("EVAL", "text", 0): None,
        ("XREAD", "COUNT", 1, "BLOCK", 5, "STREAMS", "k", "0-0"): "k",
        ("XREADGROUP", "GROUP", "streams of", "me", b"STREAMS", b"k", ">"): b"k",
        ("XGROUP", "CREATE", "k", "g", "0"): "k",
        ("TIME",): None,
        ("WAIT", 1, 100): None,
        ("SPUBLISH", "k", b"message"): "k",
    }
    assert {command: key_of(command) for command in keys} == keys


def test_a_command_without_a_key_goes_with_the_one_before_it() -> None:
    batch = [("TIME",), ("SET", "a", 1), ("WAIT", 1, 5), ("PING",), ("SET", "b", 1)]
    units = list(units_of(batch))
    assert [(unit.first, unit.slot, unit.commands) for unit in units] == [
        (0, 0, batch[:1]),
        (1, slot_of("a"), batch[1:4]),
        (4, slot_of("b"), batch[4:]),
    ]
