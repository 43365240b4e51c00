"""The errors of the library. Each has a `code`, and says whether it is `retryable`. None holds a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

__all__ = [
    "AuthenticationFailed",
    "BrokerRefused",
    "ClientClosed",
    "ClockSkew",
    "InputError",
    "InsufficientScopes",
    "InternalServerError",
    "LeaseLost",
    "LossReason",
    "MethodNotServed",
    "PulseAgentError",
    "ReplayDetected",
    "RequestConflict",
    "ResourceNotFound",
    "Unavailable",
]

LossReason = Literal["scopes", "taken-away", "expired", "refused"]


class PulseAgentError(Exception):
    """The base class. `str(error)` is a sentence for people; `__cause__` is the error behind it, if there is one."""

    code: str
    """A code of the contract, or `BrokerRefused`, `ClientClosed` or `LeaseLost`."""

    retryable: bool
    """Whether the same call can succeed later without any other change."""

    details: Mapping[str, Any]
    """What the agent says besides; which fields there are depends on the code."""

    def __init__(self, code: str, message: str, retryable: bool = False, details: Mapping[str, Any] | None = None):
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.details = dict(details or {})

    @property
    def message(self) -> str:
        return str(self)


class InputError(PulseAgentError):
    """A field or an option is invalid; `details["field"]` names it."""


class MethodNotServed(InputError):
    """The agent is older than this library and does not serve the method; `details["methods"]` has those it serves."""


class AuthenticationFailed(PulseAgentError):
    """The signature was rejected, or there are no credentials to sign with."""


class ClockSkew(AuthenticationFailed):
    """The signature was rejected because the clock of this machine and that of the agent differ too much."""

    ahead_seconds: float
    """How far the clock of this machine is ahead of the agent's; negative if it is behind."""

    def __init__(self, ahead_seconds: float, details: Mapping[str, Any] | None = None):
        where = "ahead of" if ahead_seconds > 0 else "behind"
        super().__init__(
            "AuthenticationFailed",
            f"The clock of this machine is about {abs(ahead_seconds):.0f} s {where} the agent's clock, so the agent"
            " rejects its signatures. Set the clock.",
            details=details,
        )
        self.ahead_seconds = ahead_seconds


class InsufficientScopes(PulseAgentError):
    """The client lacks the scope `details["required"]`."""


class ResourceNotFound(PulseAgentError):
    """The namespace does not exist."""


class RequestConflict(PulseAgentError):
    """The namespace is being deleted, was just deleted (`details["retryAt"]`), or is revoked (`["revokedUntil"]`)."""


class ReplayDetected(PulseAgentError):
    """A copy of the request arrived first."""


class Unavailable(PulseAgentError):
    """No answer in time, or RabbitMQ, the agent or a service that it needs is unavailable."""

    may_have_acted: bool
    """Whether the agent may have served the request."""

    def __init__(self, message: str, details: Mapping[str, Any] | None = None, *, may_have_acted: bool = False):
        super().__init__("Unavailable", message, retryable=True, details=details)
        self.may_have_acted = may_have_acted


class InternalServerError(PulseAgentError):
    """An internal error of the agent."""


class BrokerRefused(PulseAgentError):
    """RabbitMQ refuses the `user`, the `vhost` or the `requests`, or TLS fails (`tls`): `details["refused"]`."""

    def __init__(self, refused: Literal["user", "vhost", "requests", "tls"], message: str):
        super().__init__("BrokerRefused", message, details={"refused": refused})


class ClientClosed(PulseAgentError):
    """The client was closed, or the lease was stopped."""

    def __init__(self, message: str):
        super().__init__("ClientClosed", message)


_LOSSES: Mapping[LossReason, str] = {
    "scopes": "the client lacks the scope",
    "taken-away": "the namespace is being deleted or is revoked",
    "expired": "the namespace expired before a claim succeeded",
    "refused": "no claim succeeded in time, and RabbitMQ refuses the credentials",
}


class LeaseLost(PulseAgentError):
    """The credentials of a lease can no longer be valid. `reason` and `__cause__` say why."""

    reason: LossReason

    def __init__(self, reason: LossReason, namespace: str, cause: PulseAgentError):
        super().__init__(
            "LeaseLost",
            f"The lease of {namespace} is lost: {_LOSSES[reason]}. {cause}",
            details={"reason": reason, "namespace": namespace},
        )
        self.reason = reason
        self.__cause__ = cause
