"""Production starts with secrets of its own or not at all; what is said about a fault never holds a value."""

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from server.__main__ import main
from server.settings import MissingSecret, Settings, WrongSettings, load, read, unknown_variables

GOOD = "a secret of this test, which is long enough"
PRODUCTION = {
    "THROTTLECOVE_MODE": "production",
    "THROTTLECOVE_TOKEN_KEYS": json.dumps({"now": GOOD}),
    "THROTTLECOVE_TOKEN_ACTIVE_KEY": "now",
    "THROTTLECOVE_SEAL_KEYS": json.dumps({"now": GOOD}),
    "THROTTLECOVE_SEAL_ACTIVE_KEY": "now",
    "THROTTLECOVE_ZONE_SECRET": GOOD,
}
SECRETS = [name for name in PRODUCTION if name.endswith(("_KEYS", "_SECRET"))]


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which production would start."""
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_with_all_its_secrets_production_starts(production: pytest.MonkeyPatch) -> None:
    assert load().production


@pytest.mark.parametrize("variable", SECRETS)
def test_without_one_of_them_it_does_not(production: pytest.MonkeyPatch, variable: str) -> None:
    production.delenv(variable)
    if variable.endswith("_KEYS"):
        production.delenv(variable.replace("_KEYS", "_ACTIVE_KEY"))
    with pytest.raises(MissingSecret, match=variable):
        Settings().require_secrets()


def test_the_admin_ui_needs_a_password_where_riders_are_real(production: pytest.MonkeyPatch) -> None:
    production.setenv("THROTTLECOVE_ADMIN_UI", "true")
    for password in ("", "too short"):
        production.setenv("THROTTLECOVE_ADMIN_PASSWORD", password)
        with pytest.raises(MissingSecret, match="THROTTLECOVE_ADMIN_PASSWORD"):
            Settings().require_secrets()
    production.setenv("THROTTLECOVE_ADMIN_PASSWORD", "16 letters and more")
    settings = load()
    assert settings.admin_ui
    assert "letters" not in str(settings.shown())


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("secret", ["", " " * 40, "hunter2 hunter2 hunter2"])
def test_an_empty_or_short_one_is_none(production: pytest.MonkeyPatch, variable: str, secret: str) -> None:
    production.setenv(variable, json.dumps({"now": secret}) if variable.endswith("_KEYS") else secret)
    with pytest.raises(WrongSettings, match=variable):
        read()


def test_the_command_ends_with_a_sentence_and_without_a_value() -> None:
    environment = {**os.environ, **PRODUCTION, "THROTTLECOVE_ZONE_SECRET": "hunter2"}
    command = [sys.executable, "-m", "server", "run"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("set THROTTLECOVE_ZONE_SECRET to at least 32 characters")
    assert len(ended.stderr.splitlines()) == 1
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("THROTTLECOVE_TOKEN_KEYS", '{"now": "hunter2"', ": must be JSON"),
        ("THROTTLECOVE_TOKEN_KEYS", '{"then": "hunter2"}', " has no key of the name in THROTTLECOVE_TOKEN_ACTIVE_KEY"),
        ("THROTTLECOVE_TICK_MILLISECONDS", "hunter2", ": Input should be a valid integer"),
        ("THROTTLECOVE_MODE", "hunter2", ": Input should be 'development' or 'production'"),
        ("THROTTLECOVE_MAP_HOSTS", "/hunter2", " takes origins like https://tiles.example.org"),
        ("THROTTLECOVE_EVENT_BYTES", "2000000", " is at most THROTTLECOVE_FRAME_BYTES"),
        ("DATABASE_URL", "hunter2", ": must be an address that begins with postgresql://"),
        (
            "DATABASE_URL",
            "postgresql://me:hunter2@here:port/name",
            ": must be an address that begins with postgresql://",
        ),
        ("REDIS_URL", "http://:hunter2@here", ": must begin with redis://, redis+sentinel://, redis+cluster://"),
        ("REDIS_URL", "redis://:hunter2@here,there", ": has several hosts"),
        ("REDIS_URL", "redis+cluster://:hunter2@here:1,there:2/3", ": names a database, of which a cluster has"),
        ("REDIS_URL", "redis+sentinel://:hunter2@here,there", ": must name what the sentinels watch"),
        ("REDIS_URL", "rediss://here?ssl_ca_certs=/hunter2", ": names a file with ssl_ca_certs that cannot be read"),
        ("REDIS_URL", "rediss://here?hunter2=1", ": has an option behind its ? that is none"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_and_not_shown(
    production: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    production.setenv(variable, value)
    with pytest.raises(WrongSettings) as wrong:
        read()
    assert f"{variable}{says}" in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize("command", ["run", "worker", "migrate", "demo", "settings"])
def test_every_command_ends_at_once_and_says_which_setting_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("REDIS_URL", "http://foo")
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith("REDIS_URL: must begin with redis://, redis+sentinel://, redis+cluster://")
    assert len(said.err.splitlines()) == 1
    assert not said.out


def migrated(url: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "-m", "server", "migrate"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_database_that_is_not_there_is_said_in_a_sentence() -> None:
    ended = migrated("postgresql://me:hunter2@127.0.0.1:1/name")
    assert ended.returncode == 2
    assert ended.stderr == "DATABASE_URL: no connection to this database (ConnectionRefusedError)\n"


def test_a_database_that_lets_nobody_in_is_said_in_a_sentence(database_url: str) -> None:
    address = urlsplit(database_url)
    for change in ({"netloc": address.netloc.replace(":", ":not", 1)}, {"path": "/nowhere"}):
        ended = migrated(address._replace(**change).geturl())
        assert ended.returncode == 2
        assert ended.stderr.startswith("DATABASE_URL: no connection to this database (Invalid")
        assert len(ended.stderr.splitlines()) == 1


def test_a_name_that_is_no_setting_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROTTLECOVE_DATA", "for tests")
    assert unknown_variables() == []
    monkeypatch.setenv("THROTTLECOVE_TICK_MILISECONDS", "100")
    assert unknown_variables() == [
        "THROTTLECOVE_TICK_MILISECONDS is no setting and has no effect; did you mean THROTTLECOVE_TICK_MILLISECONDS?"
    ]


@pytest.mark.parametrize("variable", ["THROTTLECOVE_PASSWORD_MEMORY_KIB", "THROTTLECOVE_PASSWORD_PASSES"])
def test_passwords_that_cost_nothing_are_for_tests(production: pytest.MonkeyPatch, variable: str) -> None:
    production.setenv(variable, "8" if variable.endswith("KIB") else "1")
    with pytest.raises(MissingSecret, match=variable):
        Settings().require_secrets()


@pytest.mark.parametrize(
    ("variable", "url", "shown"),
    [
        ("DATABASE_URL", "postgresql://me:hunter2@db:5433/rides", "postgresql://**********@db:5433/rides"),
        ("DATABASE_URL", "postgresql://me:hunter2@a@db/rides", "postgresql://**********@db/rides"),
        ("DATABASE_URL", "postgresql://me:1/hunter2?@db/rides", "postgresql://**********@db/rides"),
        ("DATABASE_URL", "postgresql://db/rides?password=hunter2", "postgresql://db/rides?**********"),
        ("REDIS_URL", "rediss://:hunter2@cache:6380/2", "rediss://**********@cache:6380/2"),
        ("REDIS_URL", "redis://cache:6380/2", "redis://cache:6380/2"),
    ],
)
def test_where_the_stores_are_is_shown_and_who_signs_in_is_not(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, shown: str
) -> None:
    monkeypatch.setenv(variable, url)
    settings = Settings()
    assert settings.shown()[variable.lower()] == settings.changed()[variable.lower()] == shown
    assert "hunter2" not in json.dumps(settings.shown())
