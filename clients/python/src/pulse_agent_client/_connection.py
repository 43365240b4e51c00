"""A connection for requests. pika's connections belong to one thread, so each has a thread, and callers wait for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Any

import pika

from ._addresses import connect_fault
from ._contract import REPLY_TO
from ._stop import Stop
from .errors import BrokerRefused, PulseAgentError, Unavailable

IDLE_SECONDS = 20.0
"""How long an unused connection stays open. Many clients share the claimant's limit of connections."""
CLOSE_SECONDS = 2.0
"""How long RabbitMQ may take to confirm that a connection is closed."""
PROMISED_SECONDS = 10.0
"""An agent answers within this time, or not at all."""

Reply = tuple[Any, bytes]


@dataclass(eq=False)
class Pending:
    """A request that waits for its reply."""

    method: str
    body: bytes
    properties: Any
    reply: Future[Reply] = field(default_factory=Future)
    sent: bool = False
    confirmed: bool = False

    def fail(self, error: PulseAgentError) -> None:
        settle(self.reply, error=error if self.sent else _not_sent(error))


def _not_sent(error: PulseAgentError) -> PulseAgentError:
    if not (isinstance(error, Unavailable) and error.may_have_acted):
        return error
    unsent = Unavailable("The connection to RabbitMQ was lost before the request was sent.")
    unsent.__cause__ = error
    return unsent


def settle(future: Future[Any], result: Any = None, error: BaseException | None = None) -> None:
    """Unless it is settled already."""
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:
        pass


def wait_for(shared: Future[Any], seconds: float, stop: Stop) -> Any:
    """The result. Raises its error, the reason of `stop`, or concurrent.futures.TimeoutError."""
    own: Future[Any] = Future()

    def take(done: Future[Any]) -> None:
        error = done.exception()
        settle(own, None if error else done.result(), error)

    def stopped(reason: PulseAgentError) -> None:
        settle(own, error=reason)

    stop.add(stopped)
    shared.add_done_callback(take)
    try:
        return own.result(max(0.0, seconds))
    finally:
        stop.remove(stopped)


