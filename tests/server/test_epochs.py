"""`python -m server epochs`: shows the epoch, renews it, and says in a sentence when there is no database."""

import os
import subprocess
import sys


def epochs(database_url: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", "epochs", *options]
    environment = {**os.environ, "DATABASE_URL": database_url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_epochs_are_shown_and_renewed_or_it_says_why_not(database_url: str) -> None:
    said = [epochs(database_url, *options).stdout.strip() for options in ((), ("--renew",), ())]

    before, renewed, after = (line.split()[-1] for line in said)
    assert before != renewed == after
    assert said[1].startswith("0 streams, and those to come,")
    refused = epochs("postgresql://nobody@127.0.0.1:1/none")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("DATABASE_URL: ")
