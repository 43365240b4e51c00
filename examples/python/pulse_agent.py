"""A small client of Pulse Agent: signed requests over RabbitMQ, sealed results.

The contract is docs/protocol.md; the vectors of docs/protocol-vectors.json are checked by check_vectors.py.
"""

import base64
import json
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from urllib.parse import quote

import mohawk
import pika
from jwcrypto import jwe, jwk
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    NackError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

REPLY_TO = "amq.rabbitmq.reply-to"
SIGNED_METHODS = {"claim-namespace", "release-namespace", "revoke-namespace"}


class PulseAgentError(Exception):
    """An error of the agent: `code` as in the contract, and whether the same request can succeed later."""

    def __init__(self, code, message, retryable, details=None):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retryable = retryable
        self.details = details or {}


class NoReply(PulseAgentError):
    """No reply in time: no agent runs, or the request gets no answer. It may have been served."""

    def __init__(self, method, timeout):
        super().__init__("Unavailable", f"no reply to {method} within {timeout} seconds", retryable=True)


class BrokerRefused(PulseAgentError):
    """RabbitMQ refuses the connection or the request: the address, the vhost or the agent's id is wrong."""

    def __init__(self, message):
        super().__init__("BrokerRefused", message, retryable=False)


def addresses(result):
    """The connection strings of a claim, one for each address of RabbitMQ, as `connect` takes them."""
    return ",".join(result.get("connectionStrings", [result["connectionString"]]))


def connect(urls, blocked_timeout):
    """A connection to RabbitMQ that ends when an alarm has blocked it for `blocked_timeout` seconds.

    `urls` is a URL, or one for each address of RabbitMQ with commas between: the first that works is used. During an
    alarm RabbitMQ does not read from connections that publish, so a publish with confirms would wait for ever.
    Raises BrokerRefused, or PulseAgentError when the user has too many connections.
    """
    parameters = []
    for url in re.split(r", *(?=amqps?://)", urls):
        if not url.startswith(("amqp://", "amqps://")):
            raise BrokerRefused("the URL must begin with amqp:// or amqps://")
        parameters.append(pika.URLParameters(url))
        parameters[-1].blocked_connection_timeout = blocked_timeout
    vhost = parameters[0].virtual_host
    try:
        return pika.BlockingConnection(parameters)
    except ProbableAuthenticationError:
        raise BrokerRefused("RabbitMQ refuses the user or its password: check the URL") from None
    except ProbableAccessDeniedError as error:
        reason = str(error)
        if "limit" in reason:
            raise PulseAgentError("Unavailable", f"RabbitMQ takes no more connections: {reason}", retryable=True) from None
        raise BrokerRefused(
            f"the vhost {vhost} does not exist, or this user may not use it: check the path of the URL ({reason})"
        ) from None


def alarm(error):
    """What to raise for pika's ConnectionBlockedTimeout."""
    text = "RabbitMQ has an alarm (memory or disk space is short) and takes no messages until it is cleared"
    return PulseAgentError("Unavailable", f"{text}: {error}", retryable=True)


@dataclass
class Credentials:
    """Taskcluster credentials; `certificate` is the text or the object that temporary ones come with."""

    client_id: str
    access_token: str
    certificate: str | dict | None = None
    authorized_scopes: list[str] | None = None

    def ext(self):
        fields = {}
        if self.certificate is not None:
            text = isinstance(self.certificate, str)
            fields["certificate"] = json.loads(self.certificate) if text else self.certificate
        if self.authorized_scopes is not None:
            fields["authorizedScopes"] = self.authorized_scopes
        return base64.b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode() if fields else None


def resource(method, reply_to, correlation_id):
    """The signed path. quote() encodes `!'()*` by default; encodeURIComponent does not."""
    reply_to, correlation_id = (quote(text, safe="!'()*") for text in (reply_to, correlation_id))
    return f"/v1/{method}?replyTo={reply_to}&correlationId={correlation_id}"


