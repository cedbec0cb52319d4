"""Tests of nodes that share a machine end as those of the wire: without an error in the logs, without a task left."""

from tests.realtime.conftest import faultless

__all__ = ["faultless"]
