"""Tries an agent against the sentences of docs/protocol.md. Prints a line for each; ends with 1 where one does not hold.

The environment names the agent, three Taskcluster clients and, to look into the dead letters, an administrator's URL.
"""

import base64
import json
import os
import re
import sys
import time
import traceback
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pika
from jwcrypto import jwe, jwk

from client import AGENT, DIRECT, RPC, Client

TEAM, NEWCOMER, OPERATOR = (tuple(json.loads(os.environ[name])) for name in ("TEAM", "NEWCOMER", "OPERATOR"))
CLAIMANT_URL, ADMIN_URL, PREFIX = (os.environ[name] for name in ("CLAIMANT_URL", "ADMIN_URL", "NAMESPACE_PREFIX"))
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CONTACT = "secret-contact@example.com"

CHECKS = []
counter = iter(range(10_000))


def check(work):
    CHECKS.append(work)
    return work


def namespace():
    return f"{PREFIX}{next(counter)}"


def claimed(client, name=None):
    name = name or namespace()
    return client.request("claim-namespace", {"namespace": name}, TEAM).json


def instant(hours):
    return (datetime.now(timezone.utc) + timedelta(hours=hours)).isoformat()


def ms(text):
    assert INSTANT.fullmatch(text), text
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def with_request_vhost(connection_string):
    """The same user, in the vhost of the requests."""
    return urlsplit(connection_string)._replace(path=urlsplit(CLAIMANT_URL).path).geturl()


def dead_letter(correlation_id):
    connection = pika.BlockingConnection(pika.URLParameters(ADMIN_URL))
    channel = connection.channel()
    try:
        for _method, properties, body in channel.consume(f"queue/{AGENT}/v1/dead", auto_ack=True, inactivity_timeout=25):
            assert properties is not None, "there is no dead letter"
            if properties.correlation_id == correlation_id:
                return properties, body
    finally:
        connection.close()


@check
def ping_says_that_an_agent_is_alive(c):
    reply = c.request("ping")
    assert (reply.type, reply.content_type) == ("result", "application/json")
    assert set(reply.json) == {"alive", "uptimeSeconds", "version", "agent"}
    assert reply.json["alive"] is True and reply.json["agent"] == AGENT


@check
def a_claim_gives_credentials_that_work_for_the_namespace_alone(c):
    result = claimed(c)
    assert set(result) == {"namespace", "created", "expires", "reclaimAt", "connectionString"}
    now = datetime.now(timezone.utc)
    assert ms(result["created"]) <= now + timedelta(seconds=1) and now < ms(result["reclaimAt"]) <= ms(result["expires"])
    assert ms(result["expires"]) >= now + timedelta(hours=4, seconds=-5)
    own, mine = result["namespace"], Client(result["connectionString"])
    assert mine.refusal(lambda channel: channel.basic_publish(RPC, "ping", b"{}")) in (403, 404), "requests are elsewhere"
    mine.channel.queue_declare(f"queue/{own}/q", durable=True, arguments={"x-queue-type": "quorum"})
    mine.channel.exchange_declare(f"exchange/{own}/e", "topic", durable=True)
    mine.channel.queue_bind(f"queue/{own}/q", f"exchange/{own}/e", "#")
    mine.channel.queue_bind(f"queue/{own}/q", f"exchange/{AGENT}/v1/events", "#")
    for name in (f"queue/{own}x/q", f"queue/{own}", "plain", f"Queue/{own}/q", f"xqueue/{own}/q"):
        assert mine.refusal(lambda channel, name=name: channel.queue_declare(name)) == 403, name
    assert mine.refusal(lambda channel: channel.basic_publish("", f"queue/{own}/q", b"")) == 403
    mine.close()
    requester = Client(with_request_vhost(result["connectionString"]))
    again = requester.request("claim-namespace", {"namespace": own}, TEAM)
    assert again.json["connectionString"] == result["connectionString"]
    for forbidden in (
        lambda channel: channel.queue_declare(f"queue/{own}/q"),
        lambda channel: channel.queue_declare("", exclusive=True),
        lambda channel: channel.exchange_declare(f"exchange/{own}/e"),
        lambda channel: channel.exchange_bind(RPC, "amq.topic", "#"),
        lambda channel: channel.basic_consume(f"queue/{AGENT}/v1/requests", print),
        lambda channel: channel.basic_publish("", f"queue/{AGENT}/v1/requests", b""),
    ):
        assert requester.refusal(forbidden) == 403
    requester.close()


