"""Who asks at EST's door shows an invitation by HTTP Basic, or the certificate used in TLS (RFC 7030, 3.2.3).

A secret that came without TLS is not heard: it is lost already, and its invitation should be withdrawn.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.http import Request
from e2s.base.wire import len4
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.request_attributes import request_attributes
from e2s.security.enrolment.asking import Desk, Holder, Invited, Shown
from e2s.security.est import bodies

#: What the client is told that it may log in with (RFC 7617, 2).
CHALLENGE: Final = 'Basic realm="enrolment", charset="UTF-8"'
_MAX_CREDENTIALS: Final = 512


def shown(desk: Desk, request: Request) -> Shown:
    """What shows who asks.

    Raises :class:`Refusal` ``not-authenticated``, ``tls-needed``, ``bad-credentials``, or what the desk
    says of a wrong secret.
    """
    given = request.headers.get("authorization", "")
    if given:
        return _invited(desk, request, given)
    return held(request)


def held(request: Request) -> Holder:
    """The certificate that was used in TLS; raises :class:`Refusal` ``not-authenticated``."""
    if not request.peer:
        raise Refusal("not-authenticated", "an invitation or a certificate shows who asks")
    return Holder(certificate=Certificate.read(request.peer))


def _invited(desk: Desk, request: Request, given: str) -> Invited:
    if not request.secure:
        raise Refusal("tls-needed", "a secret is not heard without TLS: withdraw its invitation")
    scheme, _, credentials = given.partition(" ")
    if scheme.lower() != "basic" or len(credentials) > _MAX_CREDENTIALS:
        raise Refusal("bad-credentials", "a client logs in by HTTP Basic")
    try:
        octets = binascii.a2b_base64(credentials.strip().encode("ascii"), strict_mode=True)
        reference, colon, secret = octets.partition(b":")
        name = reference.decode("ascii")
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise Refusal("bad-credentials", "a client logs in by HTTP Basic") from error
    if not colon or not name.isprintable():
        raise Refusal("bad-credentials", "a client logs in by HTTP Basic")
    return desk.show(name, secret, client=request.client)


def basic(reference: str, secret: bytes) -> str:
    """The header by which a client shows an invitation (RFC 7617, 2)."""
    return "Basic " + base64.b64encode(reference.encode("ascii") + b":" + secret).decode("ascii")


def pkcs10(request: Request) -> bytes:
    """The PKCS #10 request in a body (RFC 7030, 4.2.1).

    Raises :class:`Refusal` ``wrong-content-type``, ``bad-base64``, ``too-large``, ``bad-request``, and
    ``channel-binding`` for one that says to which connection it belongs (3.5): that cannot be checked here,
    and what cannot be checked is not passed over.
    """
    if bodies.media_type(request.headers.get("content-type", "")) != bodies.REQUEST:
        raise Refusal("wrong-content-type", f"a request is sent as {bodies.REQUEST}")
    octets = bodies.read(request.body)
    if oids.CHALLENGE_PASSWORD in request_attributes(octets):
        raise Refusal("channel-binding", "a request that is bound to its connection cannot be checked here")
    return octets


def transaction(operation: str, label: str, octets: bytes, by: Shown) -> bytes:
    """What names the request: the same one once more, by whom it was, is a question what became of it."""
    who = by.reference.encode() if isinstance(by, Invited) else b""
    if isinstance(by, Holder):
        who = by.certificate.digest
    parts = (operation.encode("ascii"), label.encode("ascii", "replace"), who, octets)
    return sha256(b"".join(map(len4, parts))).digest()
