"""What ends the waiting of calls."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .errors import PulseAgentError


class Stop:
    """Set once, with the error that waiting calls raise. A child is set with its parent."""

    def __init__(self, parent: Stop | None = None):
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._listeners: set[Callable[[PulseAgentError], None]] = set()
        self._reason: PulseAgentError | None = None
        self._parent = parent
        if parent is not None:
            parent.add(self.set)

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self, reason: PulseAgentError) -> None:
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            listeners = list(self._listeners)
            self._listeners.clear()
        self._event.set()
        if self._parent is not None:
            self._parent.remove(self.set)
        for listener in listeners:
            listener(reason)

    def raise_if_set(self) -> None:
        if self._reason is not None:
            # A copy of its traceback would grow with each raise.
            raise self._reason.with_traceback(None)

    def wait(self, seconds: float) -> bool:
        """Whether it was set within this time."""
        return self._event.wait(max(0.0, seconds))

    def add(self, listener: Callable[[PulseAgentError], None]) -> None:
        """Calls it when this is set; immediately if it is."""
        with self._lock:
            reason = self._reason
            if reason is None:
                self._listeners.add(listener)
        if reason is not None:
            listener(reason)

    def remove(self, listener: Callable[[PulseAgentError], None]) -> None:
        with self._lock:
            self._listeners.discard(listener)
