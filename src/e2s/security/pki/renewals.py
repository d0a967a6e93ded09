"""What a CA does for its party's enrolment: it tells what it issued, and certifies again what it certified.

Whoever takes that component over gains nothing by it: a key gets no other profile, no further name and no
higher level than a good certificate of it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography import x509

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto import oids
from e2s.crypto.certificates import MAX_CERTIFICATE_BYTES, Certificate
from e2s.crypto.forms import Form, octets_max, text
from e2s.network.sessions.link import Door
from e2s.security.pki import holdings, store
from e2s.security.pki.approvals import read_approval
from e2s.security.pki.ca import Authority
from e2s.security.pki.service import ISSUE, MAX_MESSAGE_BYTES, REVOKE

KNOWN: Final = "/known"
RECERTIFY: Final = "/recertify"
OWN: Final = "/renew-own"
_KNOWN: Final = Form("e2s/1/known", {"serial": text(40)}, envelope=False)
_CERTIFICATE: Final = {"certificate": octets_max(MAX_CERTIFICATE_BYTES)}
_OWN: Final = Form("e2s/1/renew-own", _CERTIFICATE, envelope=False)
_RENEWED_OWN: Final = Form("e2s/1/renewed-own", _CERTIFICATE, envelope=False)
_OFFICER: Final = "officer"
#: A certificate is renewed when this part of its life is left.
_LEFT: Final = 3
_LEVELS: Final = ("", *oids.CONFIDENCE)


def renewal_doors(authority: Authority, orders: Mapping[str, Door]) -> Mapping[str, Door]:
    """The link doors for enrolment; ``orders`` are those of :func:`~e2s.security.pki.service.doors`."""

    def known(_peer: str, body: bytes) -> bytes:
        asked = wire.decode(body)
        _KNOWN.check(asked)
        return wire.encode(_told(authority, asked["serial"]))

    def recertify(peer: str, body: bytes) -> bytes:
        asked = wire.decode(body, MAX_MESSAGE_BYTES)
        given = asked.get("approval")
        if not isinstance(given, str):
            raise Refusal("bad-document", "an order is in an officer's word", where="approval")
        approval = read_approval(unb64u(given))
        standing = [_again(authority, order) for order in approval.first.document["orders"]]
        if len(standing) == 1 and standing[0] is not None:
            return _issued(authority, standing[0])
        return orders[ISSUE](peer, body)

    return {KNOWN: known, RECERTIFY: recertify, REVOKE: orders[REVOKE]}


def own_door(authority: Authority, *, name: str, officer: str) -> Mapping[str, Door]:
    """The link door at which enrolment's own officer key, ``name``, is certified again in time.

    Nobody else could: an officer approves nothing of her own.  ``officer`` holds the right to certify and
    stands in the events.
    """

    def renew(_peer: str, body: bytes) -> bytes:
        asked = wire.decode(body)
        _OWN.check(asked)
        before = Certificate.read(unb64u(asked["certificate"]))
        order = {
            "profile": _OFFICER,
            "names": [name],
            "spki": b64u(sha256(before.spki).digest()),
            "confidence": "",
            "case": "renewal",
        }
        newest = _again(authority, order) or authority.issue(
            _OFFICER, before.public_key, (name,), officer=officer, case="renewal"
        )
        return wire.encode({"type": "e2s/1/renewed-own", "certificate": b64u(newest.der)})

    return {OWN: renew}


def ask_own(ask: Callable[[str, bytes], bytes], certificate: Certificate) -> Certificate:
    """The certificate that stands for enrolment's officer key, asked for at :func:`own_door`.

    Raises :class:`Refusal` ``not-a-renewal``, or ``wrong-answer`` for a certificate of another key.
    """
    asked = {"type": _OWN.type, "certificate": b64u(certificate.der)}
    answer = wire.decode(ask(OWN, wire.encode(asked)))
    _RENEWED_OWN.check(answer)
    found = Certificate.read(unb64u(answer["certificate"]))
    if found.spki != certificate.spki:
        raise Refusal("wrong-answer", "the CA certified another key than was asked for")
    return found


def _told(authority: Authority, serial: str) -> Document:
    """What the register says of a serial."""
    if not serial or serial.strip("0123456789abcdef"):
        raise Refusal("bad-document", "a serial is written in hexadecimal", where="serial")
    with authority.database.reading() as connection:
        found = holdings.of_serial(connection, int(serial, 16), authority.clock.now(), authority.finder)
    if found is None:
        raise Refusal("no-such-certificate", "this CA issued no certificate of that serial")
    return {
        "type": "e2s/1/known-certificate",
        "profile": found.profile,
        "state": found.state,
        "certificate": b64u(found.certificate.der),
    }


def due(certificate: Certificate, at: datetime) -> bool:
    """Whether the last third of a certificate's life has begun: then it is renewed."""
    return at >= certificate.not_after - (certificate.not_after - certificate.not_before) / _LEFT


def _issued(authority: Authority, certificate: Certificate) -> bytes:
    """The answer with a certificate that there is already."""
    spki = b64u(sha256(certificate.spki).digest())
    return wire.encode(
        {
            "type": "e2s/1/issued",
            "chain": [b64u(one.der) for one in (authority.certificate, *authority.chain)],
            "results": [{"spki": spki, "certificate": b64u(certificate.der)}],
        }
    )


def _again(authority: Authority, order: Document) -> Certificate | None:
    """The certificate of the key that says all of it and is good for long yet, if there is one.

    Raises :class:`Refusal` ``not-a-renewal`` unless one that is good says all of it.
    """
    with authority.database.reading() as connection:
        serials = store.of_key(connection, authority.finder, unb64u(order["spki"]), order["profile"])
        at = authority.clock.now()
        found = [holdings.of_serial(connection, int(one, 16), at, authority.finder) for one in serials]
    wanted = authority.profiles.get(order["profile"])
    # where a profile states no level, none that is ordered is stated
    level = _LEVELS.index(order["confidence"]) if wanted is not None and wanted.confidence else 0
    names = order["names"]
    same = [
        one.certificate
        for one in found
        if one is not None
        and one.state == "good"
        and names == _names(one.certificate)
        and level <= _level(one.certificate)
        and _named_so(order, one.certificate)
    ]
    if same:
        newest = max(same, key=lambda certificate: certificate.not_after)
        return None if due(newest, at) else newest
    raise Refusal("not-a-renewal", "no good certificate of this key says what is ordered", case=order["case"])


def _names(certificate: Certificate) -> list[str]:
    """Every alternative name in it, in their order."""
    return [str(one.value) for one in certificate.values.get(x509.SubjectAlternativeName, ())]


def _named_so(order: Document, certificate: Certificate) -> bool:
    """Whether the subject that is ordered, if any is, is the certificate's."""
    if "subject" not in order:
        return True
    try:
        return x509.Name.from_rfc4514_string(order["subject"]) == certificate.x509.subject
    except ValueError:
        return False


def _level(certificate: Certificate) -> int:
    """The highest level that it states, as a place in :data:`_LEVELS`."""
    stated = {
        one.policy_identifier.dotted_string for one in certificate.values.get(x509.CertificatePolicies, ())
    }
    return max((n for n, name in enumerate(_LEVELS) if oids.CONFIDENCE.get(name, "") in stated), default=0)
