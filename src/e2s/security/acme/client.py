"""A client of any ACME server (RFC 8555): an account, orders proven by responders, certificates, renewal.

Whoever runs it says how to wait: nothing here reads a clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Exchange, Request, Response
from e2s.base.wire import Document, b64u
from e2s.crypto import jose
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.jose import jwk_of, read_object, thumbprint
from e2s.crypto.kinds import PrivateKey
from e2s.security.acme.identifiers import Identifier, host_name, read_identifier
from e2s.security.acme.messages import JOSE
from e2s.security.acme.problems import read_problem
from e2s.security.acme.renewal import name_of
from e2s.security.acme.validation import Proof

_MAX_ANSWER: Final = 256 * 1024
_MAX_CERTIFICATES: Final = 8
_NONCES: Final = 3
_MAX_WAIT_SECONDS: Final = 30
_GOOD: Final = range(200, 300)


class Responder(Protocol):
    """Port: shows what a challenge asks for where the host is, until it is hidden again."""

    @property
    def kind(self) -> str:
        """The kind of challenge: ``http-01`` or ``tls-alpn-01``."""

    def show(self, proof: Proof) -> None:
        """From now on; whoever asks the host finds it."""

    def hide(self, proof: Proof) -> None:
        """No more."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An order at the server."""

    url: str
    document: Document

    @property
    def status(self) -> str:
        """Its state, as RFC 8555, 7.1.6 names them."""
        return str(self.document.get("status", ""))


