"""The door at /enrol: a request and a code lead to a certificate, for programs and by a page for people.

A program posts PKCS #10, DER or PEM, with the invitation's code as its bearer token (RFC 6750, 2.1), and gets
the certificate with its issuers in PEM.  The same request again gets the same answer, and asks again.
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import Final

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Handler, Request, Response, refused, route
from e2s.crypto.pem import armoured
from e2s.security.certificates.possession import MAX_REQUEST_BYTES
from e2s.security.enrolment.asking import Asked, Desk, Invited, Issued, Pending
from e2s.security.enrolment.invitations import read_code
from e2s.security.enrolment.page import PATH, STYLE, EnrolPage
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.repository.rates import RateLimit, Rates

PKCS10: Final = f"{PATH}/pkcs10"
DOOR: Final = "enrol"
#: Of one client and of all, a second.
RATES: Final = Rates(each=1000.0, total=4000.0)
_BEARER: Final = re.compile(r"bearer +(\S+)", re.ASCII | re.IGNORECASE)
_BLOCK: Final = re.compile(
    rb"\s*+-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----\s([A-Za-z0-9+/=\s]*+)"
    rb"-----END (?:NEW )?CERTIFICATE REQUEST-----\s*+"
)
_CERTIFICATE: Final = re.compile(rf"{PATH}/certificates/([0-9a-f]{{16,40}})\.pem", re.ASCII)
_CHAIN: Final = {"content-type": "application/pem-certificate-chain"}
_STATUS: Final = {"bad-code": 401, "wrong-code": 401, "too-many-tries": 429, "too-many-requests": 429}


class EnrolDoor:
    """The door for programs, and the page for people."""

    def __init__(self, desk: Desk, setting: DoorSetting) -> None:
        """``setting`` gives the clock."""
        self._desk = desk
        self._setting = setting
        self._rates = RateLimit(RATES)
        page = EnrolPage(desk, self.enrol)
        self._doors = {
            ("POST", PKCS10): self._program,
            ("GET", PATH): page.form,
            ("POST", PATH): page.sent,
            ("GET", STYLE): page.style,
        }

    def __call__(self, request: Request) -> Response:
        """One request of a program or a browser."""
        try:
            self._rates.take(request.client, self._setting.clock.now())
        except Refusal as refusal:
            return denied(refusal)
        found = _CERTIFICATE.fullmatch(request.path)
        if found is not None and request.method == "GET":
            return self._certificate(int(found[1], 16))
        return route(self._doors, request)

    def _program(self, request: Request) -> Response:
        try:
            found = _BEARER.fullmatch(request.headers.get("authorization", ""))
            if found is None:
                raise Refusal("bad-code", "the invitation's code comes as a bearer token (RFC 6750, 2.1)")
            answer = self.enrol(found[1], request.body, request.client)
        except Refusal as refusal:
            return denied(refusal)
        except Unreachable as error:
            return Response(503, b"", {"e2s-rule": error.rule, "retry-after": "5"})
        if isinstance(answer, Pending):
            return Response(202, b"", {"retry-after": str(answer.retry_seconds)})
        return Response(200, chain_of(answer), _CHAIN)

    def _certificate(self, serial: int) -> Response:
        """A certificate of this CA, with its issuers, as a file."""
        look_up = self._setting.certificate
        der = look_up(serial) if look_up is not None else None
        if der is None:
            return Response(404, b"", {"e2s-rule": "no-such-certificate"})
        issuers = (self._desk.issuer.der, *(one.der for one in self._desk.chain))
        headers = {**_CHAIN, "content-disposition": f'attachment; filename="{serial:x}.pem"'}
        return Response(200, chain_of(Issued(certificate=der, chain=issuers)), headers)

    def enrol(self, code: str, body: bytes, client: str) -> Issued | Pending:
        """What the desk gives for a code and a request; raises why nothing."""
        shown: Invited = self._desk.show(*read_code(code), client=client)
        octets = read_pkcs10(body)
        return self._desk.ask(
            Asked(door=DOOR, transaction=sha256(octets).digest(), request=octets, shown=shown)
        )


def door(desk: Desk, setting: DoorSetting) -> Handler:
    """The door for programs and people."""
    return EnrolDoor(desk, setting)


def chain_of(issued: Issued) -> bytes:
    """The certificate and its issuers, PEM."""
    return b"".join(armoured(one, b"CERTIFICATE") for one in (issued.certificate, *issued.chain))


def read_pkcs10(octets: bytes) -> bytes:
    """A request, DER, of DER or one PEM block (RFC 7468, 7); raises :class:`Refusal` ``bad-request``."""
    if len(octets) > 2 * MAX_REQUEST_BYTES:
        raise Refusal("bad-request", "the request is larger than may be read", size=len(octets))
    if octets[:1] == b"\x30":
        return octets
    block = _BLOCK.fullmatch(octets)
    if block is None:
        raise Refusal("bad-request", "send a PKCS #10 request, DER or one PEM block")
    try:
        return base64.b64decode(b"".join(block[1].split()), validate=True)
    except binascii.Error as error:
        raise Refusal("bad-request", "the PEM block is not base64") from error


def denied(refusal: Refusal) -> Response:
    """A refusal with the status that says whether to ask again, or to show who asks."""
    answer = refused(refusal, _STATUS.get(refusal.rule, 403))
    headers = dict(answer.headers)
    if answer.status == 401:
        headers["www-authenticate"] = 'Bearer realm="enrolment"'
    if "wait" in refusal.facts:
        headers["retry-after"] = str(refusal.facts["wait"])
    return Response(answer.status, answer.body, headers)
