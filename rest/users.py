"""`/v1/users/profile`: the signed-in rider's own account."""

from uuid import UUID

from fastapi import APIRouter

from domain.accounts.rules import Role, permissions_of
from domain.kit.errors import Code
from rest.problems import documented
from rest.schemas import Answer, epoch_ms
from rest.services import Services, SignedIn

router = APIRouter(prefix="/v1/users", tags=["users"])


class ProfileAnswer(Answer):
    """One's own account; `rider` is the short number that stands for it on the live map."""

    id: UUID
    rider: int
    username: str
    email: str
    full_name: str | None
    role: Role
    permissions: list[str]
    created_at: int


@router.get("/profile", responses=documented(Code.UNAUTHENTICATED, Code.NOT_FOUND))
async def profile(identity: SignedIn, services: Services) -> ProfileAnswer:
    """One's own account."""
    user = await services.accounts.user(identity.user_id)
    return ProfileAnswer(
        id=user.id,
        rider=user.rider,
        username=user.username,
        email=user.email,
        full_name=user.full_name,
        role=user.role,
        permissions=list(permissions_of(user.role)),
        created_at=epoch_ms(user.created_at),
    )
