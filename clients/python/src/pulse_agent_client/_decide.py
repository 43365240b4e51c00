"""Decisions without effects. All times are in seconds; wall clocks in seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass

from . import _contract
from .errors import LossReason, PulseAgentError, Unavailable

_FIRST_RETRY = 0.25
_MAX_RETRY = 5.0

# A lease renews when 5 to 10 percent of the time until `reclaimAt` is left, which leaves room for retries.
_EARLY_SHARE = 0.05
_EARLY_JITTER_SHARE = 0.05
_MIN_PAUSE = 1.0
"""Between two claims: with `reclaimAt` at a fixed `expires`, the pauses would become ever shorter."""
_FIRST_PAUSE = 1.0
_MAX_PAUSE = 60.0


@dataclass(frozen=True)
class Held:
    """The latest successful claim of a lease."""

    claimed: float
    reclaim: float
    """Until when its credentials work, at least."""
    expires: float
    """When the namespace is deleted."""


@dataclass(frozen=True)
class FailedRenewal:
    code: str
    failures: int
    """How often renewing has failed in a row, including this time."""
    now: float
    random: float
    """At least 0, less than 1."""
    credentials_refused: bool | None = None
    """Whether RabbitMQ refused the current credentials; None: they were not tried, or it did not answer."""
    ahead: float = 0
    """How far the clock of this machine is ahead of the agent's, if the agent has said so."""


@dataclass(frozen=True)
class ClaimAt:
    at: float


@dataclass(frozen=True)
class Lost:
    reason: LossReason


def backoff(failures: int, random: float, first: float, longest: float) -> float:
    """Doubles with each failure. By chance between half of the pause and all of it, so that clients spread."""
    return float(min(longest, first * 2 ** min(failures - 1, 30)) * (0.5 + random / 2))


def renewal(claimed: float, reclaim: float, random: float) -> float:
    """When to claim again after a claim that succeeded."""
    early = max(0.0, reclaim - claimed) * (_EARLY_SHARE + _EARLY_JITTER_SHARE * random)
    return max(claimed + _MIN_PAUSE, reclaim - early)


def after_failure(held: Held, failed: FailedRenewal) -> ClaimAt | Lost:
    """What to do after a failed renewal. A lease is lost only when its credentials can no longer be valid."""
    # The instants of the claim are by the agent's clock, and this one is known to be wrong.
    agent = failed.now - failed.ahead
    if failed.code == "InsufficientScopes":
        return Lost("scopes")
    if failed.code == "RequestConflict":
        return Lost("taken-away")
    if agent >= held.expires:
        return Lost("expired")
    # Before `reclaimAt` the agent repairs an account that was changed by hand.
    if failed.credentials_refused and agent >= held.reclaim:
        return Lost("refused")
    pause = backoff(failed.failures, failed.random, _FIRST_PAUSE, _MAX_PAUSE)
    valid = held.reclaim - agent
    if valid > 0:
        # Leave time for another attempt.
        pause = min(pause, valid / 2)
    # One last attempt when the namespace expires.
    return ClaimAt(failed.now + min(max(_MIN_PAUSE / 2, pause), held.expires - agent))


def retry_pause(
    method: str, error: PulseAgentError, failures: int, left: float, now: float, random: float
) -> float | None:
    """The pause before a request is sent again. None: a retry could not succeed, or not in time, or act twice."""
    if not error.retryable:
        return None
    if isinstance(error, Unavailable) and error.may_have_acted and method in _contract.NOT_REPEATABLE:
        return None
    pause = max(backoff(failures, random, _FIRST_RETRY, _MAX_RETRY), _asked_pause(error, now))
    return pause if pause < left else None


def _asked_pause(error: PulseAgentError, now: float) -> float:
    """How long a retry cannot succeed, as the agent says."""
    seconds = error.details.get("retryAfterSeconds")
    if isinstance(seconds, (int, float)):
        return float(seconds)
    try:
        instant = error.details.get("retryAt") or error.details.get("revokedUntil")
        return _contract.parse_instant(instant).timestamp() - now
    except ValueError:
        return 0.0
