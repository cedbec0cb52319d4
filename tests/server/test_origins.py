"""The origins of the settings hold for REST of a whole node, as they do for its sockets."""

from tests.server.conftest import Up


async def test_a_page_of_another_origin_reaches_rest_through_the_node(up: Up) -> None:
    asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "PATCH"}
    answer = await up.client.options("/v1/users/profile", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
