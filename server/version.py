"""The version of this build, as `/health` and the OpenAPI document tell it."""

from importlib.metadata import version

VERSION = version("throttlecove")
