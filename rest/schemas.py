"""The base of every body: unknown fields and other types are refused, numbers are finite."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Answer(BaseModel):
    """What a client gets. Times are in milliseconds since the epoch (UTC)."""

    model_config = ConfigDict(frozen=True)


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since the epoch (UTC), as all times are given."""
    return round(moment.timestamp() * 1000)
