"""The base of every body: unknown fields and other types are refused, numbers are finite."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Answer(BaseModel):
    """What a client gets. Times are in milliseconds since the epoch (UTC)."""

    model_config = ConfigDict(frozen=True)


def example(value: dict[str, Any]) -> ConfigDict:
    """For a model's `model_config`: an example in the OpenAPI document. A test sends it, or gets its like.

    What the model's base demands stays as it is. FastAPI leaves out fields that are null: give them a value.
    """
    return ConfigDict(json_schema_extra={"examples": [value]})


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since the epoch (UTC), as all times are given."""
    return round(moment.timestamp() * 1000)
