"""`python -m server stack`, run as a program."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis


def stack_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", "stack", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.timeout(240)
def test_start_status_and_stop(home: Path) -> None:
    started = stack_command("start", "--dir", str(home), "--json")
    assert started.returncode == 0, started.stderr
    address = json.loads(started.stdout)
    assert set(address) == {"database_url", "redis_url", "postgres_pid", "redis_pid"}
    assert "making a cluster" in started.stderr
    with redis.Redis.from_url(address["redis_url"]) as client:
        assert client.ping()

    status = stack_command("status", "--dir", str(home), "--json")
    assert status.returncode == 0
    assert {name: server["healthy"] for name, server in json.loads(status.stdout).items()} == {
        "redis": True,
        "postgresql": True,
    }

    assert stack_command("stop", "--dir", str(home)).returncode == 0
    assert not psutil.pid_exists(address["redis_pid"]) or psutil.Process(address["redis_pid"]).status() == "zombie"
    down = stack_command("status", "--dir", str(home))
    assert down.returncode == 1
    assert down.stdout == "Redis: not running\nPostgreSQL: not running\n"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = stack_command("start", "--dir", str(tmp_path / "file" / "data"))
    assert refused.returncode == 1
    assert str(tmp_path / "file" / "data") in refused.stderr
    assert "--dir" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_no_command_explains_itself() -> None:
    answer = subprocess.run([sys.executable, "-m", "server"], capture_output=True, text=True, check=False, timeout=50)
    assert answer.returncode == 2
    assert "usage: python -m server" in answer.stderr