def sign(method, body, reply_to, correlation_id, credentials, audience="pulse-agent", timestamp=None, nonce=None):
    """The header `authorization` of a request with exactly the bytes `body`."""
    sender = mohawk.Sender(
        {"id": credentials.client_id, "key": credentials.access_token, "algorithm": "sha256"},
        f"https://{audience}:443{resource(method, reply_to, correlation_id)}",
        "POST",
        content=body,
        content_type="application/json",
        ext=credentials.ext(),
        # mohawk's own nonces are short.
        nonce=nonce or secrets.token_urlsafe(16),
        _timestamp=str(timestamp or int(time.time())),
    )
    return sender.request_header


def open_sealed(text, key):
    """The result in a sealed reply. Nothing but ECDH-ES with A256GCM is opened, whatever its header says."""
    token = jwe.JWE(algs=["ECDH-ES", "A256GCM"])
    token.deserialize(text, key)
    return json.loads(token.payload)


class Agent:
    """Requests over one connection to the vhost of the requests, as the claimant or with claimed credentials."""

    def __init__(self, url, credentials=None, agent_id="pulse-agent", audience="pulse-agent", timeout=15):
        self.credentials = credentials
        self.agent_id = agent_id
        self.exchange = f"rpc/{agent_id}/v1"
        self.audience = audience
        self.timeout = timeout
        self.connection = connect(url, timeout)
        self.channel = self.connection.channel()
        # With confirms, a full queue is reported immediately.
        self.channel.confirm_delivery()
        self.expected = self.reply = None
        # Direct reply-to: consume, without acknowledgements, on the channel that publishes, before publishing.
        self.channel.basic_consume(REPLY_TO, self._on_reply, auto_ack=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.connection.is_open:
            self.connection.close()

    def _on_reply(self, _channel, _method, properties, body):
        # Ignore a reply that arrives after its time-out.
        if properties.correlation_id == self.expected:
            self.reply = (properties, body)

    def request(self, method, body):
        """Sends one request and returns the result, as text where it is sealed.

        Raises PulseAgentError for what the agent refuses, BrokerRefused for a wrong id, and NoReply after `timeout` seconds.
        """
        try:
            return self._exchange(method, body)
        except ChannelClosedByBroker as error:
            # 403 without the right to send requests there, 404 where no agent of this version has ever run.
            if error.reply_code not in (403, 404):
                raise
            raise BrokerRefused(
                f"no requests can be sent to an agent with the id {self.agent_id}: check the id and the path of the URL"
                f" ({error.reply_text})"
            ) from None
        except ConnectionBlockedTimeout as error:
            raise alarm(error) from None

    def _exchange(self, method, body):
        correlation_id = str(uuid.uuid4())
        content = json.dumps(body).encode()
        headers = {}
        if method in SIGNED_METHODS:
            headers["authorization"] = sign(
                method, content, REPLY_TO, correlation_id, self.credentials, self.audience
            )
        properties = pika.BasicProperties(
            content_type="application/json",
            reply_to=REPLY_TO,
            correlation_id=correlation_id,
            headers=headers,
            # A request that waits longer than this has no recipient for its reply.
            expiration=str(int(self.timeout * 1000)),
        )
        self.expected, self.reply = correlation_id, None
        deadline = time.monotonic() + self.timeout
        try:
            self.channel.basic_publish(self.exchange, method, content, properties)
        except NackError:
            raise PulseAgentError("Unavailable", "the request queue is full", retryable=True) from None
        while self.reply is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoReply(method, self.timeout)
            self.connection.process_data_events(time_limit=left)
        return self._read(*self.reply)

    @staticmethod
    def _read(properties, body):
        if properties.content_type == "application/jose":
            return body.decode()
        content = json.loads(body)
        if properties.type == "result":
            return content
        raise PulseAgentError(content["code"], content["message"], content["retryable"], content.get("details"))

    def claim(self, namespace, **fields):
        """Claims a namespace with a sealed reply, for a key that is made for this request alone."""
        key = jwk.JWK.generate(kty="OKP", crv="X25519")
        public = {name: key.export_public(as_dict=True)[name] for name in ("kty", "crv", "x")}
        body = {"namespace": namespace, "replyKey": public, **fields}
        return open_sealed(self.request("claim-namespace", body), key)
