"""`/v1/users/sharing`: who may see the signed-in rider; the socket's `sharing:set` follows the same rule."""

from fastapi import APIRouter
from pydantic import Field

from domain.kit.errors import Code
from domain.sharing.rules import Audience
from domain.sharing.service import Sharing
from rest.problems import documented
from rest.schemas import Answer, Body, example
from rest.services import Services, SignedIn

router = APIRouter(prefix="/v1/users/sharing", tags=["privacy"])


class SharingBody(Body):
    """Who may see the rider, and until when."""

    model_config = example({"audience": "followers"})

    audience: Audience = Field(strict=False)
    expires_at: int | None = Field(None, ge=0, le=2**53, description="Milliseconds since the epoch; then it is nobody.")


class SharingAnswer(Answer):
    """Who may see the rider; a higher `version` is newer."""

    model_config = example({"audience": "followers", "expires_at": 1793503600000, "version": 3})

    audience: Audience
    expires_at: int | None
    version: int


@router.get("", responses=documented(Code.UNAUTHENTICATED))
async def sharing(identity: SignedIn, services: Services) -> SharingAnswer:
    """Read who may see one."""
    return _answer(await services.sharing.get(identity.user_id))


@router.put(
    "",
    responses=documented(Code.UNAUTHENTICATED, Code.INVALID, Code.UNSUPPORTED, Code.NOT_FOUND, Code.TOO_LARGE),
)
async def choose_sharing(body: SharingBody, identity: SignedIn, services: Services) -> SharingAnswer:
    """Choose who may see one."""
    return _answer(await services.sharing.set(identity.user_id, body.audience, body.expires_at))


def _answer(sharing: Sharing) -> SharingAnswer:
    return SharingAnswer(audience=sharing.audience, expires_at=sharing.expires_at_ms, version=sharing.version)
