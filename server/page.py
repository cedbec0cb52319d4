"""The live map page, as its build left it: `/`, `/config.json`, `/assets/*` and the API reference at `/docs`.

Promises that nothing outside the built directory is ever sent, that browsers run only scripts of this origin, and that
every other path is answered by the application behind it (whose 404s are problems). Where nothing was built, `/` says
which command builds it; the rest of the node works without.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from server.settings import Settings
from server.version import VERSION

_CLONE = Path(__file__).resolve().parents[1]
_NOT_BUILT = (
    "The page is not built. `make page` builds it (and fetches Node where it is missing or too old); then reload.\n"
    "REST, Socket.IO, /health and /openapi.json work without it.\n"
)
_INDEXES = {"/": "index.html", "/docs": "docs/index.html", "/docs/": "docs/index.html"}
_FOLDERS = ("/assets/", "/docs/")
_FOR_EVER = "public, max-age=31536000, immutable"  # the build puts a hash of the content into these names
_ASK_FIRST = "no-cache"

# Not the machine's own table (mimetypes reads /etc/mime.types): a script with a wrong type is not run.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class Page:
    """The ASGI application in front of `otherwise`; answers GET and HEAD of its own paths, and nothing else."""

    def __init__(self, settings: Settings, otherwise: ASGIApp) -> None:
        self._otherwise = otherwise
        # An absolute setting stays what it is; a relative one counts from where the server's source lies.
        self._files = StaticFiles(directory=_CLONE / settings.web_directory, check_dir=False)
        self._config = _config(settings)
        self._headers = _headers(settings.map_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = None
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and _is_ours(scope["path"]):
            response = await self._answer(scope["path"], Headers(scope=scope))
        await (response or self._otherwise)(scope, receive, send)

    async def _answer(self, path: str, asked: Headers) -> Response | None:
        """The response for one of our paths; None when there is nothing there."""
        if path == "/config.json":
            return JSONResponse(self._config, headers={**self._headers, "Cache-Control": "no-store"})
        name = _INDEXES.get(path, path[1:])
        found = await asyncio.to_thread(self._file, name, "gzip" in asked.get("accept-encoding", ""), asked)
        if found is None and path in _INDEXES:
            return PlainTextResponse(_NOT_BUILT, 503, {**self._headers, "Cache-Control": "no-store"})
        return found

    def _file(self, name: str, gzip: bool, asked: Headers) -> Response | None:
        """A file of the build, or its compressed neighbour for clients that take it."""
        kind = _TYPES.get(Path(name).suffix)
        if kind is None:
            return None
        headers = {**self._headers, "Cache-Control": _FOR_EVER if name.startswith("assets/") else _ASK_FIRST}
        headers["Vary"] = "Accept-Encoding"
        packed = self._look_up(f"{name}.gz", headers | {"Content-Encoding": "gzip"}, kind) if gzip else None
        found = packed or self._look_up(name, headers, kind)
        if found is not None and self._files.is_not_modified(found.headers, asked):
            return NotModifiedResponse(found.headers)
        return found

    def _look_up(self, name: str, headers: dict[str, str], kind: str) -> FileResponse | None:
        try:
            path, status = self._files.lookup_path(name)
        except (ValueError, OSError):  # a null byte, a name that is too long, a place that may not be read
            return None
        if status is None or not Path(path).is_file():
            return None
        return FileResponse(path, headers=headers, media_type=kind, stat_result=status)


def _is_ours(path: str) -> bool:
    """Whether a path can be the page's: a file at the top (REST has hardly any there), or in a folder of the build."""
    return path.count("/") == 1 or path.startswith(_FOLDERS)


def _config(settings: Settings) -> dict[str, object]:
    """What the page asks of its server before it starts: no secrets, except a demonstration's own login."""
    login = settings.demo_login if not settings.production else None
    return {
        "version": VERSION,
        "map_style_url": settings.map_style_url or None,
        "tile_url": settings.tile_url or None,
        "tile_attribution": settings.tile_attribution or None,
        "demo_login": None
        if login is None
        else {"identifier": login.identifier, "password": login.password.get_secret_value()},
    }


def _headers(map_origins: Iterable[str]) -> dict[str, str]:
    """The headers of every answer. A socket to this origin is within 'self'; MapLibre's worker starts from a blob."""
    maps = "".join(f" {origin}" for origin in map_origins)
    policy = (
        "default-src 'self'",
        "script-src 'self'",
        "worker-src 'self' blob:",
        "style-src 'self'",
        f"img-src 'self' data: blob:{maps}",
        f"connect-src 'self'{maps}",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": "geolocation=(self), camera=(), microphone=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
