"""Checks this client with the vectors of the contract: python3 check_vectors.py docs/protocol-vectors.json"""

import json
import sys
from urllib.parse import quote

from jwcrypto import jwk

from pulse_agent import Credentials, open_sealed, resource, sign


def attributes(header):
    scheme, rest = header.split(" ", 1)
    return scheme, dict(part.split('="', 1) for part in rest.removesuffix('"').split('", '))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        vectors = json.load(file)
    checked = 0
    for vector in vectors["requests"]:
        given = vector["credentials"]
        credentials = Credentials(
            given["clientId"], given["accessToken"], given.get("certificate"), given.get("authorizedScopes")
        )
        address = (vector["method"], vector["replyTo"], vector["correlationId"])
        assert resource(*address) == vector["resource"], vector["name"]
        header = sign(
            vector["method"],
            vector["body"].encode(),
            vector["replyTo"],
            vector["correlationId"],
            credentials,
            vector["audience"],
            vector["timestampSeconds"],
            vector["nonce"],
        )
        assert attributes(header) == attributes(vector["authorization"]), vector["name"]
        checked += 1
    for vector in vectors["encodings"]:
        assert quote(vector["text"], safe="!'()*") == vector["encoded"], vector["text"]
        checked += 1
    sealed = vectors["sealed"]
    opened = open_sealed(sealed["jwe"], jwk.JWK(**sealed["privateKey"]))
    assert opened == json.loads(sealed["plaintext"])
    print(f"{checked + 1} vectors agree")


if __name__ == "__main__":
    main()
