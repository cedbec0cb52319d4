"""`/v1/auth`: register, sign in, refresh, sign out, and the list of sign-ins."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Response, status
from pydantic import Field
from starlette.requests import Request

from domain.accounts import rules, service
from domain.accounts.service import Device
from domain.accounts.store import Session
from domain.kit.errors import Code
from domain.kit.text import folded
from rest.limits import Tier, spend
from rest.problems import documented
from rest.schemas import Answer, Body, epoch_ms, example
from rest.services import Services, SignedIn, address_of, network_of

router = APIRouter(prefix="/v1/auth", tags=["auth"])

DeviceId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=rules.LONGEST_DEVICE_ID,
        description="Made by the app once for each installation and sent again at every sign-in and refresh.",
    ),
]
UserAgent = Annotated[str | None, Header(include_in_schema=False)]


_TOKENS = {
    "access_token": "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl",
    "refresh_token": "kT3n0t-A-rea1-t0ken-but-as-l0ng-as-0ne-0000",
    "expires_in": 900,
    "session_id": "01989c1e-7f00-7000-8000-0000000000b1",
    "device_id": "0d4f3f0e-6a0b-4a53-9d0b-6ad7d2c1c9f7",
    "user": {"id": "01989c1e-7f00-7000-8000-00000000000a", "rider": 7, "username": "ada"},
}
_SESSION = {
    "id": "01989c1e-7f00-7000-8000-0000000000b2",
    "device_id": "0d4f3f0e-6a0b-4a53-9d0b-6ad7d2c1c9f7",
    "ip_address": "192.0.2.7",
    "user_agent": "ThrottleCove/1.0 (iOS)",
    "created_at": 1793500000000,
    "last_used_at": 1793503600000,
    "expires_at": 1794104800000,
    "current": True,
}


class RegisterBody(Body):
    """A new account."""

    model_config = example(
        {
            "username": "ada",
            "email": "ada@example.org",
            "password": "correct horse battery",
            "full_name": "Ada Lovelace",
            "device_id": "0d4f3f0e-6a0b-4a53-9d0b-6ad7d2c1c9f7",
        }
    )

    username: str = Field(
        min_length=1, max_length=rules.LONGEST_USERNAME, description="Letters, digits, `.`, `_`, `-`."
    )
    email: str = Field(min_length=3, max_length=rules.LONGEST_EMAIL)
    password: str = Field(min_length=rules.SHORTEST_PASSWORD, max_length=rules.LONGEST_PASSWORD)
    full_name: str | None = Field(None, min_length=1, max_length=rules.LONGEST_FULL_NAME)
    device_id: DeviceId | None = Field(None, description="Without one, the answer brings one to keep.")


class LoginBody(Body):
    """A sign-in with a username or an e-mail address."""

    model_config = example(
        {
            "identifier": "ada@example.org",
            "password": "correct horse battery",
            "device_id": "0d4f3f0e-6a0b-4a53-9d0b-6ad7d2c1c9f7",
        }
    )

    identifier: str = Field(min_length=1, max_length=rules.LONGEST_EMAIL, description="Username or e-mail address.")
    password: str = Field(min_length=1, max_length=rules.LONGEST_PASSWORD)
    device_id: DeviceId | None = Field(None, description="Without one, the answer brings one to keep.")


class RefreshBody(Body):
    """The refresh token of a session; it is used up, the answer brings the next."""

    model_config = example({name: _TOKENS[name] for name in ("refresh_token", "device_id")})

    refresh_token: str = Field(min_length=1, max_length=rules.LONGEST_REFRESH_TOKEN)
    device_id: DeviceId


class UserAnswer(Answer):
    """An account; `rider` is the short number that stands for it on the live map."""

    id: UUID
    rider: int
    username: str


class TokensAnswer(Answer):
    """The tokens of a session. The access token ends after `expires_in` seconds."""

    model_config = example(_TOKENS)

    access_token: str
    refresh_token: str
    expires_in: int
    session_id: UUID
    device_id: str
    user: UserAnswer


class SessionAnswer(Answer):
    """One sign-in on one device; `current` is the one that asks."""

    model_config = example(_SESSION)

    id: UUID
    device_id: str
    ip_address: str | None
    user_agent: str | None
    created_at: int
    last_used_at: int
    expires_at: int
    current: bool


class SessionsAnswer(Answer):
    """The sign-ins that hold, the last used first."""

    model_config = example({"sessions": [_SESSION]})

    sessions: list[SessionAnswer]


@router.post(
    "/register", status_code=status.HTTP_201_CREATED, responses=documented(Code.INVALID, Code.CONFLICT, Code.TOO_LARGE)
)
async def register(
    request: Request, body: RegisterBody, services: Services, user_agent: UserAgent = None
) -> TokensAnswer:
    """Make an account and sign in."""
    await _count_sign_in(request, services, body.username)
    signed_in = await services.accounts.register(
        username=body.username,
        email=body.email,
        password=body.password,
        full_name=body.full_name,
        device=Device(body.device_id, address_of(request), user_agent),
    )
    return _tokens(signed_in)


@router.post("/login", responses=documented(Code.INVALID, Code.UNAUTHENTICATED, Code.TOO_LARGE))
async def login(request: Request, body: LoginBody, services: Services, user_agent: UserAgent = None) -> TokensAnswer:
    """Sign in with a username or an e-mail address."""
    await _count_sign_in(request, services, body.identifier)
    signed_in = await services.accounts.login(
        identifier=body.identifier,
        password=body.password,
        device=Device(body.device_id, address_of(request), user_agent),
    )
    return _tokens(signed_in)


@router.post("/refresh", responses=documented(Code.INVALID, Code.UNAUTHENTICATED, Code.TOO_LARGE))
async def refresh(request: Request, body: RefreshBody, services: Services) -> TokensAnswer:
    """Exchange the refresh token for new tokens.

    If the answer is lost, send the same one again within a minute from the same device. Used later, or by another
    device, it ends the session.
    """
    # Counted as signed in: many phones refresh from one address of a mobile network, and nobody guesses 256 bits.
    await spend(request, services.limits, Tier.SIGNED_IN, "refresh", network_of(request))
    return _tokens(await services.accounts.refresh(refresh_token=body.refresh_token, device_id=body.device_id))


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT, responses=documented(Code.UNAUTHENTICATED))
async def logout(identity: SignedIn, services: Services) -> Response:
    """End this session; its sockets close."""
    await services.accounts.logout(identity.session_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.get("/sessions", responses=documented(Code.UNAUTHENTICATED))
async def sessions(identity: SignedIn, services: Services) -> SessionsAnswer:
    """List the sign-ins that hold."""
    found = await services.accounts.sessions(identity.user_id)
    return SessionsAnswer(sessions=[_session(each, current=each.id == identity.session_id) for each in found])


@router.delete(
    "/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID),
)
async def revoke_session(
    session_id: Annotated[UUID, Path(examples=[_SESSION["id"]])], identity: SignedIn, services: Services
) -> Response:
    """End a session of one's own; its sockets close."""
    await services.accounts.revoke_session(identity.user_id, session_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _count_sign_in(request: Request, services: Services, account: str) -> None:
    """Both the address and, far less often, each account from it have a limit."""
    network = network_of(request)
    await spend(request, services.limits, Tier.PUBLIC, network)
    await spend(request, services.limits, Tier.AUTH, network, folded(account))


def _tokens(signed_in: service.SignedIn) -> TokensAnswer:
    user = signed_in.user
    return TokensAnswer(
        access_token=signed_in.access_token,
        refresh_token=signed_in.refresh_token,
        expires_in=signed_in.expires_in,
        session_id=signed_in.session_id,
        device_id=signed_in.device_id,
        user=UserAnswer(id=user.id, rider=user.rider, username=user.username),
    )


def _session(session: Session, *, current: bool) -> SessionAnswer:
    return SessionAnswer(
        id=session.id,
        device_id=session.device_id,
        ip_address=session.ip_address,
        user_agent=session.user_agent,
        created_at=epoch_ms(session.created_at),
        last_used_at=epoch_ms(session.last_used_at),
        expires_at=epoch_ms(session.expires_at),
        current=current,
    )
