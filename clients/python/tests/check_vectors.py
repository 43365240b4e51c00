"""Checks the library with the vectors of the contract: python3 check_vectors.py docs/protocol-vectors.json"""

from __future__ import annotations

import json
import sys
from typing import Any

from pulse_agent_client._contract import Credentials, ReplyKey, encode_component, parse_instant, resource, sign
from pulse_agent_client.results import claim_of


def attributes(header: str) -> tuple[str, dict[str, str]]:
    scheme, rest = header.split(" ", 1)
    pairs = (part.split('="', 1) for part in rest.removesuffix('"').split('", '))
    return scheme, {name: value for name, value in pairs}


def check_request(vector: dict[str, Any]) -> None:
    given = vector["credentials"]
    credentials = Credentials(
        given["clientId"], given["accessToken"], given.get("certificate"), given.get("authorizedScopes")
    )
    assert resource(vector["method"], vector["replyTo"], vector["correlationId"]) == vector["resource"], vector["name"]
    header = sign(
        vector["method"],
        vector["body"].encode(),
        vector["correlationId"],
        credentials,
        vector["audience"],
        reply_to=vector["replyTo"],
        seconds=vector["timestampSeconds"],
        nonce=vector["nonce"],
    )
    assert attributes(header) == attributes(vector["authorization"]), vector["name"]


def check_sealed(vector: dict[str, Any]) -> None:
    opened = ReplyKey(vector["privateKey"]).open(vector["jwe"])
    assert opened.decode() == vector["plaintext"]
    body = json.loads(opened)
    claim = claim_of(body)
    assert list(claim.connection_strings) == body.get("connectionStrings", [body["connectionString"]])


def is_refused(text: str) -> bool:
    try:
        parse_instant(text)
    except ValueError:
        return True
    return False


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        vectors = json.load(file)
    for vector in vectors["requests"]:
        check_request(vector)
    for vector in vectors["encodings"]:
        assert encode_component(vector["text"]) == vector["encoded"], vector["text"]
    sealed = [vectors["sealed"], vectors["sealedWithSeveralAddresses"]]
    for vector in sealed:
        check_sealed(vector)
    for vector in vectors["instants"]:
        assert round(parse_instant(vector["text"]).timestamp() * 1000) == vector["ms"], vector["text"]
    for text in vectors["refusedInstants"]:
        assert is_refused(text), text
    lists = ("requests", "encodings", "instants", "refusedInstants")
    print(f"{sum(len(vectors[name]) for name in lists) + len(sealed)} vectors agree")


if __name__ == "__main__":
    main()
