"""A client that shares nothing with the project: pika for AMQP, and Hawk from the standard library."""

import base64
import hashlib
import hmac
import json
import os
import time
import uuid
from urllib.parse import quote

import pika

AGENT = os.environ["PULSE_AGENT_ID"]
AUDIENCE = os.environ["PULSE_AGENT_AUDIENCE"]
RPC = f"rpc/{AGENT}/v1"
DIRECT = "amq.rabbitmq.reply-to"
PATIENCE_S = 25


def base64_of(data):
    return base64.b64encode(data).decode()


def hawk(method, body, reply_to, correlation_id, client, **other):
    """The header of a request; `other` makes it wrong on purpose."""
    client_id, token = client
    ts, nonce = str(other.get("ts", int(time.time()))), other.get("nonce") or uuid.uuid4().hex
    digest = other.get("hash") or base64_of(hashlib.sha256(b"hawk.1.payload\napplication/json\n" + body + b"\n").digest())
    encode = lambda text: quote(text, safe="!'()*")  # noqa: E731
    resource = f"/v1/{method}?replyTo={encode(reply_to)}&correlationId={encode(correlation_id)}"
    ext = base64_of(json.dumps(other["ext"]).encode()) if "ext" in other else ""
    lines = ["hawk.1.header", ts, nonce, "POST", resource, AUDIENCE, "443", digest, ext, ""]
    mac = base64_of(hmac.new(token.encode(), "\n".join(lines).encode(), hashlib.sha256).digest())
    header = f'Hawk id="{client_id}", ts="{ts}", nonce="{nonce}", hash="{digest}", mac="{mac}"'
    return header + (f', ext="{ext}"' if ext else "")


class Reply:
    def __init__(self, properties, body):
        self.properties, self.body = properties, body
        self.type, self.content_type = properties.type, properties.content_type
        self.json = json.loads(body) if properties.content_type == "application/json" else None

    @property
    def code(self):
        return self.json["code"] if self.type == "error" else self.type


class Client:
    def __init__(self, url):
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.open_channel()

    def open_channel(self):
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.replies = []
        self.listen(DIRECT)

    def listen(self, queue):
        take = lambda _channel, _method, properties, body: self.replies.append(Reply(properties, body))  # noqa: E731
        self.channel.basic_consume(queue, take, auto_ack=True)

    def compose(self, method, body=None, client=None, reply_to=DIRECT, correlation_id=None, **other):
        content = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
        correlation_id = uuid.uuid4().hex if correlation_id is None else correlation_id
        headers = dict(other.get("headers", {}))
        if client is not None:
            headers["authorization"] = hawk(method, content, reply_to or "", correlation_id, client, **other)
        properties = pika.BasicProperties(
            content_type=other.get("content_type", "application/json"),
            reply_to=reply_to,
            correlation_id=correlation_id,
            headers=headers,
            user_id=other.get("user_id"),
        )
        return method, content, properties

    def send(self, composed, exchange=RPC):
        method, content, properties = composed
        self.channel.basic_publish(exchange, method, content, properties)
        return properties.correlation_id

    def reply(self, correlation_id, patience=PATIENCE_S):
        late = time.monotonic() + patience
        while time.monotonic() < late:
            for reply in self.replies:
                if reply.properties.correlation_id == correlation_id:
                    self.replies.remove(reply)
                    return reply
            self.connection.process_data_events(time_limit=0.1)
        return None

    def request(self, *arguments, **other):
        composed = self.compose(*arguments, **other)
        reply = self.reply(self.send(composed))
        assert reply is not None, f"no reply to {composed[0]}"
        return reply

    def refusal(self, work):
        """The code with which the broker closes the channel over `work`; the client then has a new one."""
        try:
            work(self.channel)
            self.connection.process_data_events(time_limit=1)
        except pika.exceptions.ChannelClosedByBroker as error:
            self.open_channel()
            return error.reply_code
        return None

    def close(self):
        self.connection.close()
