"""The client."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Literal

from . import _decide
from ._addresses import HEARTBEAT_SECONDS, parameters_of, vhost_of
from ._contract import SIGNED_METHODS, Credentials, format_instant
from ._sender import RequestSender
from ._stop import Stop
from .description import Description, QueueLimits, description_of, wire_limits
from .errors import (
    AuthenticationFailed,
    ClientClosed,
    InputError,
    LeaseLost,
    PulseAgentError,
    RequestConflict,
    Unavailable,
)
from .lease import Failing, Lease, LeaseParts, Renewed
from .results import (
    Claim,
    Namespace,
    Ping,
    Release,
    Revocation,
    claim_of,
    namespace_of,
    page_of,
    ping_of,
    release_of,
    revocation_of,
)

__all__ = ["PulseAgentClient"]

_CALL_SECONDS = 30.0
_AGENT_ID = re.compile(r"[a-z0-9-]{1,64}")

Instant = datetime | str
_Unset = Literal["unset"]


class PulseAgentClient:
    """A client of Pulse Agent, for any number of threads.

    It connects on demand, reconnects by itself, requests sealed results with a new key for each claim, and retries what
    can succeed later, with a new signature, until the time for the call is up. All methods raise `PulseAgentError`.

    As a context manager it closes itself at the end.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | Callable[[], Credentials] | None = None,
        *,
        agent_id: str = "pulse-agent",
        request_vhost: str | None = None,
        audience: str = "pulse-agent",
        ca: str | None = None,
        timeout: float = _CALL_SECONDS,
        clock: Callable[[], float] = time.time,
    ):
        """
        url: the AMQP URL for requests, with the name and password of the claimant or of a claimed account. Its path is
            the vhost of the requests; without a path that is `agent_id`. For a cluster one URL for each node, with
            commas between.
        credentials: Taskcluster credentials, or a function that returns the current ones, for what has to be signed.
        ca: certificates in PEM that TLS connections are checked against, instead of those of the system.
        timeout: how long a call may take with all retries, in seconds.
        clock: the time in seconds since the epoch, for tests.
        """
        if not _AGENT_ID.fullmatch(agent_id):
            message = "The option agent_id must consist of lower-case letters, digits and hyphens, at most 64."
            raise InputError("InputError", message, details={"field": "agent_id"})
        self._credentials = credentials
        self._agent_id = agent_id
        self._audience = audience
        self._ca = ca
        self._timeout = _checked_timeout(timeout)
        self._now = clock
        self._vhost = request_vhost or vhost_of(url) or agent_id
        self._sender = self._sender_to(url)
        self._stop = Stop()
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()

    def __enter__(self) -> PulseAgentClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def ping(self, *, timeout: float | None = None) -> Ping:
        """Checks that an agent is alive."""
        return ping_of(self._call("ping", {}, timeout))

    def claim(
        self,
        namespace: str,
        *,
        expires: Instant | None = None,
        contact: str | None | _Unset = "unset",
        queue_limits: QueueLimits | None | _Unset = "unset",
        timeout: float | None = None,
    ) -> Claim:
        """Claims a namespace, or claims it again.

        expires: when it may be deleted; None: at least the agent's default lifetime from now. It never gets earlier.
        contact: where notices about overgrown queues go: an email address, "matrix:!id:server" or "slack:C…"; None
            clears it, and unset the stored one stays.
        queue_limits: higher limits for its queues, within what the operators allow; None: those of their rules hold,
            and unset the stored ones stay. An older agent refuses a claim with it: `InputError`.
        """
        fields = _claim_fields(namespace, expires, contact, queue_limits)
        return claim_of(self._call("claim-namespace", fields, timeout))

    def get(self, namespace: str, *, timeout: float | None = None) -> Namespace:
        """Returns one namespace."""
        return namespace_of(self._call("get-namespace", {"namespace": namespace}, timeout))

    def describe(self, namespace: str, *, timeout: float | None = None) -> Description:
        """Returns what an owner wants to know of a namespace: queues and how they grow, alerts, what was done.

        It needs the scope `pulse:namespace:<namespace>` or `pulse:describe:<namespace>`. Growth is known from the second
        request on, 10 s after the first one. An agent that is older than the method answers `MethodNotServed`.
        """
        return description_of(self._call("describe-namespace", {"namespace": namespace}, timeout))

    def list(self, *, page_size: int | None = None, timeout: float | None = None) -> Iterator[Namespace]:
        """Returns all namespaces, sorted by name. Requests a page when it is needed."""
        fields: dict[str, Any] = {} if page_size is None else {"limit": page_size}
        while True:
            page, token = page_of(self._call("list-namespaces", fields, timeout))
            yield from page
            if token is None:
                return
            fields = {**fields, "continuationToken": token}

    def release(self, namespace: str, *, timeout: float | None = None) -> Release:
        """Releases a namespace: the agent deletes it and everything it owns."""
        return release_of(self._call("release-namespace", {"namespace": namespace}, timeout))

    def revoke(self, namespace: str, *, until: Instant | None = None, timeout: float | None = None) -> Revocation:
        """Revokes all credentials of a namespace. With `until`, the agent refuses claims until then."""
        fields = {"namespace": namespace, **({} if until is None else {"until": _instant_of("until", until)})}
        return revocation_of(self._call("revoke-namespace", fields, timeout))

    def lease(
        self,
        namespace: str,
        *,
        expires: Instant | Callable[[], Instant] | None = None,
        contact: str | None | _Unset = "unset",
        queue_limits: QueueLimits | None | _Unset = "unset",
        on_renewed: Callable[[Renewed], object] | None = None,
        on_failing: Callable[[Failing], object] | None = None,
        on_lost: Callable[[LeaseLost], object] | None = None,
        timeout: float | None = None,
    ) -> Lease:
        """Claims a namespace, and renews the claim in time until the lease is stopped.

        expires: an instant, at which the lease is lost, too, or a function that returns one for each claim.
        on_renewed, on_failing, on_lost: called in the thread of the lease: return soon. Without `on_lost`, the loss is
            an error in the log of `pulse_agent_client`.
        """

        def fields() -> dict[str, Any]:
            return _claim_fields(namespace, expires() if callable(expires) else expires, contact, queue_limits)

        def claim(stop: Stop) -> Claim:
            # A namespace that is being deleted or is revoked is lost, even if it could be claimed again soon.
            return claim_of(self._call("claim-namespace", fields(), None, stop, conflicts_are_final=True))

        first = claim_of(self._call("claim-namespace", fields(), timeout))
        parts = LeaseParts(
            claim=claim,
            claim_with=lambda urls, stop: self._claim_with(urls, fields(), stop),
            release=lambda: self.release(namespace),
            on_stopped=self._forget,
            now=self._now,
            ca=self._ca,
            on_renewed=on_renewed,
            on_failing=on_failing,
            on_lost=on_lost,
        )
        lease = Lease(first, parts, self._stop)
        with self._lock:
            if not lease.is_over:
                self._leases.add(lease)
        return lease

    def close(self) -> None:
        """Stops the leases without releasing them, ends calls in progress, and closes the connections. Takes 3 s at
        most, even if RabbitMQ does not answer."""
        self._stop.set(ClientClosed("The client is closed."))
        with self._lock:
            leases = [*self._leases]
        for lease in leases:
            lease.stop()
        self._sender.close()

    def _forget(self, lease: Lease) -> None:
        with self._lock:
            self._leases.discard(lease)

    def _sender_to(self, urls: str) -> RequestSender:
        addresses = parameters_of(urls, self._ca, vhost=self._vhost, heartbeat=HEARTBEAT_SECONDS)
        return RequestSender(addresses, self._agent_id, self._audience, self._now)

    def _claim_with(self, urls: str, fields: dict[str, Any], stop: Stop) -> Claim:
        """One claim over a connection with the credentials of the claimed account."""
        sender = self._sender_to(urls)
        try:
            result = self._call("claim-namespace", fields, None, stop, conflicts_are_final=True, sender=sender)
            return claim_of(result)
        finally:
            sender.close()

    def _call(
        self,
        method: str,
        fields: dict[str, Any],
        timeout: float | None,
        stop: Stop | None = None,
        *,
        conflicts_are_final: bool = False,
        sender: RequestSender | None = None,
    ) -> dict[str, Any]:
        """Sends a request until it succeeds, cannot succeed, or the time for the call is up."""
        stop = stop or self._stop
        sender = sender or self._sender
        seconds = self._timeout if timeout is None else _checked_timeout(timeout)
        until = time.monotonic() + seconds

        def left() -> float:
            return until - time.monotonic()

        failures = 0
        answered: PulseAgentError | None = None
        while True:
            stop.raise_if_set()
            try:
                credentials = self._current_credentials() if method in SIGNED_METHODS else None
                return sender.request(method, fields, credentials, left, stop)
            except PulseAgentError as error:
                stop.raise_if_set()
                failures += 1
                # A time-out says less than what an agent has answered before.
                last = _after(error, answered)
                if not _got_no_answer(error):
                    answered = error
                if conflicts_are_final and isinstance(error, RequestConflict):
                    raise
                pause = _decide.retry_pause(method, error, failures, left(), self._now(), random.random())
                if pause is None:
                    raise last from error.__cause__
            stop.wait(pause)

    def _current_credentials(self) -> Credentials:
        given = self._credentials
        if callable(given):
            try:
                given = given()
            except Exception as error:
                failed = Unavailable(f"The function for credentials failed: {error}.")
                failed.retryable = False
                raise failed from error
        if given is None or not given.client_id or not given.access_token:
            message = "A signature is needed, but there are no credentials: client_id and access_token are empty."
            raise AuthenticationFailed("AuthenticationFailed", message)
        return given


