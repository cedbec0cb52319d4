"""`python -m loadtests.past_rides`: give a rider a few rides of the last days, so that a fresh server has some to show.

They come in as a rider's own files do, as GPX over REST. A rider who has rides already gets none.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx

from loadtests.replay.sources.roads import Area, Rider
from loadtests.replay.sources.tracks import Point

_AREA = Area(46.53, 10.45, 15_000)
_RIDES = ((1, 45), (3, 80), (8, 30))
"""How many days ago, and for how many minutes."""
_DAY_SECONDS = 24 * 3600
_TIMEOUT_SECONDS = 60.0
_DEVICE = "past-rides"


def main() -> int:
    """The exit status: 1 when the server refused, with its reason."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.past_rides", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server (default: %(default)s)")
    parser.add_argument("--identifier", required=True, help="username or email of the rider")
    parser.add_argument("--password", required=True)
    options = parser.parse_args()
    with httpx.Client(base_url=options.url, timeout=_TIMEOUT_SECONDS) as client:
        try:
            print(f"{give_rides(client, options.identifier, options.password)} rides imported")
        except httpx.HTTPStatusError as refusal:
            print(f"{refusal.request.url.path}: {refusal.response.text}", file=sys.stderr)
            return 1
        except httpx.TransportError as fault:
            print(f"{options.url} does not answer: {fault}", file=sys.stderr)
            return 1
    return 0


def give_rides(client: httpx.Client, identifier: str, password: str) -> int:
    """How many rides were imported. Raises httpx.HTTPError."""
    login = {"identifier": identifier, "password": password, "device_id": _DEVICE}
    token = client.post("/v1/auth/login", json=login).raise_for_status().json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    if client.get("/v1/tracks", params={"limit": 1}).raise_for_status().json()["items"]:
        return 0
    for number, (days_ago, minutes) in enumerate(_RIDES):
        began_ms = round((time.time() - days_ago * _DAY_SECONDS) * 1000)
        points = Rider(_AREA, seed=4711 + number).ride(minutes * 60, began_ms)
        body = "".join(_gpx(points)).encode()
        headers = {"Content-Type": "application/gpx+xml"}
        client.post("/v1/tracks/import", content=body, headers=headers).raise_for_status()
    return len(_RIDES)


def _gpx(points: list[Point]) -> Iterator[str]:
    """GPX 1.0, which has an element for the speed."""
    yield '<gpx xmlns="http://www.topografix.com/GPX/1/0" version="1.0" creator="ThrottleCove"><trk><trkseg>\n'
    for point in points:
        assert point.timestamp is not None  # roads say when
        moment = datetime.fromtimestamp(point.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
        yield (
            f'<trkpt lat="{point.latitude}" lon="{point.longitude}"><ele>{point.altitude}</ele>'
            f"<time>{moment}</time><course>{point.heading}</course><speed>{point.speed}</speed></trkpt>\n"
        )
    yield "</trkseg></trk></gpx>\n"


if __name__ == "__main__":
    sys.exit(main())
