"""What crosses the wire, without any connection: names, instants, signatures, sealed results, errors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from jwcrypto import jwe, jwk
from jwcrypto.common import JWException

from . import errors

REPLY_TO = "amq.rabbitmq.reply-to"
SIGNED_METHODS = frozenset({"claim-namespace", "describe-namespace", "release-namespace", "revoke-namespace"})
NOT_REPEATABLE = frozenset({"release-namespace", "revoke-namespace"})
"""A second one could hit a namespace that another client claimed after the first one was served."""

_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|\+00:00)", re.ASCII)


@dataclass(frozen=True)
class Credentials:
    """Taskcluster credentials. `certificate` is the text, or the object, that temporary ones come with."""

    client_id: str
    access_token: str = field(repr=False)
    certificate: str | Mapping[str, Any] | None = field(default=None, repr=False)
    authorized_scopes: tuple[str, ...] | list[str] | None = None

    def ext(self) -> str:
        """The attribute `ext` of a signature; empty if there is none."""
        fields: dict[str, Any] = {}
        # An unset variable is often passed on as an empty text.
        if self.certificate:
            is_text = isinstance(self.certificate, str)
            fields["certificate"] = json.loads(self.certificate) if is_text else self.certificate  # type: ignore[arg-type]
        if self.authorized_scopes is not None:
            fields["authorizedScopes"] = list(self.authorized_scopes)
        return _base64(json.dumps(fields, separators=(",", ":")).encode()) if fields else ""


def encode_component(text: str) -> str:
    """As encodeURIComponent of JavaScript: `quote` alone encodes `!'()*`, and leaves `/`."""
    return quote(text, safe="!'()*")


def resource(method: str, reply_to: str, correlation_id: str) -> str:
    """The signed path."""
    return f"/v1/{method}?replyTo={encode_component(reply_to)}&correlationId={encode_component(correlation_id)}"


def sign(
    method: str,
    body: bytes,
    correlation_id: str,
    credentials: Credentials,
    audience: str,
    *,
    seconds: int,
    reply_to: str = REPLY_TO,
    nonce: str | None = None,
) -> str:
    """The header `authorization` of a request with exactly this body: Hawk, as docs/protocol.md has it."""
    timestamp = str(seconds)
    nonce = nonce or secrets.token_urlsafe(16)
    ext = credentials.ext()
    payload = _base64(hashlib.sha256(b"hawk.1.payload\napplication/json\n" + body + b"\n").digest())
    path = resource(method, reply_to, correlation_id)
    lines = ["hawk.1.header", timestamp, nonce, "POST", path, audience.lower(), "443", payload, ext, ""]
    mac = _base64(hmac.new(credentials.access_token.encode(), "\n".join(lines).encode(), hashlib.sha256).digest())
    attributes = {"id": credentials.client_id, "ts": timestamp, "nonce": nonce, "hash": payload, "mac": mac}
    if ext:
        attributes["ext"] = ext
    return "Hawk " + ", ".join(f'{name}="{value}"' for name, value in attributes.items())


class ReplyKey:
    """A key for one sealed result."""

    def __init__(self, private: Mapping[str, str] | None = None):
        self._key = jwk.JWK(**private) if private else jwk.JWK.generate(kty="OKP", crv="X25519")

    def public(self) -> dict[str, str]:
        public: dict[str, str] = self._key.export_public(as_dict=True)
        return {name: public[name] for name in ("kty", "crv", "x")}

    def open(self, sealed: str) -> bytes:
        """Opens nothing but ECDH-ES with A256GCM, whatever its header says."""
        try:
            token = jwe.JWE(algs=["ECDH-ES", "A256GCM"])
            token.deserialize(sealed, self._key)
            return bytes(token.payload)
        except (JWException, ValueError) as error:
            raise internal("The sealed result cannot be opened.") from error


def internal(message: str) -> errors.InternalServerError:
    return errors.InternalServerError("InternalServerError", message, retryable=True)


def parse_instant(text: object) -> datetime:
    """An instant of the contract; a fraction is rounded up to the millisecond. Raises ValueError for other text."""
    found = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("This is no instant in UTC.")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    whole = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    fraction = found[7] or "0"
    return whole + timedelta(milliseconds=-(-int(fraction) * 1000 // 10 ** len(fraction)))


def format_instant(instant: datetime) -> str:
    if instant.tzinfo is None:
        raise ValueError("The time zone is missing.")
    return instant.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_CLASSES: Mapping[str, type[errors.PulseAgentError]] = {
    each.__name__: each
    for each in (
        errors.InputError,
        errors.AuthenticationFailed,
        errors.InsufficientScopes,
        errors.ResourceNotFound,
        errors.RequestConflict,
        errors.ReplayDetected,
        errors.InternalServerError,
    )
}


def answered_error(body: Mapping[str, Any], now: float) -> errors.PulseAgentError:
    """The error that an agent answered. `now` is the time by the clock of the client."""
    code, message, retryable = body.get("code"), body.get("message"), body.get("retryable")
    details = body.get("details") or {}
    if not (isinstance(code, str) and isinstance(message, str) and isinstance(details, Mapping)):
        return internal("The reply is no error of the contract.")
    if code == "AuthenticationFailed" and "agentTime" in details:
        try:
            return errors.ClockSkew(now - parse_instant(details["agentTime"]).timestamp(), details)
        except ValueError:
            pass
    if code == "Unavailable":
        return errors.Unavailable(message, details)
    if code == "InputError" and details.get("field") == "method":
        text = "The agent does not serve this method: it is older than this client. Update the agent first."
        return errors.MethodNotServed(code, text, details=details)
    return _CLASSES.get(code, errors.PulseAgentError)(code, message, retryable is True, details)


def read_reply(
    kind: str | None, content_type: str | None, body: bytes, key: ReplyKey | None, now: float
) -> dict[str, Any]:
    """The result in a reply. Raises the error that the agent answered."""
    sealed = content_type == "application/jose"
    if kind == "error" and not sealed:
        raise answered_error(_json_object(body), now)
    if kind != "result" or sealed != (key is not None):
        raise internal("The result should be sealed and is not." if key else "The reply is no result of the contract.")
    return _json_object(key.open(body.decode("ascii", "replace")) if key else body)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise internal("The reply is not JSON.") from error
    if not isinstance(value, dict):
        raise internal("The reply is no JSON object.")
    return value


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
