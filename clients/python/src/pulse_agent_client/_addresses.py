"""Where RabbitMQ is, and why it cannot be used."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pika

from .errors import BrokerRefused, InputError, PulseAgentError, Unavailable

CONNECT_SECONDS = 10
HEARTBEAT_SECONDS = 10
"""With RabbitMQ's minute, it would notice late that a client is gone."""
_CLOSED = re.compile(r"ConnectionClosedByBroker: \((\d+)\) ['\"](.*)['\"]")
BLOCKED_SECONDS = 60
"""How long an alarm of RabbitMQ may block a connection before pika ends it."""


def split_urls(urls: str) -> list[str]:
    """The URLs of a list with commas between: one for each node of a cluster."""
    return re.split(r", *(?=amqps?://)", urls.strip())


def vhost_of(urls: str) -> str | None:
    """The vhost that the first URL names. Raises InputError."""
    return _parameters(split_urls(urls)[0], None)[1]


def parameters_of(
    urls: str, ca: str | None, *, vhost: str | None = None, heartbeat: int | None = None
) -> list[Any]:
    """pika's parameters for each URL, with this vhost instead of its own. Raises InputError.

    heartbeat: the pause between two, in seconds, unless the URL says it; RabbitMQ proposes 60 s when None.
    """
    return [_parameters(url, ca, vhost, heartbeat)[0] for url in split_urls(urls)]


def _parameters(
    url: str, ca: str | None, vhost: str | None = None, heartbeat: int | None = None
) -> tuple[Any, str | None]:
    # No part of the URL in an error: it holds a password.
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname or parts.port == 0:
            raise ValueError
        parameters = pika.URLParameters(url)
    except Exception:
        raise InputError(
            "InputError",
            "The URL of RabbitMQ cannot be read: it must begin with amqp:// or amqps://, and name a host.",
            details={"field": "url"},
        ) from None
    own = parameters.virtual_host if parts.path not in ("", "/") else None
    if vhost is not None:
        parameters.virtual_host = vhost
    if ca is not None and parts.scheme == "amqps":
        try:
            context = ssl.create_default_context(cadata=ca)
        except ssl.SSLError as error:
            message = "The option ca must be certificates in PEM."
            raise InputError("InputError", message, details={"field": "ca"}) from error
        parameters.ssl_options = pika.SSLOptions(context, parts.hostname)
    if heartbeat is not None and "heartbeat=" not in parts.query:
        parameters.heartbeat = heartbeat
    # A publish that waits for its confirm would wait until an alarm is over.
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    parameters.socket_timeout = parameters.stack_timeout = CONNECT_SECONDS
    parameters.client_properties = {"connection_name": "pulse-agent client"}
    return parameters, own


def connect_fault(cause: object, parameters: Any) -> PulseAgentError:
    """Why a connection could not be opened: BrokerRefused if another attempt has the same end, or else Unavailable."""
    errors = list(_causes(cause))
    text = _reason(errors[-1]) if errors else "for an unknown reason"
    fault = _refusal(errors, parameters) or Unavailable(f"RabbitMQ cannot be reached: {text}.")
    fault.__cause__ = errors[0] if errors else None
    return fault


def _refusal(errors: list[BaseException], parameters: Any) -> PulseAgentError | None:
    # pika calls each end during the login a probable refusal, also that of a RabbitMQ that stops: its text says more.
    closed = next((found for error in reversed(errors) if (found := _CLOSED.search(str(error)))), None)
    code, said = (closed[1], closed[2].split(" - ", 1)[-1].rstrip(".")) if closed else ("", "")
    # A limit of connections is free again when another one closes; a vhost that is down may come back.
    if code in ("403", "530") and not re.search(r"limit \(\d+\) is reached| is down\b", said):
        if code == "403" and "vhost" not in said:
            return BrokerRefused("user", "RabbitMQ refuses the user or its password.")
        vhost = parameters.virtual_host
        return BrokerRefused(
            "vhost",
            f"RabbitMQ refuses the vhost {vhost}: it must exist, and this user must have permissions in it ({said}).",
        )
    if closed:
        return Unavailable(f"RabbitMQ refuses the connection: {said}.")
    for error in errors:
        if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return BrokerRefused("tls", _tls_text(error, parameters.port))
    return None


def _tls_text(error: ssl.SSLError, port: int) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"This machine does not trust the certificate of RabbitMQ: {error.verify_message}. Use a host name of the"
            " certificate, and name the CA that signed it with the option ca."
        )
    if error.reason == "WRONG_VERSION_NUMBER":
        return f"The port {port} does not speak TLS: use amqp://, or the port that RabbitMQ has for amqps."
    return f"TLS fails: {error.reason or error}."


def _causes(error: object) -> Iterator[BaseException]:
    """An error of pika and those within it, from the outside."""
    if not isinstance(error, BaseException):
        return
    yield error
    inner = [getattr(error, "exception", None), *getattr(error, "exceptions", ())]
    for each in [*inner, *(arg for arg in error.args if isinstance(arg, BaseException))]:
        yield from _causes(each)


def _reason(error: BaseException) -> str:
    """Many errors of pika have no text."""
    return (str(error) or repr(error)).strip().rstrip(".")