@check
def a_sealed_result_is_a_compact_jwe_for_the_key(c):
    key = jwk.JWK.generate(kty="OKP", crv="X25519")
    public = {name: value for name, value in key.export_public(as_dict=True).items() if name in ("kty", "crv", "x")}
    reply = c.request("claim-namespace", {"namespace": namespace(), "replyKey": public}, TEAM)
    assert (reply.type, reply.content_type) == ("result", "application/jose")
    header = json.loads(base64.urlsafe_b64decode(reply.body.split(b".")[0] + b"=="))
    assert (header["alg"], header["enc"], header["epk"]["crv"]) == ("ECDH-ES", "A256GCM", "X25519")
    token = jwe.JWE(algs=["ECDH-ES", "A256GCM"])
    token.deserialize(reply.body.decode(), key)
    assert set(json.loads(token.payload)) == {"namespace", "created", "expires", "reclaimAt", "connectionString"}
    for wrong in ({**public, "d": "A" * 43}, {**public, "x": "A" * 43}, {**public, "x": "!"}, {**public, "crv": "P-256"}):
        refused = c.request("claim-namespace", {"namespace": namespace(), "replyKey": wrong}, TEAM)
        assert (refused.code, refused.content_type) == ("InputError", "application/json"), wrong


@check
def no_claim_shortens_expires_and_none_goes_too_far(c):
    name = namespace()
    far = c.request("claim-namespace", {"namespace": name, "expires": instant(100)}, TEAM).json["expires"]
    for body in ({"namespace": name}, {"namespace": name, "expires": instant(1)}):
        assert c.request("claim-namespace", body, TEAM).json["expires"] == far
    for expires in (instant(-1), instant(24 * 32), "tomorrow", 5, None, instant(1).replace("+00:00", "+02:00")):
        reply = c.request("claim-namespace", {"namespace": name, "expires": expires}, TEAM)
        assert (reply.code, reply.json["details"]) == ("InputError", {"field": "expires"}), expires


@check
def anybody_may_look_and_nobody_sees_a_contact(c):
    names = sorted(namespace() for _ in range(3))
    for name in names:
        c.request("claim-namespace", {"namespace": name, "contact": CONTACT}, TEAM)
    got = c.request("get-namespace", {"namespace": names[0]}).json
    assert set(got) == {"namespace", "created", "expires", "state"} and got["state"] == "active"
    details = c.request("get-namespace", {"namespace": names[0]}, TEAM).json["details"]
    assert details["holder"] == TEAM[0] and ms(details["lastClaim"]) and ms(details["nextRotation"])
    seen, token = [], None
    while True:
        page = c.request("list-namespaces", {"limit": 2, **({"continuationToken": token} if token else {})})
        assert CONTACT.encode() not in page.body
        seen += [entry["namespace"] for entry in page.json["namespaces"]]
        token = page.json.get("continuationToken")
        if token is None:
            break
    assert seen == sorted(seen) and set(names) <= set(seen) and len(seen) == len(set(seen))
    assert c.request("get-namespace", {"namespace": namespace()}).code == "ResourceNotFound"


@check
def an_unknown_field_is_an_input_error_in_every_method(c):
    for method in ("ping", "claim-namespace", "get-namespace", "list-namespaces", "release-namespace", "revoke-namespace"):
        body = {} if method in ("ping", "list-namespaces") else {"namespace": namespace()}
        for extra in ("colour", "__proto__", "Namespace", ""):
            reply = c.request(method, {**body, extra: 1}, TEAM)
            assert (reply.code, reply.json["details"]) == ("InputError", {"field": extra}), (method, reply.json)


@check
def a_body_may_have_16384_bytes_in_utf8_and_no_field_twice(c):
    body = json.dumps({"namespace": namespace()}).encode()
    assert c.request("claim-namespace", body.ljust(16384), TEAM).type == "result"
    for wrong in (body.ljust(16385), b"", b"[]", b"null", b"{", b"\xef\xbb\xbf{}", b"\xff", b'{"a":1,"a":1}', b"NaN"):
        reply = c.request("get-namespace", wrong)
        assert reply.code == "InputError" and reply.json["retryable"] is False, wrong[:9]
    for content_type in (None, "text/plain", "application/json; charset=utf-8", "Application/JSON"):
        assert c.request("ping", content_type=content_type).code == "InputError", content_type


