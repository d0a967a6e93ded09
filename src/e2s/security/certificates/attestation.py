"""How a key is kept is attested where the device that made it says so, up to its maker's root; else declared.

A request (PKCS #10) carries an attestation bundle (attribute id-aa-attestation of the LAMPS working group's
CSR attestation): statements, and the certificates that prove them.  The statement understood here is a PIV
attestation certificate: the device certifies the key that it made, and says firmware, serial, and when the
key asks for the PIN and for a touch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cryptography import x509

from e2s.base.errors import Fact, Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import SigningKey
from e2s.crypto.suites import SignatureSuite
from e2s.security.certificates import extensions
from e2s.security.certificates.names import alternative_name, subject_octets
from e2s.security.certificates.possession import MAX_REQUEST_BYTES, read_proof
from e2s.security.verification.verifier import Verifier

#: id-aa-attestation: id-aa 59.
BUNDLE: Final = "1.2.840.113549.1.9.16.2.59"
#: Our name for a statement that is a PIV attestation certificate.
PIV_STATEMENT: Final = f"{oids.ARC}.7.1"
_PIV: Final = "1.3.6.1.4.1.41482.3."
_FIRMWARE, _SERIAL, _POLICY = f"{_PIV}3", f"{_PIV}7", f"{_PIV}8"
PINS: Final[Mapping[int, str]] = {1: "never", 2: "once", 3: "always"}
TOUCHES: Final[Mapping[int, str]] = {1: "never", 2: "always", 3: "cached"}
MAX_ATTRIBUTES: Final = 16
_MAX_STATEMENTS: Final = 8
_MAX_CERTIFICATES: Final = 8
_BUNDLE: Final = der.oid(BUNDLE)
ATTESTED: Final = "attested"


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Whose devices are believed: by its roots, from which firmware on, with which PIN and touch policies."""

    name: str
    roots: tuple[Certificate, ...] = field(repr=False)
    firmware: tuple[int, int, int] = (0, 0, 0)
    pins: frozenset[str] = frozenset({"once", "always"})
    touches: frozenset[str] = frozenset(TOUCHES.values())

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-maker`` for one that nobody satisfies, or nothing limits."""
        if not self.roots:
            raise Misuse("bad-maker", "a maker has at least one root", maker=self.name)
        if not (self.pins and self.pins <= set(PINS.values())):
            raise Misuse("bad-maker", f"PIN policies are {' '.join(PINS.values())}", maker=self.name)
        if not (self.touches and self.touches <= set(TOUCHES.values())):
            raise Misuse("bad-maker", f"touch policies are {' '.join(TOUCHES.values())}", maker=self.name)


@dataclass(frozen=True, kw_only=True)
class Protection:
    """How a key is kept: ``kind`` by the policy's names; ``attested``, or only said."""

    kind: str
    attested: bool
    maker: str = ""
    firmware: str = ""
    serial: int = 0
    pin: str = ""
    touch: str = ""

    def facts(self) -> dict[str, Fact]:
        """For an event, or a record."""
        return {name: value for name, value in vars(self).items() if value not in {"", 0}}


def carries_attestation(request: bytes) -> bool:
    """Whether a request may hold attestations; cheap, and no proof of anything."""
    return _BUNDLE in request


def judged(
    request: bytes, makers: Sequence[Maker], at: datetime, *, declared: str = "software"
) -> Protection:
    """How the key of a request is kept: attested by a device of one of ``makers``, or as is ``declared``.

    The request's own proof of possession is read as well.  Raises :class:`Refusal` ``bad-attestation``,
    ``attestation-unknown`` where no statement is understood, ``attestation-key`` where it is about another
    key, ``attestation-maker`` where its path leads to no maker's root, ``attestation-firmware``,
    ``attestation-pin``, ``attestation-touch``.  A request with an attestation that fails is refused, not
    taken as declared.
    """
    if not carries_attestation(request):
        return Protection(kind=declared, attested=False)
    proven = read_proof(request)
    statements, beside = read_bundle(request)
    for kind, statement in statements:
        if kind == PIV_STATEMENT:
            return _piv(statement, beside, proven.spki, makers, at)
    raise Refusal("attestation-unknown", "the request has attestations of kinds that nobody here understands")


def protection_of(request: bytes, makers: Sequence[Maker], at: datetime, declared: str) -> str:
    """How a key is kept, by the policy's names: ``attested``, or as its holder or an officer says.

    Without ``makers`` nobody looks at attestations.  Raises :class:`Refusal` ``not-attested`` where that is
    only said, and what :func:`judged` does.
    """
    kept = Protection(kind=declared, attested=False)
    if makers:
        kept = judged(request, makers, at, declared=declared)
    if declared == ATTESTED and not kept.attested:
        raise Refusal("not-attested", "nothing in the request attests how its key is kept")
    return kept.kind


def _piv(
    octets: bytes, beside: tuple[Certificate, ...], spki: bytes, makers: Sequence[Maker], at: datetime
) -> Protection:
    """What a PIV attestation certificate says, once it is believed."""
    certificate = _certificate(octets)
    if certificate.spki != spki:
        raise Refusal("attestation-key", "the attestation is about another key than the request's")
    values = _vendor(certificate)
    firmware, serial, pin, touch = _said(values)
    maker = _maker(certificate, beside, makers, at)
    if firmware < maker.firmware:
        raise Refusal("attestation-firmware", "the device's firmware is too old", found=_dotted(firmware))
    if pin not in maker.pins:
        raise Refusal("attestation-pin", "the key does not ask for the PIN as it must", found=pin)
    if touch not in maker.touches:
        raise Refusal("attestation-touch", "the key does not ask for a touch as it must", found=touch)
    return Protection(
        kind=ATTESTED,
        attested=True,
        maker=maker.name,
        firmware=_dotted(firmware),
        serial=serial,
        pin=pin,
        touch=touch,
    )


