"""The client in docs/socket-io.md does what the page says, against a real node."""

import re
from pathlib import Path

from tests.docs.test_readme import JAVASCRIPT, ROOT, output_of
from tests.e2e.phones import register
from tests.e2e.processes import Site
from tests.support.javascript import node as node_program


async def said_by_the_client(*arguments: str, fails: bool = False) -> str:
    (code,) = re.findall(r"```javascript\n(.*?)```", (ROOT / "docs" / "socket-io.md").read_text("utf-8"), re.DOTALL)
    script: Path = JAVASCRIPT / "node_modules" / ".socket-io-client.mjs"
    script.write_text(code, "utf-8")
    return await output_of(node_program(), str(script), *arguments, cwd=JAVASCRIPT, fails=fails)


async def test_the_client_speaks_msgpack_and_watches_or_says_why_it_is_refused(one_site: Site) -> None:
    node = await one_site.node()
    account = await register(node.url)
    said = await said_by_the_client(node.url, account.access_token, account.device_id)
    assert f"signed in as rider {account.rider}" in said
    assert "watching" in said
    refused = await said_by_the_client(node.url, account.access_token, "another device", fails=True)
    assert refused.startswith("refused")
    assert "device_id" in refused