@check
def the_correlation_id_comes_back(c):
    for good in ("!", "~" * 128, "'()*!\"#$%&+,/:;<=>?@[\\]^`{|}"):
        reply = c.request("claim-namespace", {"namespace": namespace()}, TEAM, correlation_id=good)
        assert (reply.type, reply.properties.correlation_id) == ("result", good), good
    for bad in ("x" * 129, "a b", "ä", "a\tb"):
        reply = c.request("ping", correlation_id=bad)
        assert (reply.code, reply.properties.correlation_id) == ("InputError", bad), bad


@check
def a_signature_that_is_wrong_is_an_error_even_where_none_is_needed(c):
    name = {"namespace": namespace()}
    wrong = [
        {"ts": int(time.time()) - 310}, {"ts": int(time.time()) + 310}, {"ts": "abc"}, {"ts": str(int(time.time()))[:9]},
        {"ts": f"{int(time.time())}0"}, {"hash": "x"}, {"hash": "A" * 43 + "="}, {"nonce": "n" * 129},
    ]
    for method in ("claim-namespace", "get-namespace"):
        for change in wrong:
            assert c.request(method, name, TEAM, **change).code == "AuthenticationFailed", (method, change)
        for client in ((TEAM[0], "not-the-token"), ("nobody", TEAM[1])):
            assert c.request(method, name, client).code == "AuthenticationFailed", (method, client[0])
        for header in ("", "Hawk", "Bearer x", b"Hawk", 7, ["Hawk"], {"id": "x"}, None):
            reply = c.request(method, name, headers={"authorization": header})
            assert reply.code == "AuthenticationFailed", (method, header)
    assert c.request("claim-namespace", name).code == "AuthenticationFailed"
    stale = c.request("claim-namespace", name, TEAM, ts=1_600_000_000)
    assert stale.json["details"].keys() == {"agentTime"} and ms(stale.json["details"]["agentTime"])


@check
def scopes_decide(c):
    name = namespace()
    reply = c.request("claim-namespace", {"namespace": name}, NEWCOMER)
    assert reply.code == "InsufficientScopes" and reply.json["retryable"] is False
    assert reply.json["details"] == {"required": f"pulse:namespace:{name}", "clientId": NEWCOMER[0]}
    narrow = c.request("claim-namespace", {"namespace": name}, TEAM, ext={"authorizedScopes": []})
    assert narrow.code == "InsufficientScopes"
    claimed(c, name)
    reply = c.request("revoke-namespace", {"namespace": name}, TEAM)
    assert reply.json["details"]["required"] == f"pulse:revoke:{name}"


@check
def a_nonce_counts_once_for_one_reply_address(c):
    composed = c.compose("claim-namespace", {"namespace": namespace()}, TEAM)
    first = c.reply(c.send(composed))
    again = c.reply(c.send(composed))
    # `expires` moves on with every claim.
    assert first.json["connectionString"] == again.json["connectionString"], "over the same channel it is a redelivery"
    other = Client(CLAIMANT_URL)
    replayed = other.reply(other.send(composed))
    assert replayed.code == "ReplayDetected" and replayed.json["retryable"] is False
    other.close()


@check
def a_reply_address_other_than_direct_reply_to_gets_no_answer_and_loses_its_signature(c):
    body = {"namespace": namespace()}
    own = f"queue/{body['namespace']}/replies"
    for reply_to in (None, "", "plain", f"queue/{namespace()}/q", own, f"{DIRECT}.forged.x"):
        correlation_id = c.send(c.compose("claim-namespace", body, TEAM, reply_to=reply_to))
        letter, content = dead_letter(correlation_id)
        assert json.loads(content) == body and "authorization" not in (letter.headers or {}), reply_to
        assert "Hawk" not in str(letter.headers), reply_to
    assert c.request("get-namespace", body).code == "ResourceNotFound"


