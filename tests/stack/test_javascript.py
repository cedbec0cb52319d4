"""The Node that end-to-end tests drive is there, is new enough, and finds the official client."""

import subprocess

from tests.support import javascript


def test_node_finds_the_official_client() -> None:
    script = 'import { io } from "socket.io-client"; console.log(typeof io, process.versions.node.split(".")[0] >= 20)'
    answer = subprocess.run(
        [javascript.node(), "--input-type=module", "--eval", script],
        cwd=javascript.DIRECTORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert answer.stdout.split() == ["function", "true"], answer.stderr
