"""What TLS to Redis needs is read once for all connections, again when it was renewed, and refused with its name."""

import ssl
from pathlib import Path

import pytest
import structlog

from domain.kit.redis_connections import Maker, check_redis_url
from domain.kit.redis_tls import TlsContext
from domain.kit.redis_urls import BadRedisUrl, parse_redis_url
from domain.kit.transports import TlsConnection
from tests.support.certificates import Authority


def context_of(url: str) -> TlsContext:
    connection = Maker(parse_redis_url(url), name="test", connect_timeout_seconds=1).make()
    assert isinstance(connection, TlsConnection)
    return connection.tls


def authorities_of(context: ssl.SSLContext) -> list[str]:
    return [dict(part for (part,) in each["subject"])["commonName"] for each in context.get_ca_certs()]


def test_who_names_an_authority_trusts_no_other(tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours").certificate
    context = context_of(f"rediss://cache?ssl_ca_certs={ours}").get()
    assert authorities_of(context) == ["authority of ours"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    system = context_of("rediss://cache").get()
    assert (system.verify_mode, system.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_connections_share_a_context_and_sentinels_have_their_own(tmp_path: Path) -> None:
    one, other = (Authority(tmp_path / name).certificate for name in ("one", "other"))
    url = f"rediss+sentinel://a,b/main?ssl_ca_certs={one}&sentinel_ssl_ca_certs={other}"
    maker = Maker(parse_redis_url(url), name="test", connect_timeout_seconds=1)
    first, second, probe, another = maker.make(), maker.make(), maker.make_probe(("a", 1)), maker.make_probe(("b", 2))
    contexts = [each.tls.get() for each in (first, second, probe, another) if isinstance(each, TlsConnection)]
    assert contexts[0] is contexts[1]
    assert contexts[2] is contexts[3]
    assert [authorities_of(each) for each in contexts[1:3]] == [["authority of one"], ["authority of other"]]


def test_renewed_files_are_read_and_spoilt_ones_are_not_used(tmp_path: Path) -> None:
    one, other = (Authority(tmp_path / name).certificate.read_bytes() for name in ("one", "other"))
    file = tmp_path / "authority.pem"
    file.write_bytes(one)
    context = context_of(f"rediss://cache?ssl_ca_certs={file}")
    first = context.get()
    assert context.get() is first
    with structlog.testing.capture_logs() as entries:
        file.write_bytes(other[:100])
        assert context.get() is first
        file.unlink()
        assert context.get() is context.get() is first
    assert [entry["event"] for entry in entries] == ["redis_certificates_unusable"] * 2
    file.write_bytes(other)
    assert authorities_of(context.get()) == ["authority of other"]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("client")
    _, of_another = authority.sign("another")
    check_redis_url(
        f"rediss+cluster://cache?ssl_ca_certs={authority.certificate}&ssl_certfile={certificate}&ssl_keyfile={key}"
    )
    for options, says in {
        f"ssl_ca_certs={tmp_path}/none": "a file with ssl_ca_certs that cannot be read (No such file or directory)",
        f"ssl_ca_certs={key}": "cannot be used",
        f"ssl_certfile={certificate}&ssl_keyfile={of_another}": "cannot be used (KEY_VALUES_MISMATCH)",
        f"ssl_certfile={certificate}": "cannot be used",
        "ssl_ciphers=none": "cannot be used",
        "ssl_cert_reqs=perhaps": "an option",
        "ssl_ca_cert=typo": "an option",
    }.items():
        with pytest.raises(BadRedisUrl) as bad:
            check_redis_url(f"rediss://cache?{options}")
        assert says in str(bad.value)
    with pytest.raises(BadRedisUrl, match="an option"):
        check_redis_url(f"redis://without-tls?ssl_ca_certs={authority.certificate}")
