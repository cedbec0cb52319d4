"""What tests share: real servers, a database of one's own, and waiting for a condition."""

from tests.support.waiting import eventually

__all__ = ["eventually"]
