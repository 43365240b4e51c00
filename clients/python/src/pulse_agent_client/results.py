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


def _read(read: Callable[[Mapping[str, Any]], _Result]) -> Callable[[Mapping[str, Any]], _Result]:
    def checked(body: Mapping[str, Any]) -> _Result:
        try:
            return read(body)
        except (KeyError, ValueError, TypeError) as error:
            raise internal("The result lacks a field of the contract, or a field is invalid.") from error

    return checked


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("This is no text.")
    return value


@_read
def ping_of(body: Mapping[str, Any]) -> Ping:
    return Ping(bool(body["alive"]), float(body["uptimeSeconds"]), _text(body["version"]), _text(body["agent"]))


@_read
def claim_of(body: Mapping[str, Any]) -> Claim:
    connection_string = _text(body["connectionString"])
    return Claim(
        _text(body["namespace"]),
        parse_instant(body["created"]),
        parse_instant(body["expires"]),
        parse_instant(body["reclaimAt"]),
        connection_string,
        tuple(_text(each) for each in body.get("connectionStrings") or [connection_string]),
    )


@_read
def namespace_of(body: Mapping[str, Any]) -> Namespace:
    return Namespace(
        _text(body["namespace"]),
        parse_instant(body["created"]),
        parse_instant(body["expires"]),
        _text(body["state"]),
        body.get("blockedBy"),
    )


@_read
def page_of(body: Mapping[str, Any]) -> tuple[list[Namespace], str | None]:
    return [namespace_of(each) for each in body["namespaces"]], body.get("continuationToken")


@_read
def release_of(body: Mapping[str, Any]) -> Release:
    return Release(_text(body["namespace"]), _text(body["state"]))


@_read
def revocation_of(body: Mapping[str, Any]) -> Revocation:
    until = body.get("revokedUntil")
    return Revocation(_text(body["namespace"]), None if until is None else parse_instant(until))
