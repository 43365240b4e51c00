"""What the agent returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from ._contract import internal, parse_instant

__all__ = ["Claim", "Namespace", "Ping", "Release", "Revocation"]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Ping:
    alive: bool
    uptime_seconds: float
    version: str
    agent: str


@dataclass(frozen=True)
class Claim:
    """Credentials of a namespace. The connection strings are secrets, and not printed."""

    namespace: str
    created: datetime
    expires: datetime
    """When the namespace is deleted unless it is claimed again."""
    reclaim_at: datetime
    """Until when the credentials work, at least."""
    connection_string: str = field(repr=False)
    """The AMQP URL with the credentials."""
    connection_strings: tuple[str, ...] = field(repr=False)
    """One for each address of RabbitMQ; the first is `connection_string`."""


@dataclass(frozen=True)
class Namespace:
    namespace: str
    created: datetime
    expires: datetime
    state: str
    """`provisioning`, `active` or `expiring`."""
    blocked_by: str | None = None
    """A sentence for people about what the deletion waits for."""


@dataclass(frozen=True)
class Release:
    namespace: str
    state: str


@dataclass(frozen=True)
class Revocation:
    namespace: str
    revoked_until: datetime | None
    """Until when claims are refused; None: they are not."""


def read_result(read: Callable[[Mapping[str, Any]], _Result]) -> Callable[[Mapping[str, Any]], _Result]:
    def checked(body: Mapping[str, Any]) -> _Result:
        try:
            return read(body)
        except (KeyError, ValueError, TypeError) as error:
            raise internal("The result lacks a field of the contract, or a field is invalid.") from error

    return checked


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("This is no text.")
    return value


@read_result
def ping_of(body: Mapping[str, Any]) -> Ping:
    return Ping(bool(body["alive"]), float(body["uptimeSeconds"]), text(body["version"]), text(body["agent"]))


@read_result
def claim_of(body: Mapping[str, Any]) -> Claim:
    connection_string = text(body["connectionString"])
    return Claim(
        text(body["namespace"]),
        parse_instant(body["created"]),
        parse_instant(body["expires"]),
        parse_instant(body["reclaimAt"]),
        connection_string,
        tuple(text(each) for each in body.get("connectionStrings") or [connection_string]),
    )


@read_result
def namespace_of(body: Mapping[str, Any]) -> Namespace:
    return Namespace(
        text(body["namespace"]),
        parse_instant(body["created"]),
        parse_instant(body["expires"]),
        text(body["state"]),
        body.get("blockedBy"),
    )


@read_result
def page_of(body: Mapping[str, Any]) -> tuple[list[Namespace], str | None]:
    return [namespace_of(each) for each in body["namespaces"]], body.get("continuationToken")


@read_result
def release_of(body: Mapping[str, Any]) -> Release:
    return Release(text(body["namespace"]), text(body["state"]))


@read_result
def revocation_of(body: Mapping[str, Any]) -> Revocation:
    until = body.get("revokedUntil")
    return Revocation(text(body["namespace"]), None if until is None else parse_instant(until))
