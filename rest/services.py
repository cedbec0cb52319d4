"""What the routes need, handed to them in one object, and what they read of a request."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from domain.accounts.service import AccountService
from domain.accounts.tokens import Identity, TokenVerifier
from domain.kit.errors import Unauthenticated
from domain.sharing.service import SharingService
from domain.tracks.files.exporting import TrackExporter
from domain.tracks.files.importing import TrackImporter
from domain.tracks.reading import TrackReader
from domain.tracks.service import TrackService
from domain.tracks.shapes import TrackShapes
from domain.zones.service import ZoneService
from rest.limits import RateLimits, Tier, spend


@dataclass(frozen=True)
class RestServices:
    """The use cases that REST serves, and its limits."""

    accounts: AccountService
    zones: ZoneService
    sharing: SharingService
    verifier: TokenVerifier
    limits: RateLimits
    reader: TrackReader
    tracks: TrackService
    shapes: TrackShapes
    exporter: TrackExporter
    importer: TrackImporter


def services_of(request: Request) -> RestServices:
    """The services of the application that serves this request."""
    services: RestServices = request.app.state.services
    return services


Services = Annotated[RestServices, Depends(services_of)]

_BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT", description="The access token of a session.")


async def signed_in(
    request: Request,
    services: Services,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Identity:
    """Who asks. Raises Unauthenticated or TokenExpired, RateLimited, and Unavailable when Postgres is away."""
    try:
        if credentials is None:
            raise Unauthenticated("send the access token as `Authorization: Bearer …`", field="Authorization")
        identity = services.verifier.verify(credentials.credentials)
    except Unauthenticated:
        await spend(request, services.limits, Tier.PUBLIC, network_of(request))
        raise
    await spend(request, services.limits, Tier.SIGNED_IN, str(identity.user_id))
    if await services.accounts.session_is_revoked(identity.session_id):
        raise Unauthenticated("this session was ended; sign in again", field="Authorization")
    return identity


SignedIn = Annotated[Identity, Depends(signed_in)]


def address_of(request: Request) -> str | None:
    """The address of the caller, None when the transport has none."""
    address = _address(request)
    return None if address is None else str(address)


def network_of(request: Request) -> str:
    """By what callers are counted: the IPv4 address, or the /64 network, of which one household or phone has all."""
    address = _address(request)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _address(request: Request) -> IPv4Address | IPv6Address | None:
    host = request.client.host if request.client else ""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
