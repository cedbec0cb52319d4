"""Production starts with secrets of its own or not at all; what is said about a fault never holds a value."""

import json
import os
import subprocess
import sys

import pytest

from server.settings import MissingSecret, Settings, load

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


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("secret", ["", " " * 40, "hunter2 hunter2 hunter2"])
def test_an_empty_or_short_one_is_none(production: pytest.MonkeyPatch, variable: str, secret: str) -> None:
    production.setenv(variable, json.dumps({"now": secret}) if variable.endswith("_KEYS") else secret)
    with pytest.raises(SystemExit, match=variable):
        load()


def test_the_command_ends_with_a_sentence_and_without_a_value() -> None:
    environment = {**os.environ, **PRODUCTION, "THROTTLECOVE_ZONE_SECRET": "hunter2"}
    command = [sys.executable, "-m", "server", "run"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("set THROTTLECOVE_ZONE_SECRET to at least 32 characters")
    assert len(ended.stderr.splitlines()) == 1
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("THROTTLECOVE_TOKEN_KEYS", '{"now": "hunter2"', "token_keys"),
        ("THROTTLECOVE_TOKEN_KEYS", '{"then": "hunter2"}', "token_keys has no key named 'now'"),
        (
            "THROTTLECOVE_TICK_MILLISECONDS",
            "hunter2",
            "THROTTLECOVE_TICK_MILLISECONDS: Input should be a valid integer",
        ),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_and_not_shown(
    production: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    production.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        load()
    assert says in str(ended.value)
    assert "hunter2" not in str(ended.value)
