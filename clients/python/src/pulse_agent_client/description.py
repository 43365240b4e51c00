"""What an agent tells the owner of a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ._contract import parse_instant
from .results import read_result, text

__all__ = ["AuditEntry", "DescribedQueue", "Description", "QueueAlert", "QueueLimits", "Threshold"]


@dataclass(frozen=True)
class QueueLimits:
    """What each queue may hold. In a claim, what is None stays as in the rules of the operators."""

    warn_at_messages: int | None = None
    delete_at_messages: int | None = None
    warn_at_bytes: int | None = None
    delete_at_bytes: int | None = None


@dataclass(frozen=True)
class Threshold:
    """What a queue reaches next."""

    action: str
    """What the agents do there: `warn`, `delete`, `purge` or `leave`."""
    unit: str
    """`messages` or `bytes`."""
    at: int
    reached_at: datetime | None
    """When the queue reaches it at its present rate. None where the rate is known: not at this rate."""
    rate_known: bool


@dataclass(frozen=True)
class DescribedQueue:
    """A queue. What is None is unknown, or there is none."""

    queue: str
    state: str
    """`watched`, `warned`, `deleting`, `exempt` or `unclaimed`."""
    messages: int | None
    ready: int | None
    unacknowledged: int | None
    bytes: int | None
    consumers: int | None
    growing_since: datetime | None
    """The observation since which `messages_per_minute` is measured."""
    messages_per_minute: float | None
    bytes_per_minute: float | None
    next: Threshold | None
    warned_since: datetime | None
    exempt_until: datetime | None
    trend: tuple[int | None, ...]
    """Its messages at each of the instants of `observed_at`."""
    rule: str | None
    """The rule that holds for it, by its place in the settings of the agents, or `default`. None: an older agent."""
    limits: QueueLimits | None
    on_overgrown: str | None
    """What the agents do at its limit for deletion: `delete`, `purge` or `leave`."""


@dataclass(frozen=True)
class QueueAlert:
    """A queue that has grown too large."""

    queue: str
    state: str
    """`warned` or `deleting`."""
    since: datetime
    messages: int
    bytes: int | None


@dataclass(frozen=True)
class AuditEntry:
    """What was done. It names nobody but the holder and the client that asks."""

    at: datetime
    action: str
    by: str
    """`client`, `agent` or `operator`."""
    client_id: str | None
    subject: str | None
    outcome: str
    reason: str | None


@dataclass(frozen=True)
class Description:
    """A namespace as those see it who may claim or describe it. What is None is unknown, or there is none."""

    namespace: str
    created: datetime
    expires: datetime
    state: str
    """`provisioning`, `active` or `expiring`."""
    blocked_by: str | None
    holder: str
    """The clientId of the latest claim."""
    last_claim: datetime | None
    next_rotation: datetime | None
    refused_until: datetime | None
    """Until when claims are refused, after a revocation."""
    queue_limits: QueueLimits | None
    """The limits that a claim asked for."""
    connections: int | None
    observed_at: tuple[datetime, ...] | None
    """When the agent that answered observed the queues; the last instant is that of all amounts."""
    queues: tuple[DescribedQueue, ...] | None
    """The deepest ones, the deepest first."""
    more_queues: bool | None
    alerts: tuple[QueueAlert, ...]
    audit: tuple[AuditEntry, ...]
    """The latest audit records, the newest first."""


@read_result
def description_of(body: Mapping[str, Any]) -> Description:
    observed, queues = body.get("observedAt"), body.get("queues")
    return Description(
        text(body["namespace"]),
        parse_instant(body["created"]),
        parse_instant(body["expires"]),
        text(body["state"]),
        body.get("blockedBy"),
        text(body["holder"]),
        _instant(body, "lastClaim"),
        _instant(body, "nextRotation"),
        _instant(body, "refusedUntil"),
        _limits(body.get("queueLimits")),
        body.get("connections"),
        None if observed is None else tuple(parse_instant(each) for each in observed),
        None if queues is None else tuple(_queue(each) for each in queues),
        body.get("moreQueues"),
        tuple(_alert(each) for each in body["alerts"]),
        tuple(_audit(each) for each in body["audit"]),
    )


def _instant(fields: Mapping[str, Any], name: str) -> datetime | None:
    found = fields.get(name)
    return None if found is None else parse_instant(found)


def _queue(fields: Mapping[str, Any]) -> DescribedQueue:
    following, limits = fields.get("next"), fields.get("limits")
    return DescribedQueue(
        text(fields["queue"]),
        text(fields["state"]),
        fields.get("messages"),
        fields.get("ready"),
        fields.get("unacknowledged"),
        fields.get("bytes"),
        fields.get("consumers"),
        _instant(fields, "growingSince"),
        fields.get("messagesPerMinute"),
        fields.get("bytesPerMinute"),
        None if following is None else _threshold(following),
        _instant(fields, "warnedSince"),
        _instant(fields, "exemptUntil"),
        tuple(fields["trend"]),
        fields.get("rule"),
        _limits(limits),
        None if limits is None else limits.get("onOvergrown"),
    )


def _limits(fields: Mapping[str, Any] | None) -> QueueLimits | None:
    return None if fields is None else QueueLimits(*(fields.get(name) for name in _LIMITS))


def wire_limits(limits: QueueLimits) -> dict[str, int]:
    """The limits as a claim has them."""
    given = (limits.warn_at_messages, limits.delete_at_messages, limits.warn_at_bytes, limits.delete_at_bytes)
    return {name: limit for name, limit in zip(_LIMITS, given, strict=True) if limit is not None}


_LIMITS = ("warnAtMessages", "deleteAtMessages", "warnAtBytes", "deleteAtBytes")


def _threshold(fields: Mapping[str, Any]) -> Threshold:
    known = "reachedAt" in fields
    return Threshold(text(fields["action"]), text(fields["unit"]), fields["at"], _instant(fields, "reachedAt"), known)


def _alert(fields: Mapping[str, Any]) -> QueueAlert:
    since = parse_instant(fields["since"])
    return QueueAlert(text(fields["queue"]), text(fields["state"]), since, fields["messages"], fields.get("bytes"))


def _audit(fields: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        parse_instant(fields["at"]),
        text(fields["action"]),
        text(fields["by"]),
        fields.get("clientId"),
        fields.get("subject"),
        text(fields["outcome"]),
        fields.get("reason"),
    )
