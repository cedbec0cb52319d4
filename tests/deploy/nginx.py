"""The shipped nginx configuration, run as it is: only the addresses and the place of its files are the test's."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.stack.ports import HOST, free_port
from server.stack.processes import wait_until

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx" / "nginx.conf"
_STARTED_WITHIN_SECONDS = 30.0
_STOPPED_WITHIN_SECONDS = 30.0


def placed(directory: Path, port: int, nodes: dict[str, int]) -> str:
    """The shipped text with the test's own port, addresses of nodes, and directory for its files."""
    text = SHIPPED.read_text("utf-8")
    replacements = {"listen 8080;": f"listen 127.0.0.1:{port};", "/tmp/nginx": f"{directory}/nginx"}
    replacements |= {f"server {name}:8000": f"server 127.0.0.1:{node}" for name, node in nodes.items()}
    for shipped, own in replacements.items():
        assert shipped in text, shipped
        text = text.replace(shipped, own)
    return re.sub(r"/dev/std(?:err|out)", f"{directory}/nginx.log", text)


@contextmanager
def nginx(directory: Path, nodes: dict[str, int]) -> Iterator[str]:
    """Its address, while it runs in front of these nodes (name to port)."""
    port = free_port()
    configuration = directory / "nginx.conf"
    configuration.write_text(placed(directory, port, nodes))
    # Debian keeps servers out of the path of users who are not root.
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-p", str(directory), "-c", str(configuration), "-e", str(directory / "nginx.log")]
    subprocess.run([*command, "-t", "-q"], check=True)
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        assert wait_until(lambda: listens(port), timeout_seconds=_STARTED_WITHIN_SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(_STOPPED_WITHIN_SECONDS)


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((HOST, port)) == 0