@check
def a_method_or_version_that_is_not_there_is_told(c):
    reply = c.request("transfer-namespace", {"anything": 1}, TEAM)
    assert (reply.code, reply.json["details"]["field"]) == ("InputError", "method")
    assert "claim-namespace" in reply.json["details"]["methods"]
    publish = lambda exchange: c.refusal(lambda channel: channel.basic_publish(exchange, "ping", b"{}"))  # noqa: E731
    assert publish(f"rpc/{AGENT}/v2") == 404
    assert publish(f"rpc/{AGENT}/v1/dead") == 403
    assert publish(f"exchange/{AGENT}/v1/events") == 403


@check
def a_false_user_id_is_refused_by_the_broker(c):
    user = CLAIMANT_URL.split("//")[1].split(":")[0]
    assert c.request("ping", user_id=user).type == "result"
    false = c.compose("ping", user_id="somebody-else")
    assert c.refusal(lambda _channel: c.send(false)) == 406


@check
def release_ends_a_namespace_and_the_next_life_has_other_passwords(c):
    result = claimed(c)
    name = {"namespace": result["namespace"]}
    released = c.request("release-namespace", name, TEAM)
    assert released.json == {**name, "state": "expiring"}
    refused = c.request("claim-namespace", name, TEAM)
    assert refused.code == "RequestConflict" and refused.json["retryable"] is True
    late = time.monotonic() + 40
    while (again := c.request("claim-namespace", name, TEAM)).code == "RequestConflict" and time.monotonic() < late:
        time.sleep(0.2)
    assert again.type == "result" and again.json["connectionString"] != result["connectionString"]
    assert c.request("release-namespace", {"namespace": namespace()}, TEAM).code == "ResourceNotFound"


@check
def revoke_makes_credentials_useless_and_closes_connections(c):
    result = claimed(c)
    name = {"namespace": result["namespace"]}
    mine = Client(result["connectionString"])
    assert c.request("revoke-namespace", name, OPERATOR).json == name
    try:
        mine.connection.process_data_events(time_limit=5)
        raise AssertionError("the connection lives")
    except pika.exceptions.AMQPConnectionError:
        pass
    try:
        Client(result["connectionString"])
        raise AssertionError("the credentials work")
    except pika.exceptions.AMQPConnectionError:
        pass
    Client(claimed(c, name["namespace"])["connectionString"]).close()
    until = instant(1)
    revoked = c.request("revoke-namespace", {**name, "until": until}, OPERATOR).json
    assert abs(ms(revoked["revokedUntil"]) - datetime.fromisoformat(until)) < timedelta(milliseconds=1)
    refused = c.request("claim-namespace", name, TEAM)
    assert refused.code == "RequestConflict" and refused.json["retryable"] is True
    assert refused.json["details"]["revokedUntil"] == revoked["revokedUntil"]


@check
def events_are_cloudevents_that_any_claimed_account_reads(c):
    result = claimed(c)
    own, mine = result["namespace"], Client(result["connectionString"])
    events, queue, other = f"exchange/{AGENT}/v1/events", f"queue/{own}/events", namespace()
    mine.channel.queue_declare(queue, exclusive=True)
    mine.channel.queue_bind(queue, events, f"*.*.{other}")
    claim = c.request("claim-namespace", {"namespace": other, "contact": CONTACT}, TEAM).json
    for method, properties, body in mine.channel.consume(queue, auto_ack=True, inactivity_timeout=25):
        assert method is not None, "no event came"
        event = json.loads(body)
        assert method.routing_key == f"namespace.claimed.{other}"
        assert properties.content_type == "application/cloudevents+json"
        assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "namespace.claimed", other)
        password = claim["connectionString"].split("//")[1].split("@")[0].split(":")[1]
        assert CONTACT not in body.decode() and password not in body.decode()
        break
    mine.close()


def main():
    failed = 0
    for work in CHECKS:
        client = Client(CLAIMANT_URL)
        try:
            work(client)
            print(f"ok    {work.__name__}", flush=True)
        except Exception:  # noqa: BLE001
            failed += 1
            print(f"FAIL  {work.__name__}\n{traceback.format_exc()}", flush=True)
        finally:
            if client.connection.is_open:
                client.close()
    sys.exit(1 if failed else 0)


main()