def _maker(
    certificate: Certificate, beside: tuple[Certificate, ...], makers: Sequence[Maker], at: datetime
) -> Maker:
    """The maker whose root the path leads to: attested key, device, maker."""
    why = "no maker's devices are believed here"
    for maker in makers:
        verdict = Verifier(maker.roots).judge(
            certificate, beside, (), at=at, purpose=None, name=None, require_revocation=False
        )
        if verdict.accepted and len(verdict.path) > 2:
            return maker
        why = verdict.reason or "no device stands between the key and the maker"
    raise Refusal("attestation-maker", why)


def _vendor(certificate: Certificate) -> dict[str, bytes]:
    """The maker's extensions; a device alone writes them."""
    found = certificate.values.get(x509.UnrecognizedExtension, ())
    return {one.oid.dotted_string: one.value for one in found}


def _said(values: Mapping[str, bytes]) -> tuple[tuple[int, int, int], int, str, str]:
    """Firmware, serial, PIN and touch policy; firmware and policy must be there: a made key has them."""
    firmware, policy = values.get(_FIRMWARE, b""), values.get(_POLICY, b"")
    if len(firmware) != 3 or len(policy) != 2:
        raise Refusal("bad-attestation", "the certificate is no device's word about a key that it made")
    pin, touch = PINS.get(policy[0], ""), TOUCHES.get(policy[1], "")
    if not pin or not touch:
        raise Refusal("bad-attestation", "the device says a policy that is not known", policy=policy.hex())
    serial = der.Reader(values[_SERIAL]).integer() if _SERIAL in values else 0
    return (firmware[0], firmware[1], firmware[2]), serial, pin, touch


def _dotted(firmware: tuple[int, int, int]) -> str:
    return ".".join(map(str, firmware))


def _certificate(octets: bytes) -> Certificate:
    try:
        return Certificate.read(octets)
    except Refusal as refusal:
        raise Refusal("bad-attestation", "an attestation is no certificate that can be read") from refusal


def read_bundle(request: bytes) -> tuple[list[tuple[str, bytes]], tuple[Certificate, ...]]:
    """The statements by type, and the certificates beside them; raises ``bad-attestation``."""
    if len(request) > MAX_REQUEST_BYTES:
        raise Refusal("bad-request", "the request is larger than may be read", size=len(request))
    try:
        value = _attribute(request)
        bundle = der.Reader(value).enter()
        statements = [_statement(one) for one in bundle.enter().elements(der.SEQUENCE, _MAX_STATEMENTS)]
        beside: list[bytes] = []
        if bundle.pos != bundle.end:
            beside = bundle.enter().elements(der.SEQUENCE, _MAX_CERTIFICATES)
        bundle.done()
    except Refusal as refusal:
        if refusal.rule == "bad-attestation":
            raise
        why = f"the attestations cannot be read: {refusal.message}"
        raise Refusal("bad-attestation", why) from refusal
    return statements, tuple(map(_certificate, beside))


def _attribute(request: bytes) -> bytes:
    """The one value of the request's attestation attribute (RFC 2986, 4.1)."""
    info = der.Reader(request).enter().enter()
    info.span(der.INTEGER)
    info.span(der.SEQUENCE)
    info.span(der.SEQUENCE)
    found = []
    for one in info.enter(0xA0).elements(der.SEQUENCE, MAX_ATTRIBUTES):
        attribute = der.Reader(one).enter()
        if attribute.oid() == BUNDLE:
            values = attribute.enter(der.SET)
            attribute.done()
            found.append(values.element(der.SEQUENCE))
            values.done()
    if len(found) != 1:
        raise Refusal("bad-attestation", "the request has not one bundle of attestations", found=len(found))
    return found[0]


def _statement(octets: bytes) -> tuple[str, bytes]:
    """An AttestationStatement: its type and the statement; a hint behind it is passed over."""
    reader = der.Reader(octets).enter()
    kind = reader.oid()
    statement = reader.element()
    if reader.pos != reader.end:
        reader.content(0x0C)
    reader.done()
    return kind, statement


def request_attested(
    key: SigningKey,
    suite: SignatureSuite,
    names: Sequence[str],
    attestation: Certificate,
    beside: Sequence[Certificate] = (),
) -> bytes:
    """A PKCS #10 request, DER, with the device's attestation of ``key``, which may be one that is lent."""
    statement = der.sequence(der.oid(PIV_STATEMENT), attestation.der)
    parts = [der.sequence(statement)]
    if beside:
        parts.append(der.sequence(*(one.der for one in beside)))
    wanted = extensions.alternative_names(map(alternative_name, names), critical=False)
    attributes = (
        _written(oids.EXTENSION_REQUEST, der.sequence(wanted)),
        _written(BUNDLE, der.sequence(*parts)),
    )
    public: Any = key.public_key()
    info = der.sequence(
        der.integer(0),
        subject_octets(names[0]),
        spki_of(public),
        der.set_of(attributes, tag=0xA0),
    )
    signature = der.tlv(der.BIT_STRING, b"\0" + suite.sign(key, info))
    return der.sequence(info, suite.signature_algorithm, signature)


def _written(oid: str, value: bytes) -> bytes:
    return der.sequence(der.oid(oid), der.set_of([value]))
