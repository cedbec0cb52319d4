"""Node and the pinned packages of its server (`node/package-lock.json`), installed once below `.data`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from loadtests.bench.wire.workspace import BUILT, Missing, first_line

_SOURCES = Path(__file__).parent / "node"
_CHOSEN_BY_SETUP = BUILT.parent / "tools" / "node"
_ADVICE = "run `make setup`, or install Node 20 or newer with npm from https://nodejs.org"


def node_command() -> list[str]:
    """The server's command, up to its own arguments. Raises Missing."""
    directory = BUILT / "node"
    stamp, lock = directory / "installed", (_SOURCES / "package-lock.json").read_bytes()
    if not stamp.exists() or stamp.read_bytes() != lock:
        _install(directory)
        stamp.write_bytes(lock)
    # Node looks for packages beside the script, and the checkout stays free of them.
    shutil.copy(_SOURCES / "server.js", directory)
    return [_node(), "--expose-gc", str(directory / "server.js")]


def versions() -> dict[str, str]:
    """Node's version, and those of the packages that its server asks for."""
    pinned: dict[str, str] = json.loads((_SOURCES / "package.json").read_text())["dependencies"]
    return {"node": first_line([_node(), "--version"]), **pinned}


def _install(directory: Path) -> None:
    print("installing Node's socket.io (npm ci)", file=sys.stderr)
    directory.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_SOURCES / name, directory)
    command = [*_npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=directory, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"npm ci failed in {directory}:\n{done.stderr.strip()[-2000:]}")


def _node() -> str:
    """The one that set-up has chosen, because a distribution's may be too old; else the machine's."""
    found = str(_CHOSEN_BY_SETUP) if _CHOSEN_BY_SETUP.exists() else shutil.which("node")
    if found is None:
        raise Missing(f"Node is missing; {_ADVICE}")
    return found


def _npm() -> list[str]:
    """npm that belongs to this Node, where it is set-up's own; else the machine's."""
    node = Path(_node()).resolve()
    script = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if script.exists():
        return [str(node), str(script)]
    found = shutil.which("npm")
    if found is None:
        raise Missing(f"npm is missing; {_ADVICE}")
    return [found]
