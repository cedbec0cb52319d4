"""The page as browsers get it: types, caching, compression, headers, and what is left to the application behind it."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from starlette.responses import PlainTextResponse

from server.page import Page
from server.settings import Settings

BEHIND = PlainTextResponse("the application behind", status_code=404)
SCRIPT = "console.log('a page that is worth compressing')\n" * 50


@pytest.fixture
def built(tmp_path: Path) -> Path:
    dist = tmp_path / "dist"
    files = {
        "index.html": "<!doctype html>the map",
        "favicon.svg": "<svg/>",
        "assets/index-4711.js": SCRIPT,
        "assets/worker-4711.mjs": SCRIPT,
        "docs/index.html": "<!doctype html>the reference",
        "docs/initializer.js": "ui()",
        ".hidden/secret.json": "{}",
    }
    for name, text in files.items():
        (dist / name).parent.mkdir(parents=True, exist_ok=True)
        (dist / name).write_text(text)
    (dist / "assets/index-4711.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (tmp_path / "outside.json").write_text("not yours")
    (dist / "assets/link.json").symlink_to(tmp_path / "outside.json")
    return dist


def asking(directory: Path, **settings: Any) -> httpx.AsyncClient:
    page = Page(Settings(web_directory=str(directory), **settings), BEHIND)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://test")
    client.headers["accept-encoding"] = "identity"
    return client


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("/", "text/html; charset=utf-8", "the map"),
        ("/docs", "text/html; charset=utf-8", "the reference"),
        ("/docs/", "text/html; charset=utf-8", "the reference"),
        ("/docs/initializer.js", "text/javascript; charset=utf-8", "ui()"),
        ("/favicon.svg", "image/svg+xml", "<svg/>"),
        ("/assets/worker-4711.mjs", "text/javascript; charset=utf-8", "worth compressing"),
    ],
)
async def test_a_built_file_has_its_type(built: Path, path: str, kind: str, text: str) -> None:
    async with asking(built) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert text in answer.text


async def test_hashed_files_are_kept_for_ever_and_the_index_is_asked_for_again(built: Path) -> None:
    async with asking(built) as client:
        asset, index = await client.get("/assets/index-4711.js"), await client.get("/")
        again = await client.get("/", headers={"if-none-match": index.headers["etag"]})
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert index.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


async def test_a_compressed_neighbour_goes_to_those_who_take_it(built: Path) -> None:
    async with asking(built) as client:
        packed = await client.get("/assets/index-4711.js", headers={"accept-encoding": "br, gzip"})
        plain = await client.get("/assets/index-4711.js")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(SCRIPT) / 4
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text == SCRIPT
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert {packed.headers["vary"], plain.headers["vary"]} == {"Accept-Encoding"}
    assert packed.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize("path", ["/", "/config.json", "/assets/index-4711.js"])
async def test_head_says_what_get_would(built: Path, path: str) -> None:
    async with asking(built) as client:
        head, get = await client.head(path), await client.get(path)
    assert head.content == b""
    assert head.status_code == 200
    assert head.headers == get.headers


@pytest.mark.parametrize(
    "path",
    [
        "/nothing.html",
        "/assets/nothing.js",
        "/assets/",
        "/assets/%2e%2e/%2e%2e/outside.json",
        "/assets/..%2f..%2foutside.json",
        "/docs//etc/passwd",
        "/assets/link.json",
        "/assets/index-4711.js.gz",
        "/.hidden/secret.json",
        "/assets/a%00.js",
        "/assets/" + "a" * 5000 + ".js",
        "/openapi.json",
        "/v1/tracks",
    ],
)
async def test_everything_else_is_for_the_application_behind(built: Path, path: str) -> None:
    async with asking(built) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.text) == (404, "the application behind")


async def test_other_methods_are_for_the_application_behind(built: Path) -> None:
    async with asking(built) as client:
        assert (await client.post("/")).text == "the application behind"


async def test_scripts_come_from_here_alone_and_maps_from_where_settings_say(built: Path) -> None:
    maps = {
        "map_style_url": "https://styles.example.org/dark.json",
        "tile_url": "https://tiles.example.org:8443/{z}/{x}/{y}.png",
        "map_hosts": "https://glyphs.example.org, https://tiles.example.org:8443",
    }
    async with asking(built, **maps) as client:
        answers = [await client.get(path) for path in ("/", "/config.json", "/docs", "/assets/index-4711.js")]
    for answer in answers:
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        hosts = "https://styles.example.org https://tiles.example.org:8443 https://glyphs.example.org"
        assert policy["script-src"] == "'self'"
        assert policy["connect-src"] == f"'self' {hosts}"
        assert policy["img-src"] == f"'self' data: blob: {hosts}"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "geolocation=(self)" in answer.headers["permissions-policy"]


@pytest.mark.parametrize(
    "setting",
    [
        {"tile_url": "https://{s}.example.org/{z}/{x}/{y}.png"},
        {"tile_url": "https://tiles.example.org; script-src *"},
        {"map_style_url": "javascript:alert(1)"},
        {"map_style_url": "//styles.example.org/a.json"},
        {"map_hosts": "https://tiles.example.org/path"},
        {"map_hosts": "tiles.example.org"},
    ],
)
def test_an_address_that_is_none_stops_the_start(setting: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=next(iter(setting)).upper()):
        Settings(**setting)  # type: ignore[arg-type]


async def test_the_page_is_told_its_map_and_the_demo_login_but_not_in_production(built: Path) -> None:
    login = {"identifier": "demo", "password": "ride-with-friends"}
    more: dict[str, Any] = {"tile_url": "/tiles/{z}/{x}/{y}.png", "tile_attribution": "© us", "demo_login": login}
    async with asking(built, **more) as client:
        config = (await client.get("/config.json")).json()
    async with asking(built, **more, mode="production") as client:
        serious = (await client.get("/config.json")).json()
    assert config.pop("version")
    assert config == {
        "map_style_url": None,
        "tile_url": "/tiles/{z}/{x}/{y}.png",
        "tile_attribution": "© us",
        "demo_login": login,
    }
    assert serious["demo_login"] is None


def test_the_demo_password_is_masked_where_settings_are_shown() -> None:
    login = {"identifier": "demo", "password": "ride-with-friends"}
    assert "ride-with-friends" not in json.dumps(Settings(demo_login=login).changed())  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_that_was_not_built_says_how_to_build_it(tmp_path: Path, path: str) -> None:
    async with asking(tmp_path / "nowhere") as client:
        answer = await client.get(path)
        config = await client.get("/config.json")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/plain")
    assert "make page" in answer.text
    assert config.status_code == 200
