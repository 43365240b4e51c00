"""A small client of Pulse Agent: signed requests over RabbitMQ, sealed results.

The contract is docs/protocol.md; the vectors of docs/protocol-vectors.json are checked by check_vectors.py.
"""

import base64
import json
import secrets
import time
import uuid
from dataclasses import dataclass
from urllib.parse import quote

import mohawk
import pika
from jwcrypto import jwe, jwk
from pika.exceptions import NackError

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
        self.exchange = f"rpc/{agent_id}/v1"
        self.audience = audience
        self.timeout = timeout
        parameters = pika.URLParameters(url)
        # While the broker has an alarm, it does not read what is published.
        parameters.blocked_connection_timeout = timeout
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        # With confirms, a full queue is reported immediately.
        self.channel.confirm_delivery()
        self.expected = self.reply = None
        # Direct reply-to: consume, without acknowledgements, on the channel that publishes, before publishing.
        self.channel.basic_consume(REPLY_TO, self._on_reply, auto_ack=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def _on_reply(self, _channel, _method, properties, body):
        # Ignore a reply that arrives after its time-out.
        if properties.correlation_id == self.expected:
            self.reply = (properties, body)

    def request(self, method, body):
        """Sends one request and returns the result, as text where it is sealed.

        Raises PulseAgentError for what the agent refuses, and NoReply after `timeout` seconds.
        """
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
