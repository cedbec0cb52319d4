"""`/v1/users/zones`: the places where the signed-in rider is on nobody's map."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response, status
from pydantic import Field

from domain.kit.errors import Code
from domain.zones import rules
from domain.zones.rules import Place
from domain.zones.service import PrivacyZone
from rest.problems import documented
from rest.schemas import Answer, Body, epoch_ms, example
from rest.services import Services, SignedIn

router = APIRouter(prefix="/v1/users/zones", tags=["privacy"])


_DRAWN = {"name": "home", "latitude": 48.1371, "longitude": 11.5754, "radius_metres": 300.0}
_ZONE = {"id": "01989c1e-7f00-7000-8000-0000000000c1", **_DRAWN, "created_at": 1793500000000}


class ZoneBody(Body):
    """A privacy zone: degrees (WGS84) and metres."""

    model_config = example(_DRAWN)

    name: str = Field(min_length=1, max_length=rules.LONGEST_NAME)
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    radius_metres: float = Field(ge=rules.SMALLEST_RADIUS_METRES, le=rules.LARGEST_RADIUS_METRES)


class ZoneAnswer(Answer):
    """A zone as its rider drew it, for its rider only; what cuts positions off is displaced and never given out."""

    model_config = example(_ZONE)

    id: UUID
    name: str
    latitude: float
    longitude: float
    radius_metres: float
    created_at: int


class ZonesAnswer(Answer):
    """All zones, oldest first."""

    model_config = example({"zones": [_ZONE]})

    zones: list[ZoneAnswer]


@router.get("", responses=documented(Code.UNAUTHENTICATED))
async def zones(identity: SignedIn, services: Services) -> ZonesAnswer:
    """List one's own zones."""
    return ZonesAnswer(zones=[_zone(each) for each in await services.zones.all_of(identity.user_id)])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=documented(Code.UNAUTHENTICATED, Code.INVALID, Code.CONFLICT, Code.NOT_FOUND, Code.TOO_LARGE),
)
async def draw_zone(body: ZoneBody, identity: SignedIn, services: Services) -> ZoneAnswer:
    """Draw a zone; it holds on every node before the answer comes, or a moment later."""
    place = Place(body.name, body.latitude, body.longitude, body.radius_metres)
    return _zone(await services.zones.add(identity.user_id, place))


@router.delete(
    "/{zone_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID),
)
async def remove_zone(
    zone_id: Annotated[UUID, Path(examples=[_ZONE["id"]])], identity: SignedIn, services: Services
) -> Response:
    """Remove a zone."""
    await services.zones.remove(identity.user_id, zone_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def _zone(zone: PrivacyZone) -> ZoneAnswer:
    place = zone.place
    return ZoneAnswer(
        id=zone.id,
        name=place.name,
        latitude=place.latitude,
        longitude=place.longitude,
        radius_metres=place.radius_metres,
        created_at=epoch_ms(zone.created_at),
    )
