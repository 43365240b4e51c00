"""Requests over a connection that is opened on demand."""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import pika

from ._connection import OpenConnection, Pending, wait_for
from ._contract import REPLY_TO, SIGNED_METHODS, Credentials, ReplyKey, read_reply, sign
from ._stop import Stop
from .errors import BrokerRefused, ClientClosed, PulseAgentError, Unavailable

_ATTEMPT_SECONDS = 15.0
"""An agent answers within 10 s, or not at all."""


class RequestSender:
    """Requests over a connection that is opened on demand, again after it was lost, and closed when it is idle."""

    def __init__(self, addresses: list[Any], agent_id: str, audience: str, now: Callable[[], float]):
        self._agent_id = agent_id
        self._audience = audience
        self._now = now
        self._lock = threading.Lock()
        self._current: OpenConnection | None = None
        self._is_closed = False
        # Clients of one cluster spread over its nodes; an address that failed is tried after the others.
        first = random.randrange(len(addresses))
        self._addresses = addresses[first:] + addresses[:first]

    def request(
        self,
        method: str,
        fields: Mapping[str, Any],
        credentials: Credentials | None,
        left: Callable[[], float],
        stop: Stop,
    ) -> dict[str, Any]:
        """Sends a request once and returns its result. Raises PulseAgentError."""
        connection = self._use(left, stop)
        try:
            connection.wait_for_alarm(left(), stop)
            key = ReplyKey() if method == "claim-namespace" else None
            body = json.dumps({**fields, "replyKey": key.public()} if key else fields).encode()
            seconds = min(_ATTEMPT_SECONDS, max(0.001, left()))
            pending = self._compose(method, body, credentials, seconds)
            properties, reply = connection.request(pending, seconds, stop)
            return read_reply(properties.type, properties.content_type, reply, key, self._now())
        finally:
            self._release(connection)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            current, self._current = self._current, None
        if current is not None:
            current.close()

    def _compose(self, method: str, body: bytes, credentials: Credentials | None, seconds: float) -> Pending:
        correlation_id = str(uuid.uuid4())
        headers = {}
        if method in SIGNED_METHODS and credentials is not None:
            now = int(self._now())
            headers["authorization"] = sign(method, body, correlation_id, credentials, self._audience, seconds=now)
        properties = pika.BasicProperties(
            content_type="application/json",
            reply_to=REPLY_TO,
            correlation_id=correlation_id,
            headers=headers,
            # A request that waits longer than this in the queue has no recipient for its reply.
            expiration=str(max(1, int(seconds * 1000))),
        )
        return Pending(method, body, properties)

    def _use(self, left: Callable[[], float], stop: Stop) -> OpenConnection:
        """An open connection, at the first address that works."""
        fault: PulseAgentError | None = None
        for _ in range(len(self._addresses)):
            connection, parameters = self._current_or_new()
            try:
                wait_for(connection.opened, left(), stop)
                return connection
            except FutureTimeout:
                # It may open for callers with more time; pika gives up after CONNECT_SECONDS.
                self._release(connection)
                raise fault or Unavailable("RabbitMQ did not answer in time.") from None
            except PulseAgentError as refused:
                if stop.is_set:
                    self._release(connection)
                    raise
                self._abandon(connection, parameters)
                # The users and the vhosts of all addresses are the same; their certificates are not.
                if isinstance(refused, BrokerRefused) and refused.details["refused"] != "tls":
                    raise
                fault = fault if isinstance(fault, BrokerRefused) else refused
        raise fault or Unavailable("RabbitMQ cannot be reached.")

    def _current_or_new(self) -> tuple[OpenConnection, Any]:
        with self._lock:
            if self._is_closed:
                raise ClientClosed("The client is closed.")
            parameters = self._addresses[0]
            if self._current is None or not self._current.is_usable:
                self._current = OpenConnection(parameters, self._agent_id)
                self._current.start()
            self._current.users += 1
            return self._current, parameters

    def _abandon(self, connection: OpenConnection, parameters: Any) -> None:
        """The next connection is opened at another address, if there is one."""
        connection.close(wait=False)
        with self._lock:
            connection.users -= 1
            if self._current is connection:
                self._current = None
            if self._addresses[0] is parameters:
                self._addresses.append(self._addresses.pop(0))

    def _release(self, connection: OpenConnection) -> None:
        with self._lock:
            connection.users -= 1
            is_last = connection.users == 0
        if is_last:
            connection.close_when_unused()
