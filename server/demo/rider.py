"""The demo rider: an account whose login is printed, with a few past rides, so that a new user has something to see."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from server.demo.parts import DemoFailed

DEMO_USER = "demo"
DEMO_PASSWORD = "ride-with-friends-2026"


def create_demo_rider(url: str) -> None:
    """Make the account, unless it is there. Raises DemoFailed."""
    account = {"username": DEMO_USER, "email": "demo@example.org", "password": DEMO_PASSWORD}
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{url}/v1/auth/register",
        data=json.dumps(account).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - our own address
    except urllib.error.HTTPError as answer:
        if answer.code != 409:
            raise DemoFailed(f"the demo rider could not be made: the server answered {answer.code}") from answer
    except OSError as fault:
        raise DemoFailed(f"the demo rider could not be made: {fault}") from fault


def give_past_rides(url: str, environment: Mapping[str, str], log: Path) -> bool:
    """Something for the list of rides; False when that failed and the log says why."""
    command = ["loadtests.past_rides", "--url", url, "--identifier", DEMO_USER, "--password", DEMO_PASSWORD]
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)  # as all logs
    with log.open("wb") as said:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", *command], env=dict(environment), stdout=said, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode == 0