class OpenConnection:
    """A connection to one address. Everything that touches pika runs in its thread."""

    def __init__(self, parameters: Any, agent_id: str):
        self.opened: Future[None] = Future()
        self.users = 0
        self._exchange = f"rpc/{agent_id}/v1"
        self._agent_id = agent_id
        self._parameters = parameters
        self._lock = threading.Lock()
        self._pending: dict[str, Pending] = {}
        self._unconfirmed: dict[int, Pending] = {}
        self._published = 0
        self._alarm: str | None = None
        self._unblocked = threading.Event()
        self._unblocked.set()
        self._closing = False
        self._over = False
        self._reason: PulseAgentError | None = None
        self._connection: Any = None
        self._channel: Any = None
        self._loop = pika.adapters.select_connection.IOLoop()
        self._thread = threading.Thread(target=self._run, name="pulse-agent-client connection", daemon=True)

    # In the threads of callers.

    def start(self) -> None:
        self._thread.start()

    @property
    def is_usable(self) -> bool:
        return not (self._over or self._closing)

    def wait_for_alarm(self, seconds: float, stop: Stop) -> None:
        """Waits until RabbitMQ has no alarm."""
        stop.add(self._wake)
        try:
            if not self._unblocked.wait(max(0.0, seconds)):
                raise Unavailable(alarm_text(self._alarm))
        finally:
            stop.remove(self._wake)
        stop.raise_if_set()

    def _wake(self, _reason: PulseAgentError) -> None:
        self._unblocked.set()

    def request(self, pending: Pending, seconds: float, stop: Stop) -> Reply:
        correlation_id = pending.properties.correlation_id
        with self._lock:
            if not self.is_usable:
                raise _not_sent(self._reason or Unavailable("The connection closes.", may_have_acted=True))
            self._pending[correlation_id] = pending
            self._loop.add_callback_threadsafe(lambda: self._publish(pending))
        try:
            reply: Reply = wait_for(pending.reply, seconds, stop)
            return reply
        except FutureTimeout:
            raise self._no_reply(pending, seconds) from None
        finally:
            with self._lock:
                self._pending.pop(correlation_id, None)

    def _no_reply(self, pending: Pending, seconds: float) -> Unavailable:
        if self._alarm is not None:
            return Unavailable(alarm_text(self._alarm), may_have_acted=True)
        if not pending.confirmed:
            # Heartbeats would report it only after 20 s.
            self.close(wait=False)
            text = "RabbitMQ did not confirm the request in time: it cannot be reached."
            return Unavailable(text, may_have_acted=True)
        reasons = ["no agent runs", "it dead-lettered the request"]
        if seconds < PROMISED_SECONDS:
            reasons.append("it needs longer")
        text = f"No reply arrived in {seconds:.1f} s: {', or '.join(reasons)}."
        return Unavailable(text, may_have_acted=True)

    def close(self, wait: bool = True) -> None:
        with self._lock:
            self._closing = True
            if not self._over:
                self._loop.add_callback_threadsafe(self._close)
        if wait and threading.current_thread() is not self._thread and self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS + 1)

    def close_when_unused(self) -> None:
        """In some time, if nothing is sent until then."""
        with self._lock:
            if self.is_usable:
                self._loop.add_callback_threadsafe(self._start_idling)

    # In its own thread.

    def _run(self) -> None:
        try:
            self._connection = pika.SelectConnection(
                self._parameters,
                on_open_callback=self._on_open,
                on_open_error_callback=self._on_open_error,
                on_close_callback=self._on_closed,
                custom_ioloop=self._loop,
            )
            self._loop.start()
        except Exception as error:
            self._fail(connect_fault(error, self._parameters))
        finally:
            with self._lock:
                self._over = True
            self._fail(Unavailable("The connection to RabbitMQ was lost.", may_have_acted=True))
            self._unblocked.set()
            self._loop.close()

    def _fail(self, error: PulseAgentError) -> None:
        """Fails what waits."""
        if self._reason is None:
            self._reason = error
        settle(self.opened, error=self._reason)
        with self._lock:
            pending = list(self._pending.values())
        for each in pending:
            each.fail(self._reason)

    def _on_open(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_channel)

    def _on_open_error(self, _connection: Any, error: object) -> None:
        self._fail(connect_fault(error, self._parameters))
        self._loop.stop()

    def _on_closed(self, _connection: Any, reason: object) -> None:
        if not self._closing:
            self._fail(Unavailable(f"The connection to RabbitMQ was lost: {reason}.", may_have_acted=True))
        self._loop.stop()

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        # With confirms, a full request queue is reported immediately instead of by a time-out.
        channel.confirm_delivery(self._on_confirm)
        # Direct reply-to: consume, without acknowledgements, on the channel that publishes, before publishing.
        channel.basic_consume(
            REPLY_TO, self._on_reply, auto_ack=True, callback=lambda _frame: settle(self.opened)
        )

    def _on_channel_closed(self, _channel: Any, reason: Any) -> None:
        code = getattr(reason, "reply_code", None)
        if code == 404:
            self._fail(
                Unavailable(
                    f"No agent with the id {self._agent_id} that speaks v1 has run in this vhost. Check the id, and"
                    " that the vhost is that of the requests."
                )
            )
        elif code == 403:
            self._fail(
                BrokerRefused(
                    "requests",
                    f"RabbitMQ does not let this user send requests to the agent with the id {self._agent_id}.",
                )
            )
        else:
            self._fail(Unavailable(f"The channel closed: {reason}.", may_have_acted=True))
        self.close(wait=False)

    def _on_blocked(self, _connection: Any, frame: Any) -> None:
        reason = frame.method.reason
        self._alarm = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        self._unblocked.clear()

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._alarm = None
        self._unblocked.set()

    def _publish(self, pending: Pending) -> None:
        if pending.reply.done():
            return
        try:
            self._channel.basic_publish(self._exchange, pending.method, pending.body, pending.properties)
        except Exception as error:
            pending.fail(Unavailable(f"The channel cannot be used: {error}.", may_have_acted=True))
            return
        pending.sent = True
        self._published += 1
        self._unconfirmed[self._published] = pending

    def _on_confirm(self, frame: Any) -> None:
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        tags = [each for each in self._unconfirmed if each <= tag] if multiple else [tag]
        for each in tags:
            pending = self._unconfirmed.pop(each, None)
            if pending is None:
                continue
            if isinstance(frame.method, pika.spec.Basic.Ack):
                pending.confirmed = True
                continue
            pending.fail(Unavailable("The agent's request queue is full, or has no leader. Nothing was done."))
            # Where the queue had no leader, RabbitMQ 3.10 refuses everything on this channel from then on.
            self._retire()

    def _on_reply(self, _channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        with self._lock:
            pending = self._pending.get(properties.correlation_id)
        if pending is not None:
            settle(pending.reply, (properties, body))

    def _retire(self) -> None:
        """Takes no more requests, and closes after the last reply."""
        with self._lock:
            waiting = any(not each.reply.done() for each in self._pending.values())
            self._closing = True
        if waiting:
            self._loop.call_later(0.1, self._retire)
        else:
            self._close()

    def _start_idling(self) -> None:
        sent = self._published
        self._loop.call_later(IDLE_SECONDS, lambda: self._close_if_idle(sent))

    def _close_if_idle(self, sent: int) -> None:
        with self._lock:
            if self._published != sent or self._pending or self.users:
                return
            self._closing = True
        self._close()

    def _close(self) -> None:
        self._fail(Unavailable("The connection to RabbitMQ was closed.", may_have_acted=True))
        if self._connection is None or self._connection.is_closed:
            self._loop.stop()
            return
        self._loop.call_later(CLOSE_SECONDS, self._cut)
        if self._connection.is_open:
            self._connection.close()
        elif not self._connection.is_closing:
            self._cut()

    def _cut(self) -> None:
        """Ends the socket where RabbitMQ does not answer: what pika itself does without a heartbeat."""
        if self._connection.is_closed:
            return
        self._loop.call_later(CLOSE_SECONDS / 4, self._loop.stop)
        self._connection._adapter_disconnect_stream()


def alarm_text(reason: str | None) -> str:
    return f"RabbitMQ has an alarm and takes no messages until it is over: {reason or 'for an unknown reason'}."
