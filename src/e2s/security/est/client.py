"""EST from the other side: a key of ours is enrolled with a provider that speaks it (RFC 7030).

The exchange authenticates the server and shows, where it has one, our certificate.  What comes back is for
the key that was asked for, or refused; whether it leads to an anchor is the caller's to judge.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.http import Exchange, Request, Response, expect
from e2s.crypto import cms
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.ports import Opener
from e2s.security.certificates.possession import read_proof
from e2s.security.est import bodies, packages
from e2s.security.est.asking import basic
from e2s.security.est.attributes import CsrAttributes
from e2s.security.verification.signatures import good

_PATH: Final = "/.well-known/est/"
_MAX_WAIT: Final = 7 * 24 * 3600
_USUAL_WAIT: Final = 60


@dataclass(frozen=True)
class Waiting:
    """The provider's officers have to say so first: send the same request again after so long."""

    retry_seconds: int


@dataclass(frozen=True, kw_only=True)
class Made:
    """A key that the provider made, and its certificate; ``maker`` signed for it, if it came sealed."""

    key: PrivateKey = field(repr=False)
    certificate: Certificate
    maker: Certificate | None = None


class EstClient:
    """Speaks with one provider."""

    def __init__(
        self,
        exchange: Exchange,
        origin: str,
        *,
        label: str = "",
        invitation: tuple[str, bytes] | None = None,
    ) -> None:
        """``label`` is the provider's name for one of its kinds of certificates.

        ``invitation`` is a user's name and secret; it is sent over https alone.  Raises :class:`Refusal`
        ``tls-needed`` for another origin.
        """
        if not origin.startswith("https://"):
            raise Refusal("tls-needed", "EST is spoken over https")
        self._exchange = exchange
        self._origin = origin
        self._path = f"{_PATH}{label}/" if label else _PATH
        self._headers: Mapping[str, str] = {"authorization": basic(*invitation)} if invitation else {}

    def cacerts(self, *, pin: bytes = b"") -> tuple[Certificate, ...]:
        """The provider's CA certificates; with ``pin``, SHA-256 of its root, those that lead to it, it last.

        With a pin the answer may come by an exchange that verifies nobody (4.1.1).  Raises :class:`Refusal`
        ``wrong-pin`` where the root is not there.
        """
        found = self._certificates(self._sent("GET", "cacerts"), "CA certificates")
        return pinned(found, pin) if pin else found

    def csrattrs(self) -> CsrAttributes:
        """What a request should have; nothing where the provider says nothing."""
        response = self._sent("GET", "csrattrs")
        if response.status in {204, 404}:
            return CsrAttributes()
        octets = bodies.read(expect(response, what="attributes"), bodies.MAX_ANSWER_BYTES)
        return CsrAttributes.read(octets)

    def enroll(self, request: bytes) -> Certificate | Waiting:
        """A certificate for a PKCS #10 request."""
        return self._asked("simpleenroll", request)

    def reenroll(self, request: bytes) -> Certificate | Waiting:
        """A newer certificate in the place of that which the exchange shows."""
        return self._asked("simplereenroll", request)

    def serverkeygen(self, request: bytes, opener: Opener | None = None) -> Made | Waiting:
        """A key that the provider makes, and its certificate.

        ``opener`` opens what is sealed to the key that the request names; without one a key is taken as it
        comes, protected by TLS alone.  Raises :class:`Refusal` ``not-sealed`` where it should have been.
        """
        response = self._sent("POST", "serverkeygen", request)
        if response.status == 202:
            return _waiting(response)
        body = expect(response, what="a key")
        parts = {
            bodies.media_type(part.kind) + ("" if "certs-only" not in part.kind else " certs"): part.octets
            for part in bodies.parted(response.headers.get("content-type", ""), body)
        }
        pkcs7 = bodies.media_type(bodies.SEALED_KEY)
        certificate = _one(parts.get(f"{pkcs7} certs", b""))
        maker = None
        if opener is not None:
            if pkcs7 not in parts:
                raise Refusal("not-sealed", "the key was to be sealed and came as it is")
            key, maker = packages.unpacked(parts[pkcs7], opener)
        else:
            key = packages.read_plain(parts.get(bodies.PLAIN_KEY, b""))
        if spki_of(key.public_key()) != certificate.spki:
            raise Refusal("key-mismatch", "the certificate is not for the key that came with it")
        return Made(key=key, certificate=certificate, maker=maker)

    def _asked(self, operation: str, request: bytes) -> Certificate | Waiting:
        wanted = read_proof(request)
        response = self._sent("POST", operation, request)
        if response.status == 202:
            return _waiting(response)
        found = self._certificates(response, "a certificate")
        for one in found:
            if one.spki == wanted.spki:
                return one
        raise Refusal("key-mismatch", "what came back is for another key than was asked for")

    def _sent(self, method: str, operation: str, request: bytes = b"") -> Response:
        headers = dict(self._headers)
        if request:
            headers["content-type"] = bodies.REQUEST
        body = bodies.written(request) if request else b""
        return self._exchange.send(self._origin, Request(method, self._path + operation, body, headers))

    def _certificates(self, response: Response, what: str) -> tuple[Certificate, ...]:
        octets = bodies.read(expect(response, what=what), bodies.MAX_ANSWER_BYTES)
        return cms.unbundled(octets).certificates


def pinned(certificates: Sequence[Certificate], pin: bytes) -> tuple[Certificate, ...]:
    """Those of ``certificates`` that lead to the root with this digest, the root last.

    Each is signed by the next; what does not lead there is left out.  Raises :class:`Refusal` ``wrong-pin``.
    """
    root = next((one for one in certificates if hmac.compare_digest(one.digest, pin)), None)
    if root is None:
        raise Refusal("wrong-pin", "the root with this digest is not among what came")
    chain = [root]
    left = [one for one in certificates if one is not root]
    while True:
        above = chain[0]
        below = next((one for one in left if _signed_by(one, above)), None)
        if below is None:
            return tuple(chain)
        left.remove(below)
        chain.insert(0, below)


def _signed_by(one: Certificate, by: Certificate) -> bool:
    slices = one.slices
    return (
        slices.issuer == by.slices.subject
        and slices.signature is not None
        and good(by.public_key, slices.algorithm, slices.signature, slices.tbs)
    )


def _one(octets: bytes) -> Certificate:
    found = cms.unbundled(octets).certificates if octets else ()
    if len(found) != 1:
        raise Refusal("bad-parts", "a key comes with its certificate")
    return found[0]


def _waiting(response: Response) -> Waiting:
    said = response.headers.get("retry-after", "")
    seconds = int(said) if said.isascii() and said.isdigit() and len(said) < 8 else _USUAL_WAIT
    return Waiting(min(max(seconds, 1), _MAX_WAIT))
