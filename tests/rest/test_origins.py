"""Browser pages of other origins: what they may send, what they may read, and which of them."""

import httpx
from prometheus_client import CollectorRegistry

from rest.app import create_rest
from tests.rest.conftest import Rest

PAGE = {"Origin": "https://app.example.org"}
OTHER = {"Origin": "https://other.example.org"}


def preflight(method: str) -> dict[str, str]:
    return {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}


async def test_any_page_may_ask_with_a_token_and_read_what_it_needs(rest: Rest) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        asked = await rest.client.options("/v1/zones", headers=PAGE | preflight(method))
        assert asked.status_code == 200
        assert method in asked.headers["access-control-allow-methods"]
        assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    refused = await rest.client.get("/v1/tracks", headers=PAGE)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in refused.headers
    readable = {name.strip() for name in refused.headers["access-control-expose-headers"].split(",")}
    assert readable >= {"Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "Content-Disposition", "ETag"}


async def test_only_pages_of_the_allowed_origins_may_when_these_are_named(rest: Rest) -> None:
    app = create_rest(rest.app.state.services, CollectorRegistry(), allowed_origins=[PAGE["Origin"]])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        ours = await client.get("/v1/tracks", headers=PAGE)
        assert ours.headers["access-control-allow-origin"] == PAGE["Origin"]
        assert ours.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in (await client.get("/v1/tracks", headers=OTHER)).headers
        assert (await client.options("/v1/tracks", headers=OTHER | preflight("GET"))).status_code == 400
