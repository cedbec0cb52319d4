"""`/v1/users/profile`: the signed-in rider's own account."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from domain.accounts import rules
from domain.accounts.rules import Role, permissions_of
from domain.accounts.store import User
from domain.kit.errors import Code
from rest.problems import documented
from rest.schemas import Answer, Body, epoch_ms, example
from rest.services import Services, SignedIn

router = APIRouter(prefix="/v1/users", tags=["users"])


class ProfileBody(Body):
    """What one is called. It replaces what was there: without `full_name` there is none."""

    model_config = example({"username": "ada", "full_name": "Ada Lovelace"})

    username: str = Field(
        min_length=1, max_length=rules.LONGEST_USERNAME, description="Letters, digits, `.`, `_`, `-`."
    )
    full_name: str | None = Field(None, min_length=1, max_length=rules.LONGEST_FULL_NAME)


class ProfileAnswer(Answer):
    """One's own account; `rider` is the short number that stands for it on the live map."""

    model_config = example(
        {
            "id": "01989c1e-7f00-7000-8000-00000000000a",
            "rider": 7,
            "username": "ada",
            "email": "ada@example.org",
            "full_name": "Ada Lovelace",
            "role": "user",
            "permissions": ["read:own", "write:own", "read:public"],
            "created_at": 1793500000000,
        }
    )

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
    """Read one's own account."""
    return _profile(await services.accounts.user(identity.user_id))


@router.put(
    "/profile",
    responses=documented(Code.UNAUTHENTICATED, Code.INVALID, Code.CONFLICT, Code.NOT_FOUND, Code.TOO_LARGE),
)
async def change_profile(body: ProfileBody, identity: SignedIn, services: Services) -> ProfileAnswer:
    """Change what one is called; the last change holds.

    Riders on the map see it when they next ask for `riders:info`; access tokens carry a new username once refreshed.
    The e-mail address is not changed here.
    """
    user = await services.accounts.rename(identity.user_id, username=body.username, full_name=body.full_name)
    return _profile(user)


def _profile(user: User) -> ProfileAnswer:
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
