"""SCEP's door (RFC 8894), for devices that speak nothing newer: signed and sealed messages over plain HTTP.

Only RSA is spoken, AES and SHA-2; single DES, triple DES, MD5 and SHA-1 are refused as ``badAlg``.  Whatever
is refused is answered with SCEP's word for it, and the rule and its sentence in failInfoText.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request, Response, refused
from e2s.crypto import cms, oids
from e2s.crypto.kinds import kind_of
from e2s.crypto.ports import Opener
from e2s.security.enrolment.asking import Desk, Pending
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.repository.rates import RateLimit, Rates
from e2s.security.scep.enrolling import Enrolling, Found
from e2s.security.scep.keys import DoorKeys, KeyRing
from e2s.security.scep.messages import (
    MAX_MESSAGE_BYTES,
    NONCE_BYTES,
    Heard,
    Kind,
    Message,
    Status,
    fail_of,
    hear,
    in_der,
    written,
)

#: 3.5.2; renewal, polling and look-up are all there.
CAPABILITIES: Final = b"AES\nPOSTPKIOperation\nRenewal\nSHA-256\nSHA-384\nSHA-512\nSCEPStandard\n"
MESSAGE: Final = "application/x-pki-message"
CERTIFICATES: Final = "application/x-x509-ca-ra-cert"
_ACCEPTED: Final = frozenset({"", MESSAGE, "application/octet-stream", "application/x-www-form-urlencoded"})
_PROGRAM: Final = "pkiclient.exe"
_PREFIX: Final = "/scep"
#: What a peer reads who knows nothing newer (RFC 8894, 3.5.2: AES).
_SUITE: Final = ("rsa-pkcs1-aes256cbc",)
_STATUSES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "too-large": 413,
        "no-such-operation": 404,
        "wrong-content-type": 415,
        "wrong-method": 405,
        "too-many-requests": 429,
    }
)
#: Of the processes that work with the keys: the client asks again.
_AWAY: Final = frozenset({"worker-died", "workers-closed"})
#: Of each address and of all: a message costs two operations with the door's RSA keys, whoever sent it.
RATES: Final = Rates(each=200.0, total=400.0, burst=20.0)


def door(desk: Desk, setting: DoorSetting) -> ScepDoor:
    """The handler of ``/scep``."""
    return ScepDoor(desk, setting)


class ScepDoor:
    """Answers the operations of SCEP; safe to share among threads."""

    def __init__(self, desk: Desk, setting: DoorSetting) -> None:
        """The door's keys are made at the first need, and kept in ``setting.folder``."""
        self._desk = desk
        self._setting = setting
        self._rates = RateLimit(RATES)
        self._ring = KeyRing(setting)
        self._enrolling = Enrolling(desk, setting)

    def __call__(self, request: Request) -> Response:
        """The answer; what is no message at all is refused by HTTP."""
        try:
            self._rates.take(request.client, self._setting.clock.now())
            path, _, query = request.path.partition("?")
            asked = dict(parse_qsl(query, max_num_fields=8)) if len(query) <= 2 * MAX_MESSAGE_BYTES else {}
            operation = asked.get("operation", "")
            if request.method == "GET" and operation == "GetCACaps":
                return Response(200, CAPABILITIES, {"content-type": "text/plain"})
            if request.method == "GET" and operation == "GetCACert":
                return self._certificates()
            if operation == "PKIOperation":
                octets = _octets(request, asked.get("message", ""))
                return self._answered(octets, _label(path), request.client)
            raise Refusal("no-such-operation", "SCEP has no such operation here")
        except Refusal as refusal:
            if refusal.rule in _AWAY:
                raise Unreachable(refusal.rule, refusal.message) from refusal
            return _refused(refusal)
        except ValueError:
            return refused(Refusal("no-such-operation", "the query cannot be read"), 400)

    def tick(self, now: datetime) -> None:
        """Renew the door's own certificates in time; forget who waited for too long."""
        self._ring.tick(now)
        self._enrolling.forget(now)

    def close(self) -> None:
        """Close the database, and end the processes of the keys."""
        self._enrolling.close()
        self._ring.close()

    def _certificates(self) -> Response:
        """GetCACert (4.2.1.2): the door's own two, the CA and those above it."""
        desk, keys = self._desk, self._ring.keys()
        found = (*keys.certificates, desk.issuer, *desk.chain, desk.root)
        return Response(200, cms.bundle([one.der for one in found]), {"content-type": CERTIFICATES})

    def _answered(self, octets: bytes, label: str, client: str) -> Response:
        heard = hear(octets)
        keys = self._ring.keys()
        try:
            message = heard.checked()
            outcome = self._enrolling.outcome(message, _opened(message, keys), label, client)
            answer = self._told(message, outcome, keys)
        except Refusal as refusal:
            if refusal.rule in _AWAY:
                raise
            answer = self._failed(heard, refusal, keys)
        return Response(200, answer, {"content-type": MESSAGE})

    def _told(self, message: Message, outcome: Found | Pending, keys: DoorKeys) -> bytes:
        """CertRep with what was asked for, or that it has to wait (3.3.2.1, 3.3.2.3)."""
        setting = self._setting
        envelope = None
        if isinstance(outcome, Found):
            inside = cms.bundle(outcome.certificates, outcome.crls)
            envelope = cms.seal(inside, oids.DATA, [message.signer], setting.random, suites=_SUITE)
        return written(
            Kind.ANSWER,
            message.transaction,
            keys.signer,
            setting.clock.now(),
            sender_nonce=setting.random(NONCE_BYTES),
            recipient_nonce=message.sender_nonce,
            envelope=envelope,
            status=Status.PENDING if envelope is None else Status.SUCCESS,
        )

    def _failed(self, heard: Heard, refusal: Refusal, keys: DoorKeys) -> bytes:
        """CertRep that says why not (3.3.2.2)."""
        setting = self._setting
        return written(
            Kind.ANSWER,
            heard.transaction,
            keys.signer,
            setting.clock.now(),
            sender_nonce=setting.random(NONCE_BYTES),
            recipient_nonce=heard.sender_nonce,
            status=Status.FAILURE,
            fail=fail_of(refusal.rule),
            text=f"{refusal.rule}: {refusal.message}",
        )


