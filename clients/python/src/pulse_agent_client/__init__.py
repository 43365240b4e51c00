"""A client of Pulse Agent, which hands out RabbitMQ credentials for Taskcluster namespaces."""

from ._contract import Credentials
from .client import PulseAgentClient
from .description import AuditEntry, DescribedQueue, Description, QueueAlert, QueueLimits, Threshold
from .errors import (
    AuthenticationFailed,
    BrokerRefused,
    ClientClosed,
    ClockSkew,
    InputError,
    InsufficientScopes,
    InternalServerError,
    LeaseLost,
    MethodNotServed,
    PulseAgentError,
    ReplayDetected,
    RequestConflict,
    ResourceNotFound,
    Unavailable,
)
from .lease import Failing, Lease, PulseCredentials, Renewed
from .results import Claim, Namespace, Ping, Release, Revocation

__all__ = [
    "AuditEntry",
    "AuthenticationFailed",
    "BrokerRefused",
    "Claim",
    "ClientClosed",
    "ClockSkew",
    "Credentials",
    "DescribedQueue",
    "Description",
    "Failing",
    "InputError",
    "InsufficientScopes",
    "InternalServerError",
    "Lease",
    "LeaseLost",
    "MethodNotServed",
    "Namespace",
    "Ping",
    "PulseAgentClient",
    "PulseAgentError",
    "PulseCredentials",
    "QueueAlert",
    "QueueLimits",
    "Release",
    "ReplayDetected",
    "RequestConflict",
    "ResourceNotFound",
    "Renewed",
    "Revocation",
    "Threshold",
    "Unavailable",
]