def _got_no_answer(error: PulseAgentError) -> bool:
    return isinstance(error, Unavailable) and error.may_have_acted


def _after(error: PulseAgentError, answered: PulseAgentError | None) -> PulseAgentError:
    """The last error, with what an agent answered to an earlier attempt of the call."""
    if answered is None or not isinstance(error, Unavailable) or not error.may_have_acted:
        return error
    return Unavailable(f"{error} Before, it failed with: {answered}", error.details, may_have_acted=True)


def _claim_fields(
    namespace: str,
    expires: Instant | None,
    contact: str | None | _Unset,
    queue_limits: QueueLimits | None | _Unset,
) -> dict[str, Any]:
    fields: dict[str, Any] = {"namespace": namespace}
    if expires is not None:
        fields["expires"] = _instant_of("expires", expires)
    if contact != "unset":
        fields["contact"] = contact
    if queue_limits is None:
        fields["queueLimits"] = None
    elif isinstance(queue_limits, QueueLimits):
        fields["queueLimits"] = wire_limits(queue_limits)
    return fields


def _instant_of(field: str, instant: Instant) -> str:
    if isinstance(instant, str):
        return instant
    try:
        return format_instant(instant)
    except ValueError:
        message = f"The field {field} must be a datetime with a time zone, or text such as 2026-11-24T12:00:00.000Z."
        raise InputError("InputError", message, details={"field": field}) from None


def _checked_timeout(seconds: float) -> float:
    if not seconds > 0:
        message = "The option timeout must be a number of seconds above 0."
        raise InputError("InputError", message, details={"field": "timeout"})
    return float(seconds)
