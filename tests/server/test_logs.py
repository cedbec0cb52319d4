"""What is logged of a fault says where it happened, and nothing of what was in the variables there."""

import os
import subprocess
import sys

import pytest

FAULT = """
import structlog
from server.settings import Settings
from server.telemetry import configure_logging

configure_logging(Settings())
log = structlog.get_logger("test")

def fail(entry):
    raise RuntimeError("a fault")

try:
    fail("a very private " + "position")
except RuntimeError:
    log.exception("failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_hold_no_variables(form: str) -> None:
    environment = {**os.environ, "THROTTLECOVE_LOG_FORMAT": form}
    done = subprocess.run([sys.executable, "-c", FAULT], env=environment, capture_output=True, text=True, check=True)
    assert "RuntimeError" in done.stderr
    assert "fail" in done.stderr
    assert "private position" not in done.stderr
