"""Ctrl-C, SIGTERM and a closed terminal: the first one interrupts the work, further ones only hurry its end.

Promises that KeyboardInterrupt is raised once at most, and only inside `interrupting`: what stops things is never
interrupted itself.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Takes the signals over while it is entered."""

    def __init__(self) -> None:
        self._count = 0
        self._raises = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """In here the first signal raises KeyboardInterrupt, also one that came before."""
        self._raises = True
        if self._count:
            self._interrupt()
        try:
            yield
        finally:
            self._raises = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """In here no signal interrupts; one that came does so right afterwards. For what must be done whole."""
        raises, self._raises = self._raises, False
        try:
            yield
        finally:
            self._raises = raises
        if raises and self._count:
            self._interrupt()

    @property
    def again(self) -> bool:
        """Whether somebody has asked twice."""
        return self._count > 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._raises:
            self._interrupt()

    def _interrupt(self) -> None:
        self._raises = False
        raise KeyboardInterrupt
