"""A key made on the card is certified by the card's attesting key, which the maker certified: none other is.

The extensions are those that PIV tools know from YubiKeys: firmware, serial, and when the key asks for the
PIN and for a touch.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.kinds import signing
from e2s.crypto.suites import signature_suite_of
from e2s.security.keys.lent import built
from e2s.security.smartcard import apdu, piv, tlv
from e2s.security.smartcard.memory import Memory
from e2s.security.smartcard.session import stop

FIRMWARE: Final = bytes((5, 4, 3))
_ARC: Final = "1.3.6.1.4.1.41482.3."
_NO_END: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_NO_TOUCH: Final = 1


def short_serial(memory: Memory) -> bytes:
    """The number that is printed: the last four octets of the serial."""
    return memory.serial[-4:]


def attest(memory: Memory, reference: int) -> bytes:
    """A certificate, DER, that says of the key of ``reference`` that it was made here and how it is kept."""
    held = memory.keys.get(reference)
    maker = memory.keys.get(piv.ATTESTING)
    if held is None or maker is None or piv.ATTESTATION not in memory.objects:
        raise stop(apdu.NO_REFERENCE)
    if not held.made:
        raise stop(apdu.CONDITIONS)
    own = x509.load_der_x509_certificate(certificate_in(memory.objects[piv.ATTESTATION]))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"E2S card attestation {reference:02x}")])
    number = der.integer(int.from_bytes(short_serial(memory), "big"))
    values = {
        "3": FIRMWARE,
        "7": number,
        "8": bytes((held.need.value, _NO_TOUCH)),
        "9": b"\x01",
    }
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(own.subject)
        .public_key(held.key.public_key())
        .serial_number(int.from_bytes(memory.serial[:8], "big") << 8 | reference | 1 << 72)
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(min(own.not_valid_after_utc, _NO_END))
    )
    for arc, value in values.items():
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(_ARC + arc), value)
        builder = builder.add_extension(extension, critical=False)
    key = signing(maker.key)
    return built(builder, key, signature_suite_of(key)).public_bytes(Encoding.DER)


def certificate_in(value: bytes) -> bytes:
    """The certificate in an object (part 1, table 10); raises for an object that has none."""
    try:
        certificate = tlv.members(value).get(0x70, b"")
    except Refusal:
        certificate = b""
    if not certificate:
        raise stop(apdu.NOT_FOUND)
    return certificate


def object_of(certificate: bytes) -> bytes:
    """The content of the object that holds a certificate, not compressed."""
    return tlv.write(0x70, certificate) + tlv.write(0x71, b"\0") + tlv.write(0xFE, b"")
