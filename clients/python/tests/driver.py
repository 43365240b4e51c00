"""The driver of this library for test/clients/behaviour.json: test/clients/driver.ts has the commands."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from pulse_agent_client import (
    ClockSkew,
    Credentials,
    Lease,
    PulseAgentClient,
    PulseAgentError,
    QueueLimits,
    Unavailable,
    _decide,
)
from pulse_agent_client._contract import format_instant

Fields = dict[str, Any]

clients: dict[str, PulseAgentClient] = {}
ahead: dict[str, float] = {}
leases: dict[str, Lease] = {}
printing = threading.Lock()


def write(line: Fields) -> None:
    with printing:
        print(json.dumps(line), flush=True)


def plain(value: Any) -> Any:
    """A result as the contract has it."""
    if isinstance(value, datetime):
        return format_instant(value)
    if is_dataclass(value):
        return {camel(each.name): plain(getattr(value, each.name)) for each in fields(value)}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def error_of(error: PulseAgentError) -> Fields:
    found = {
        "type": type(error).__name__,
        "code": error.code,
        "retryable": error.retryable,
        "message": error.message,
        "details": error.details,
    }
    if isinstance(error, ClockSkew):
        found["aheadMs"] = error.ahead_seconds * 1000
    if isinstance(error, Unavailable):
        found["mayHaveActed"] = error.may_have_acted
    return found


def timeout_of(given: Fields) -> Fields:
    return {"timeout": given["timeoutMs"] / 1000} if "timeoutMs" in given else {}


def chosen(given: Fields, *names: str) -> Fields:
    return {name: given[name] for name in names if name in given}


def limits_of(given: Fields) -> Fields:
    if "queueLimits" not in given:
        return {}
    limits = given["queueLimits"]
    snake = {re.sub(r"[A-Z]", lambda upper: f"_{upper[0].lower()}", name): value for name, value in (limits or {}).items()}
    return {"queue_limits": None if limits is None else QueueLimits(**snake)}


def open_client(given: Fields) -> Fields:
    name = given["client"]
    ahead[name] = given.get("clockAheadMs", 0) / 1000
    options = chosen(given, "audience", "ca") | timeout_of(given)
    if "agentId" in given:
        options["agent_id"] = given["agentId"]
    if "credentials" in given:
        options["credentials"] = Credentials(given["credentials"]["clientId"], given["credentials"]["accessToken"])
    clients[name] = PulseAgentClient(given["url"], clock=lambda: time.time() + ahead[name], **options)
    return {}


def set_clock(given: Fields) -> Fields:
    ahead[given["client"]] = given["aheadMs"] / 1000
    return {}


def list_all(given: Fields) -> Fields:
    options = {"page_size": given["pageSize"]} if "pageSize" in given else {}
    return {"namespaces": plain(list(client(given).list(**options, **timeout_of(given))))}


def start_lease(given: Fields) -> Fields:
    name = given["lease"]

    def event(kind: str, value: Any) -> None:
        data = {"error": error_of(value)} if kind == "lost" else plain(value)
        if kind == "failing":
            data["error"] = error_of(value.error)
        write({"event": kind, "lease": name, **data})

    leases[name] = client(given).lease(
        given["namespace"],
        **chosen(given, "expires", "contact"),
        **limits_of(given),
        **timeout_of(given),
        on_renewed=lambda value: event("renewed", value),
        on_failing=lambda value: event("failing", value),
        on_lost=lambda value: event("lost", value),
    )
    return held(given)


def held(given: Fields) -> Fields:
    lease = leases[given["lease"]]
    return {
        "connectionString": lease.connection_string,
        "connectionStrings": list(lease.connection_strings),
        "reclaimAt": plain(lease.reclaim_at),
        "expires": plain(lease.expires),
    }


def stop(given: Fields) -> Fields:
    leases[given["lease"]].stop(release=given.get("release", False))
    return {}


def close(given: Fields) -> Fields:
    client(given).close()
    return {}


def decide_renewal(given: Fields) -> Fields:
    at = _decide.renewal(given["claimedMs"] / 1000, given["reclaimMs"] / 1000, given["random"])
    return {"atMs": at * 1000}


def decide_after_failure(given: Fields) -> Fields:
    claim = given["held"]
    decision = _decide.after_failure(
        _decide.Held(claim["claimedMs"] / 1000, claim["reclaimMs"] / 1000, claim["expiresMs"] / 1000),
        _decide.FailedRenewal(
            code=given["code"],
            failures=given["failures"],
            now=given["nowMs"] / 1000,
            random=given["random"],
            credentials_refused=given.get("credentialsRefused"),
            ahead=given.get("aheadMs", 0) / 1000,
        ),
    )
    if isinstance(decision, _decide.Lost):
        return {"next": "lost", "reason": decision.reason}
    return {"next": "claim", "atMs": decision.at * 1000}


def decide_retry(given: Fields) -> Fields:
    error = PulseAgentError(given["code"], "", given["retryable"], given.get("details"))
    if given.get("noReply"):
        error = Unavailable("", may_have_acted=True)
    pause = _decide.retry_pause(
        given["method"], error, given["failures"], given["leftMs"] / 1000, given["nowMs"] / 1000, given["random"]
    )
    return {"pauseMs": None if pause is None else pause * 1000}


def client(given: Fields) -> PulseAgentClient:
    return clients[given["client"]]


COMMANDS = {
    "open": open_client,
    "set-clock": set_clock,
    "ping": lambda given: plain(client(given).ping(**timeout_of(given))),
    "claim": lambda given: plain(
        client(given).claim(
            given["namespace"], **chosen(given, "expires", "contact"), **limits_of(given), **timeout_of(given)
        )
    ),
    "get": lambda given: plain(client(given).get(given["namespace"], **timeout_of(given))),
    "describe": lambda given: plain(client(given).describe(given["namespace"], **timeout_of(given))),
    "list": list_all,
    "release": lambda given: plain(client(given).release(given["namespace"], **timeout_of(given))),
    "revoke": lambda given: plain(
        client(given).revoke(given["namespace"], **chosen(given, "until"), **timeout_of(given))
    ),
    "lease": start_lease,
    "held": held,
    "credentials": lambda given: plain(leases[given["lease"]].credentials()),
    "stop": stop,
    "close": close,
    "decide-renewal": decide_renewal,
    "decide-after-failure": decide_after_failure,
    "decide-retry": decide_retry,
}


def run(given: Fields) -> None:
    try:
        write({"id": given["id"], "result": COMMANDS[given["do"]](given)})
    except PulseAgentError as error:
        write({"id": given["id"], "error": error_of(error)})


def main() -> None:
    running = []
    for line in sys.stdin:
        thread = threading.Thread(target=run, args=(json.loads(line),), name=f"command {line}")
        thread.start()
        running.append(thread)
    for each in clients.values():
        each.close()
    for thread in running:
        thread.join()
    # The threads of the library do not hold the process; they must end soon nevertheless.
    late = time.monotonic() + 5
    while threading.active_count() > 1 and time.monotonic() < late:
        time.sleep(0.01)
    left = [each.name for each in threading.enumerate() if each is not threading.current_thread()]
    if left:
        print(f"Threads that are left: {left}", file=sys.stderr)


if __name__ == "__main__":
    main()
