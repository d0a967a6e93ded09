"""Targets of ACME: signed JSON and its keys, the door's messages, what hosts and servers answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base import wire
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request, Response
from e2s.base.wire import b64u, unb64u
from e2s.crypto import jose
from e2s.crypto.jose import jwk_of, key_of_jwk, thumbprint
from e2s.crypto.jose.jws import check
from e2s.crypto.jose.objects import read_object
from e2s.security.acme import fetching
from e2s.security.acme.client import AcmeClient
from e2s.security.acme.identifiers import Identifier, names_of_request, read_identifiers
from e2s.security.acme.messages import JOSE
from e2s.security.acme.reach import Reach
from e2s.security.acme.responders import HandshakeResponder
from e2s.security.acme.validation import TLS, Proof, check_shown
from e2s.security.keys.generation import generate
from tests.fuzz.shapes import bent, der_bent
from tests.fuzz.target import Target, promised
from tests.network.settings import Randomness
from tests.worlds.acme import BASE, ORIGIN, SHOP, AcmeWorld, Carried, csr
from tests.worlds.pki import SetClock

_RANDOM = Randomness(b"e2s fuzz acme key")
_KEYS = [generate(suite, _RANDOM) for suite in ("p256-sha256", "p384-sha384", "p521-sha512", "ed25519")]
_KEY = _KEYS[0]
_HOST = Identifier("dns", SHOP)
_AUTHORISATION = "token.thumbprint"


def _inner(octets: bytes, random: Random) -> bytes:
    """A message whose header or payload is bent inside of its base64; now and then just octets."""
    try:
        message = json.loads(octets)
        part = random.choice(("protected", "payload", "signature"))
        message[part] = b64u(bent(unb64u(message[part]), random))
        return (
            json.dumps(message, separators=(",", ":")).encode()
            if random.random() < 0.8
            else bent(octets, random)
        )
    except (ValueError, KeyError, TypeError, Refusal):
        return bent(octets, random)


def _signed(octets: bytes) -> None:
    signed = jose.read(octets)
    promised("crit" not in signed.header, "a header is one that is known")
    for key in _KEYS:
        try:
            check(signed, key.public_key())
        except Refusal:
            continue
        promised(signed.payload in {b"", b"payload", b"{}"}, "what was not signed does not verify")


def _messages() -> Iterator[bytes]:
    for key in _KEYS:
        yield jose.sign({"nonce": "n", "url": "u", "kid": "k"}, b"payload", key)
    yield jose.sign({"jwk": jwk_of(_KEY.public_key())}, b"", _KEY)
    yield jose.sign_mac({"kid": "k"}, b"{}", b"s" * 32)
    yield b' { "signature" : "" , "payload" : "" , "protected" : "eyJhbGciOiJFUzI1NiJ9" } '


def _object(octets: bytes) -> None:
    found = read_object(octets)
    promised(json.loads(octets) == found, "another reader reads the same")


def _objects() -> Iterator[bytes]:
    yield b'{"a":[1,-2,true,null,"\\u00e9"],"b":{"c":{}}}'
    yield json.dumps({"identifiers": [{"type": "dns", "value": SHOP}]}, indent=2).encode()


def _jwk(octets: bytes) -> None:
    key = key_of_jwk(read_object(octets))
    promised(thumbprint(key_of_jwk(jwk_of(key))) == thumbprint(key), "a key has one thumbprint")


def _jwks() -> Iterator[bytes]:
    for key in _KEYS:
        yield wire.encode({**jwk_of(key.public_key()), "use": "sig"})
    yield wire.encode({"kty": "RSA", "n": b64u(b"\x80" + bytes(254) + b"\x01"), "e": "AQAB"})


@cache
def _door() -> AcmeWorld:
    """A door with an account."""
    world = AcmeWorld(Path(mkdtemp(prefix="e2s-fuzz-acme-")))
    world.client(SHOP, key=_KEY)
    return world


def _heard(octets: bytes) -> None:
    """A payload that is signed well, at each address of the door: an answer or a problem, and never a 500."""
    world = _door()
    kind, _, payload = octets.partition(b"\n")
    path = "/acme/" + "".join(chr(one) for one in kind[:80] if chr(one).isalnum() or chr(one) in "/-")
    nonce = world.door(Request("HEAD", "/acme/new-nonce")).headers["replay-nonce"]
    who: dict[str, Any] = {"kid": f"{BASE}/account/1"}
    if kind[:2] in {b"re", b"ne"} and len(payload) % 2:
        who = {"jwk": jwk_of(_KEY.public_key())}
    body = jose.sign({"nonce": nonce, "url": ORIGIN + path, **who}, payload, _KEY)
    answer = world.door(Request("POST", path, body, {"content-type": JOSE}, "192.0.2.1"))
    promised(answer.status < 500, "no message is a fault of ours")
    if answer.status >= 400:
        raise Refusal(json.loads(answer.body)["rule"], "refused")


def _payloads() -> Iterator[bytes]:
    host = {"type": "dns", "value": SHOP}
    yield b"new-order\n" + wire.encode({"identifiers": [host], "notAfter": "2026-12-01T00:00:00Z"})
    yield b"new-order\n" + wire.encode({"identifiers": [host], "replaces": "AAAA.AQ"})
    yield b"new-account\n" + wire.encode({"contact": ["mailto:a@b.example"], "onlyReturnExisting": True})
    yield b"account/1\n" + wire.encode({"contact": ["mailto:a@b.example"]})
    yield b"order/1/finalize\n" + wire.encode({"csr": b64u(csr(SHOP))})
    yield b"order/1\n"
    yield b"authorization/1\n"
    yield b"certificate/1\n"
    yield b"revoke-cert\n" + wire.encode({"certificate": b64u(_door().world.pki.operating.der), "reason": 1})
    inner = jose.sign({"jwk": jwk_of(_KEYS[1].public_key()), "url": f"{BASE}/key-change"}, b"{}", _KEYS[1])
    yield b"key-change\n" + inner


def _names(octets: bytes) -> None:
    found = names_of_request(octets)
    promised(all(name == name.lower() for name in found), "a host has one form")


def _requests() -> Iterator[bytes]:
    yield csr(SHOP, "192.0.2.7", "2001:db8::7")


def _identifiers(octets: bytes) -> None:
    found = read_identifiers(json.loads(octets) if octets[:1] == b"[" else octets)
    promised(read_identifiers([one.document() for one in found]) == found, "an identifier has one form")


def _identifier_seeds() -> Iterator[bytes]:
    yield json.dumps([{"type": "dns", "value": SHOP}, {"type": "ip", "value": "2001:db8::7"}]).encode()


def _identifiers_or_json(octets: bytes) -> None:
    try:
        _identifiers(octets)
    except (ValueError, RecursionError) as error:
        raise Refusal("bad-json", "not JSON") from error


@cache
def _shown_seed() -> bytes:
    responder = HandshakeResponder(SetClock(), "127.0.0.1", 0)
    responder._socket.close()
    made = responder._certified(Proof(kind=TLS, host=_HOST, token="token", authorisation=_AUTHORISATION))
    return x509.load_pem_x509_certificate(made["certificate"]).public_bytes(Encoding.DER)


def _shown(octets: bytes) -> None:
    check_shown(octets, _HOST, _AUTHORISATION)


def _shown_seeds() -> Iterator[bytes]:
    yield _shown_seed()


class _Told(Reach):
    """Every host answers by the same octets."""

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        object.__setattr__(self, "octets", octets)

    def connect(self, host: str, port: int, deadline: float) -> socket.socket:  # noqa: ARG002 - as Reach
        ours, theirs = socket.socketpair()

        def answer() -> None:
            with theirs, suppress(OSError):
                theirs.recv(65536)
                theirs.sendall(self.__dict__["octets"][:65536])

        threading.Thread(target=answer, daemon=True).start()
        return ours


def _answer(octets: bytes) -> None:
    body = fetching.fetch(_Told(octets), SHOP, "/x", 5.0)
    promised(len(body) <= 1024, "an answer is small")


def _answers() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    yield b"HTTP/1.0 301 Moved\r\nLocation: http://desk.alpha.example:80/y?z\r\n\r\n"


class _Server(Carried):
    """A server that says everywhere what it is told to."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def send(self, origin: str, request: Request) -> Response:  # noqa: ARG002 - as Exchange
        if request.path.endswith("directory"):
            names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo")
            return Response(200, wire.encode({name: f"{BASE}/{name}" for name in names}))
        status = 200 if self._octets[:1] != b"!" else 400
        headers = {"location": f"{BASE}/order/1", "replay-nonce": "n"}
        return Response(status, self._octets.removeprefix(b"!"), headers)


