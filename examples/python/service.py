"""Keeps a namespace: claims it, uses the credentials until it is time to claim again, and repeats.

    python3 service.py taskcluster-team-a          # until Ctrl-C
    python3 service.py taskcluster-team-a --once   # until the first message

Reads PULSE_AGENT_URL (the address with the claimant's credentials, and the vhost of the requests as its path; for a
cluster one for each node, with commas between),
TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN,
and, for temporary credentials, TASKCLUSTER_CERTIFICATE. PULSE_AGENT_ID and PULSE_AGENT_AUDIENCE where the agent has
others than pulse-agent.
"""

import argparse
import itertools
import os
import sys
import time
from datetime import datetime, timezone

from pika.exceptions import AMQPError, ConnectionBlockedTimeout

from pulse_agent import Agent, Credentials, PulseAgentError, addresses, alarm, connect

BLOCKED_TIMEOUT = 15


def reason(error):
    """Many errors of pika have no text."""
    return str(error) or repr(error)


def required(name):
    """The value of an environment variable; an empty URL would lead to RabbitMQ on this machine."""
    return os.environ.get(name) or sys.exit(f"set the environment variable {name}: README.md shows an example")


def claim(namespace):
    """Claims, and retries with growing pauses as long as a retry can succeed."""
    url = required("PULSE_AGENT_URL")
    credentials = Credentials(
        required("TASKCLUSTER_CLIENT_ID"),
        required("TASKCLUSTER_ACCESS_TOKEN"),
        os.environ.get("TASKCLUSTER_CERTIFICATE") or None,
    )
    agent_id = os.environ.get("PULSE_AGENT_ID") or "pulse-agent"
    audience = os.environ.get("PULSE_AGENT_AUDIENCE") or "pulse-agent"
    for attempt in itertools.count():
        try:
            with Agent(url, credentials, agent_id, audience) as agent:
                return agent.claim(namespace)
        except (PulseAgentError, AMQPError) as error:
            if not getattr(error, "retryable", True):
                raise
            print(f"claiming again in a moment: {reason(error)}", file=sys.stderr, flush=True)
        time.sleep(min(60, 2**attempt))


def work(namespace, urls, until, once):
    """Publishes a message to an exchange of the namespace and consumes from a queue of the namespace."""
    connection = connect(urls, BLOCKED_TIMEOUT)
    channel = connection.channel()
    channel.confirm_delivery()
    exchange, queue = f"exchange/{namespace}/example", f"queue/{namespace}/example"
    channel.exchange_declare(exchange, "topic", durable=True)
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(queue, exchange, "greeting.#")
    channel.basic_publish(exchange, "greeting.hello", b"hello from Python", mandatory=True)
    for method, _properties, body in channel.consume(queue, inactivity_timeout=1):
        if method is not None:
            print(f"received: {body.decode()}", flush=True)
            channel.basic_ack(method.delivery_tag)
            if once:
                break
        if time.monotonic() >= until:
            break
    # RabbitMQ redelivers unacknowledged messages on the next connection.
    connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("namespace")
    parser.add_argument("--once", action="store_true", help="end after the first message")
    options = parser.parse_args()
    while True:
        result = claim(options.namespace)
        print(f"claimed, to be claimed again at {result['reclaimAt']}", flush=True)
        reclaim_at = datetime.fromisoformat(result["reclaimAt"].replace("Z", "+00:00"))
        # Earlier than reclaimAt: clocks differ, and a claim may need retries.
        until = time.monotonic() + 0.9 * (reclaim_at - datetime.now(timezone.utc)).total_seconds()
        try:
            work(options.namespace, addresses(result), until, options.once)
        except ConnectionBlockedTimeout as error:
            print(alarm(error), file=sys.stderr, flush=True)
        except (PulseAgentError, AMQPError) as error:
            # Also where the credentials were revoked in between: the next claim gets others, or says why not.
            print(f"the connection is gone: {reason(error)}", file=sys.stderr, flush=True)
        else:
            if options.once:
                break


if __name__ == "__main__":
    try:
        main()
    except PulseAgentError as refused:
        sys.exit(str(refused))
    except KeyboardInterrupt:
        pass
