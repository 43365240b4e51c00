"""A claim that is renewed in time, until the lease is stopped."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from . import _decide
from ._addresses import parameters_of
from ._stop import Stop
from .errors import BrokerRefused, ClientClosed, ClockSkew, LeaseLost, LossReason, PulseAgentError
from .results import Claim

__all__ = ["Failing", "Lease", "PulseCredentials", "Renewed"]

_log = logging.getLogger("pulse_agent_client")

_CHECK_CLOCKS_SECONDS = 30.0
"""The longest sleep between two checks of the clocks: notices a suspended machine and a clock that was set."""
_FRESH_SECONDS = 2.0
"""How long `credentials` returns the current credentials without claiming again."""
_CLAIM_SECONDS = 5.0
"""How long `credentials` waits for a claim before it returns the current credentials."""
_RECYCLE_SECONDS = 300.0
"""While no agent answers, a connection is used for at least this long."""


@dataclass(frozen=True)
class Renewed:
    """The lease was renewed."""

    changed: bool
    """Whether the credentials differ from the ones before: open the next connection."""
    reclaim_at: datetime
    expires: datetime


@dataclass(frozen=True)
class Failing:
    """A claim failed with all its retries. The credentials work at least until `reclaim_at`."""

    error: PulseAgentError
    failures: int
    """How often in a row."""
    retry_at: datetime
    reclaim_at: datetime


@dataclass(frozen=True)
class PulseCredentials:
    """For one new connection."""

    connection_string: str = field(repr=False)
    recycle_at: datetime
    """When to open a new connection."""


@dataclass(frozen=True)
class LeaseParts:
    """How a lease claims."""

    claim: Callable[[Stop], Claim]
    claim_with: Callable[[str, Stop], Claim]
    """Claims over a connection with the current credentials; the text has those of all addresses."""
    release: Callable[[], object]
    on_stopped: Callable[[Lease], None]
    now: Callable[[], float]
    ca: str | None
    on_renewed: Callable[[Renewed], object] | None
    on_failing: Callable[[Failing], object] | None
    on_lost: Callable[[LeaseLost], object] | None


class Lease:
    """A claim that is renewed in time, in a thread of its own. `PulseAgentClient.lease` returns one.

    As a context manager it stops itself at the end.
    """

    def __init__(self, first: Claim, parts: LeaseParts, parent: Stop):
        self._parts = parts
        self._stop = Stop(parent)
        self._changed = threading.Condition()
        self._claim = first
        self._held = self._held_by(first)
        self._failures = 0
        self._renewals = 0
        self._changes = 0
        self._is_asked = False
        self._handed_out = 0
        self._dead: PulseAgentError | None = None
        self._due_wall = self._due_monotonic = 0.0
        self._set_due(_decide.renewal(self._held.claimed, self._held.reclaim, random.random()))
        self._stop.add(self._wake)
        self._thread = threading.Thread(target=self._run, name="pulse-agent-client lease", daemon=True)
        self._thread.start()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def namespace(self) -> str:
        return self._claim.namespace

    @property
    def connection_string(self) -> str:
        """The AMQP URL with the current credentials, a secret. Raises LeaseLost, or ClientClosed after a release."""
        return self.connection_strings[0]

    @property
    def connection_strings(self) -> tuple[str, ...]:
        """One for each address of RabbitMQ: the first is `connection_string`."""
        if self._dead is not None:
            raise self._dead.with_traceback(None)
        return self._claim.connection_strings

    @property
    def reclaim_at(self) -> datetime:
        """Until when the current credentials work, at least."""
        return self._claim.reclaim_at

    @property
    def expires(self) -> datetime:
        """When the namespace is deleted unless it is claimed again."""
        return self._claim.expires

    @property
    def changes(self) -> int:
        """How often the credentials have changed: with another number, open the next connection."""
        return self._changes

    @property
    def is_over(self) -> bool:
        """Whether the lease is lost or was stopped."""
        return self._stop.is_set

    def credentials(self) -> PulseCredentials:
        """The credentials for a new connection.

        Claims again first, because a revocation may have closed the connection before. If no agent answers within 5 s,
        it returns the current ones. Where RabbitMQ has several addresses, each call returns the next one.

        Raises LeaseLost, or ClientClosed if the lease was stopped.
        """
        self._claim_again()
        now = self._parts.now()
        with self._changed:
            urls = self._claim.connection_strings
            url = urls[self._handed_out % len(urls)]
            self._handed_out += 1
            recycle = max(self._held.reclaim, now + _RECYCLE_SECONDS if self._failures else 0)
        return PulseCredentials(url, _instant(recycle))

    def parameters(self) -> list[Any]:
        """As `credentials`, for pika: `pika.BlockingConnection(lease.parameters())` tries the addresses in turn."""
        self._claim_again()
        return parameters_of(",".join(self.connection_strings), self._parts.ca)

    def stop(self, release: bool = False) -> None:
        """Stops renewing. With `release` the agent deletes the namespace and everything it owns."""
        self._stop.set(ClientClosed("The lease was stopped."))
        if threading.current_thread() is not self._thread:
            self._thread.join()
        if release:
            if self._dead is None:
                self._dead = ClientClosed("The lease was released.")
            self._parts.release()

    def _held_by(self, claim: Claim) -> _decide.Held:
        return _decide.Held(self._parts.now(), claim.reclaim_at.timestamp(), claim.expires.timestamp())

    def _claim_again(self) -> None:
        """Unless the last claim is a moment old."""
        self._stop.raise_if_set()
        if threading.current_thread() is self._thread:
            return
        with self._changed:
            if self._failures == 0 and self._parts.now() - self._held.claimed > _FRESH_SECONDS:
                seen = self._renewals
                self._is_asked = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._renewals != seen or self._stop.is_set, _CLAIM_SECONDS)
        self._stop.raise_if_set()

    def _wake(self, _reason: PulseAgentError) -> None:
        # Also from a callback, in the thread of the lease, and during a wait.
        with self._changed:
            self._changed.notify_all()

    # In its own thread.

    def _run(self) -> None:
        try:
            while not self._stop.is_set:
                with self._changed:
                    left = self._left()
                    if left > 0 and not self._is_asked:
                        self._changed.wait(min(left, _CHECK_CLOCKS_SECONDS))
                        continue
                    self._is_asked = False
                self._renew()
        finally:
            self._parts.on_stopped(self)

    def _set_due(self, at: float) -> None:
        self._due_wall = at
        self._due_monotonic = time.monotonic() + at - self._parts.now()

    def _left(self) -> float:
        """It is due when either clock says so: one may be set, the other may stand still while suspended."""
        return min(self._due_wall - self._parts.now(), self._due_monotonic - time.monotonic())

    def _renew(self) -> None:
        try:
            self._renewed(self._parts.claim(self._stop))
        except PulseAgentError as error:
            if not self._stop.is_set:
                self._failed(error)
        except Exception as error:
            if not self._stop.is_set:
                self._failed(_unknown(error))

    def _renewed(self, claim: Claim) -> None:
        if self._stop.is_set:
            return
        with self._changed:
            changed = claim.connection_string != self._claim.connection_string
            self._claim = claim
            self._held = self._held_by(claim)
            self._failures = 0
            self._changes += changed
            self._set_due(_decide.renewal(self._held.claimed, self._held.reclaim, random.random()))
            self._settled()
        self._call(self._parts.on_renewed, Renewed(changed, self.reclaim_at, self.expires))

    def _failed(self, reason: PulseAgentError) -> None:
        error, refused = self._claim_as_holder(reason)
        if self._stop.is_set or error is None:
            return
        failed = _decide.FailedRenewal(
            code=error.code,
            failures=self._failures + 1,
            now=self._parts.now(),
            random=random.random(),
            credentials_refused=refused,
            ahead=error.ahead_seconds if isinstance(error, ClockSkew) else 0,
        )
        decision = _decide.after_failure(self._held, failed)
        if isinstance(decision, _decide.Lost):
            self._lose(decision.reason, error)
            return
        with self._changed:
            self._failures += 1
            self._set_due(decision.at)
            self._settled()
        retry_at = _instant(decision.at)
        self._call(self._parts.on_failing, Failing(error, self._failures, retry_at, self.reclaim_at))

    def _claim_as_holder(self, error: PulseAgentError) -> tuple[PulseAgentError | None, bool | None]:
        """Claims with the current credentials if those of the client do not work, or, after `reclaim_at`, to see
        whether the current ones still work. Returns no error if that renewed the lease."""
        is_before = self._parts.now() < self._held.reclaim
        if error.code in ("InsufficientScopes", "RequestConflict"):
            return error, None
        if is_before and not isinstance(error, BrokerRefused):
            return error, None
        try:
            claim = self._parts.claim_with(",".join(self._claim.connection_strings), self._stop)
        except PulseAgentError as own:
            # Where RabbitMQ refuses the vhost, or TLS fails, the credentials may be valid.
            refused = isinstance(own, BrokerRefused) and own.details["refused"] not in ("vhost", "tls")
            return (own if isinstance(error, BrokerRefused) and not refused else error), refused
        self._renewed(claim)
        return None, None

    def _lose(self, reason: LossReason, cause: PulseAgentError) -> None:
        lost = LeaseLost(reason, self.namespace, cause)
        self._dead = lost
        self._stop.set(lost)
        if self._parts.on_lost is None:
            # A program that does not listen would go on without credentials.
            _log.error("%s", lost)
        else:
            self._call(self._parts.on_lost, lost)

    def _settled(self) -> None:
        self._renewals += 1
        self._changed.notify_all()

    def _call(self, callback: Callable[[Any], object] | None, value: object) -> None:
        if callback is None:
            return
        try:
            callback(value)
        except Exception:
            _log.exception("A callback of the lease of %s failed.", self.namespace)


def _unknown(error: Exception) -> PulseAgentError:
    unknown = PulseAgentError("Unavailable", str(error) or repr(error), retryable=True)
    unknown.__cause__ = error
    return unknown


def _instant(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