@dataclass(kw_only=True)
class AcmeClient:
    """One account's dealings with the server of ``directory`` (a URL); ``key`` is the account's.

    ``pause`` waits so many seconds between looks, of which ``looks`` are taken at most.  Every act raises
    :class:`Refusal` with the server's rule or type of error, and :class:`Unreachable`.
    """

    exchange: Exchange
    directory: str
    key: PrivateKey = field(repr=False)
    account: str = ""
    pause: Callable[[float], None] = time.sleep
    looks: int = 60
    _places: Document = field(default_factory=dict, repr=False)
    _nonce: str = field(default="", repr=False)

    def register(
        self,
        contacts: Sequence[str] = (),
        *,
        binding: tuple[str, bytes] | None = None,
        agree: bool = False,
        existing: bool = False,
    ) -> str:
        """The account's URL, a new one's unless ``existing``; ``binding``: reference, secret (7.3.4).

        ``agree``: to the server's terms of service, which the holder has read.
        """
        payload: Document = {"contact": list(contacts)} if contacts else {}
        if agree:
            payload["termsOfServiceAgreed"] = True
        if existing:
            payload["onlyReturnExisting"] = True
        url = self._place("newAccount")
        if binding is not None:
            reference, secret = binding
            bound = wire.encode(jwk_of(self.key.public_key()))
            signed = jose.sign_mac({"kid": reference, "url": url}, bound, secret)
            payload["externalAccountBinding"] = read_object(signed)
        self.account = ""
        answer = self.post(url, payload)
        self.account = _text(answer.headers.get("location"), "the account has no address")
        return self.account

    def obtain(
        self,
        names: Sequence[str],
        request: bytes,
        responder: Responder,
        *,
        replaces: Certificate | None = None,
    ) -> tuple[Certificate, ...]:
        """The certificate for ``names`` by a PKCS #10 request, and its issuers (7.4)."""
        placed = self.order(names, replaces=replaces)
        self.prove(placed, responder)
        return self.finalise(placed, request)

    def order(
        self, names: Sequence[str], *, not_after: str = "", replaces: Certificate | None = None
    ) -> Placed:
        """A new order for hosts, names or addresses."""
        payload: Document = {"identifiers": [identifier(name).document() for name in names]}
        if not_after:
            payload["notAfter"] = not_after
        if replaces is not None:
            payload["replaces"] = name_of(replaces)
        answer = self.post(self._place("newOrder"), payload)
        return Placed(
            url=_text(answer.headers.get("location"), "the order has no address"), document=_read(answer)
        )

    def prove(self, placed: Placed, responder: Responder) -> None:
        """Answer one challenge of each authorisation that waits (7.5, 7.5.1)."""
        for url in _texts(placed.document.get("authorizations")):
            found = self.look(url)
            if found.get("status") == "pending":
                self._prove(url, found, responder)

    def _prove(self, url: str, found: Document, responder: Responder) -> None:
        challenge = next(
            (one for one in _documents(found.get("challenges")) if one.get("type") == responder.kind), None
        )
        if challenge is None:
            raise Refusal(
                "no-such-challenge", "the server does not offer this challenge", kind=responder.kind
            )
        token = _text(challenge.get("token"), "the challenge has no token")
        proof = Proof(
            kind=responder.kind,
            host=read_identifier(found.get("identifier")),
            token=token,
            authorisation=f"{token}.{thumbprint(self.key.public_key())}",
        )
        responder.show(proof)
        try:
            self.post(_text(challenge.get("url"), "the challenge has no address"), {})
            ended = self._settled(url, ("pending",))
        finally:
            responder.hide(proof)
        if ended.get("status") != "valid":
            errors = [one["error"] for one in _documents(ended.get("challenges")) if "error" in one]
            raise read_problem(
                Response(403, msgspec.json.encode(errors[0] if errors else {})), "authorisation"
            )

    def finalise(self, placed: Placed, request: bytes) -> tuple[Certificate, ...]:
        """Hand in the PKCS #10 request and fetch the certificate with its issuers (7.4, 7.4.2)."""
        self._settled(placed.url, ("pending",))
        self.post(_text(placed.document.get("finalize"), "the order has no address"), {"csr": b64u(request)})
        ended = self._settled(placed.url, ("processing",))
        if ended.get("status") != "valid":
            error = ended.get("error")
            raise read_problem(Response(403, msgspec.json.encode(error or {})), "order")
        answer = self.post(_text(ended.get("certificate"), "the certificate has no address"), None)
        return read_certificates(answer.body, _MAX_CERTIFICATES)

    def revoke(self, certificate: Certificate, reason: int = 0, *, key: PrivateKey | None = None) -> None:
        """Have a certificate revoked (7.6), by the account or by the certificate's own ``key``."""
        payload: Document = {"certificate": b64u(certificate.der), "reason": reason}
        self.post(self._place("revokeCert"), payload, key=key)

    def window(self, certificate: Certificate) -> tuple[datetime, datetime]:
        """Between which instants the server suggests to renew (RFC 9773, 4.2)."""
        url = f"{self._place('renewalInfo')}/{name_of(certificate)}"
        told = _read(_good(self._send("GET", url), "renewal information")).get("suggestedWindow")
        try:
            start, end = (datetime.fromisoformat(told[name]) for name in ("start", "end"))  # type: ignore[index]
        except (TypeError, KeyError, ValueError) as error:
            raise Refusal("bad-answer", "the server suggests no window") from error
        if start.tzinfo is None or end.tzinfo is None or start > end:
            raise Refusal("bad-answer", "the server suggests no window")
        return start, end

    def change_key(self, key: PrivateKey) -> None:
        """Give the account another key (7.3.5), which this client has from then on."""
        url = self._place("keyChange")
        said = {"account": self.account, "oldKey": jwk_of(self.key.public_key())}
        header = {"jwk": jwk_of(key.public_key()), "url": url}
        self.post(url, read_object(jose.sign(header, wire.encode(said), key)))
        self.key = key

    def deactivate(self) -> None:
        """Close the account for good (7.3.6)."""
        self.post(self.account, {"status": "deactivated"})

    def look(self, url: str) -> Document:
        """A document of the account's (6.3)."""
        return _read(self.post(url, None))

    def post(self, url: str, payload: Document | None, *, key: PrivateKey | None = None) -> Response:
        """Send a signed request; ``key`` signs for itself instead of the account."""
        for _ in range(_NONCES):
            header: dict[str, Any] = {"nonce": self._taken_nonce(), "url": url}
            if key is None and self.account:
                header["kid"] = self.account
            else:
                header["jwk"] = jwk_of((key or self.key).public_key())
            octets = b"" if payload is None else wire.encode(payload)
            body = jose.sign(header, octets, key or self.key)
            answer = self._send("POST", url, body)
            if answer.status in _GOOD:
                return answer
            problem = read_problem(answer, "request")
            if b"badNonce" not in answer.body:
                raise problem
        raise problem

    def _taken_nonce(self) -> str:
        nonce, self._nonce = self._nonce, ""
        if not nonce:
            answer = _good(self._send("HEAD", self._place("newNonce")), "nonce")
            nonce, self._nonce = answer.headers.get("replay-nonce", ""), ""
        return _text(nonce, "the server gives no nonce")

    def _settled(self, url: str, waiting: tuple[str, ...]) -> Document:
        """A document once its state is none of ``waiting``; raises ``Unreachable`` ``still-waiting``."""
        for _ in range(self.looks):
            answer = self.post(url, None)
            document = _read(answer)
            if document.get("status") not in waiting:
                return document
            wait = answer.headers.get("retry-after", "")
            self.pause(min(int(wait), _MAX_WAIT_SECONDS) if wait.isascii() and wait.isdigit() else 1)
        raise Unreachable("still-waiting", "the server is not done yet: ask again later", url=url)

    def _place(self, name: str) -> str:
        if not self._places:
            self._places = _read(_good(self._send("GET", self.directory), "directory"))
        return _text(self._places.get(name), "the server does not offer this", name=name)

    def _send(self, method: str, url: str, body: bytes = b"") -> Response:
        parts, own = urlsplit(url), urlsplit(self.directory)
        if not parts.netloc or parts.scheme != own.scheme:
            raise Refusal("bad-answer", "the server leads to another protocol", url=url[:200])
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"content-type": JOSE} if body else {}
        answer = self.exchange.send(f"{parts.scheme}://{parts.netloc}", Request(method, path, body, headers))
        self._nonce = answer.headers.get("replay-nonce", self._nonce)[:200]
        return answer


def identifier(name: str) -> Identifier:
    """A host as orders name it; raises :class:`Misuse` ``bad-host``."""
    try:
        return Identifier("ip", str(ip_address(name)))
    except ValueError:
        pass
    try:
        return Identifier("dns", host_name(name))
    except Refusal as refusal:
        raise Misuse("bad-host", refusal.message, name=name[:64]) from refusal


def _good(answer: Response, what: str) -> Response:
    if answer.status not in _GOOD:
        raise read_problem(answer, what)
    return answer


def _read(answer: Response) -> Document:
    return read_object(answer.body, _MAX_ANSWER)


def _text(value: object, sentence: str, **facts: str) -> str:
    if not isinstance(value, str) or not value:
        raise Refusal("bad-answer", sentence, **facts)
    return value


def _texts(value: object) -> list[str]:
    return [_text(one, "an address is text") for one in value] if isinstance(value, list) else []


def _documents(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