def _refused(refusal: Refusal) -> Response:
    response = refused(refusal, _STATUSES.get(refusal.rule, 400))
    if response.status != 429:
        return response
    return replace(response, headers={**response.headers, "retry-after": str(refusal.facts["wait"])})


def _opened(message: Message, keys: DoorKeys) -> bytes:
    """The content of the envelope, sealed under the newest certificate of the door or an older one.

    Raises :class:`Refusal` ``not-rsa`` for a signer to whom nothing can be sealed, ``not-for-me``, and
    ``bad-envelope`` for all that does not open.
    """
    if kind_of(message.signer.public_key.__class__) != "rsa":
        raise Refusal("not-rsa", "SCEP's answers are sealed to RSA keys: other keys enrol at another door")
    for opener in keys.openers[:-1]:
        try:
            return _opened_by(opener, message.envelope)
        except Refusal as refusal:
            if refusal.rule != "not-for-me":
                raise
    return _opened_by(keys.openers[-1], message.envelope)


def _opened_by(opener: Opener, envelope: bytes) -> bytes:
    return in_der(envelope, lambda found: cms.open_sealed(found, opener, allow_legacy=True)[1])


def _octets(request: Request, message: str) -> bytes:
    """The message of a POST, or of a GET in base64 (4.1)."""
    if request.method == "POST":
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _ACCEPTED:
            raise Refusal("wrong-content-type", f"a message is sent as {MESSAGE}")
        return request.body
    if request.method != "GET":
        raise Refusal("wrong-method", "a message comes by POST or GET")
    try:
        # a plus that was not escaped became a blank
        return base64.b64decode(message.replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal("bad-base64", "the message is not base64") from error


def _label(path: str) -> str:
    """The profile that a path names, if it does: ``/scep/PROFILE`` or ``/scep/PROFILE/pkiclient.exe``."""
    parts = [one for one in path.removeprefix(_PREFIX).split("/") if one and one != _PROGRAM]
    if len(parts) > 1:
        raise Refusal("no-such-operation", "a path names one profile")
    return parts[0] if parts else ""
