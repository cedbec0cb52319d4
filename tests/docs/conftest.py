"""The README's clients need a node."""

from tests.e2e.conftest import one_site

__all__ = ["one_site"]
