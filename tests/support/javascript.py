"""Node and the official Socket.IO client, which `make setup` puts in place for the end-to-end tests."""

import shutil
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_CHOSEN_BY_SETUP = _ROOT / ".data" / "tools" / "node"
DIRECTORY = _ROOT / "tests" / "e2e" / "js"


def node() -> str:
    """The Node to run (20 or newer). Fails the test, naming the command, where set-up has not been done."""
    if not (DIRECTORY / "node_modules" / "socket.io-client").is_dir():
        raise AssertionError(f"the JavaScript client is not installed in {DIRECTORY}; run `make setup`")
    found = _CHOSEN_BY_SETUP if _CHOSEN_BY_SETUP.exists() else shutil.which("node")
    if found is None:
        raise AssertionError("Node is not installed; run `make setup`")
    return str(found)