def _client(octets: bytes) -> None:
    client = AcmeClient(
        exchange=_Server(octets), directory=f"{BASE}/directory", key=_KEY, account=f"{BASE}/account/1",
        pause=lambda _: None, looks=2,
    )  # fmt: skip
    kept: Refusal | None = None
    acts = (
        lambda: client.window(_door().world.pki.operating),
        lambda: client.finalise(client.order([SHOP]), b"request"),
        lambda: client.prove(client.order([SHOP]), _Silent()),
    )
    for act in acts:
        try:
            act()
        except Refusal as refusal:
            kept = refusal
        except Unreachable:
            continue
    if kept is not None:
        raise kept


class _Silent:
    kind = "http-01"

    def show(self, _proof: Proof) -> None: ...

    def hide(self, _proof: Proof) -> None: ...


def _client_seeds() -> Iterator[bytes]:
    host = {"type": "dns", "value": SHOP}
    challenge = {"type": "http-01", "url": f"{BASE}/challenge/1", "token": "t", "status": "pending"}
    everything = {
        "status": "valid", "identifiers": [host], "identifier": host, "authorizations": [f"{BASE}/authz/1"],
        "challenges": [challenge], "finalize": f"{BASE}/f", "certificate": f"{BASE}/c",
        "suggestedWindow": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
    }  # fmt: skip
    yield json.dumps(everything).encode()
    yield json.dumps({**everything, "status": "pending"}).encode()
    yield b'!{"type":"urn:ietf:params:acme:error:malformed","detail":"x","rule":"y"}'
    yield b"{}"


TARGETS = (
    Target(name="signed-json", read=_signed, seeds=_messages, mutate=_inner),
    Target(name="json-object", read=_object, seeds=_objects, mutate=bent),
    Target(name="json-web-key", read=_jwk, seeds=_jwks, mutate=bent),
    Target(name="acme-message", read=_heard, seeds=_payloads, mutate=bent, short=80),
    Target(name="acme-request-names", read=_names, seeds=_requests, mutate=der_bent),
    Target(name="acme-identifiers", read=_identifiers_or_json, seeds=_identifier_seeds, mutate=bent),
    Target(name="acme-handshake", read=_shown, seeds=_shown_seeds, mutate=der_bent),
    Target(name="acme-host-answer", read=_answer, seeds=_answers, mutate=bent, short=80),
    Target(name="acme-server-answer", read=_client, seeds=_client_seeds, mutate=bent, short=80),
)
