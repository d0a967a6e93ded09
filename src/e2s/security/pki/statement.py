"""A key that agrees or encapsulates signs no request; another key of the same holder's states who has it.

RFC 9883: the request is signed by a key that is certified already, and says by which certificate.  It is
believed where that is this CA's own, of the same subject and names, and good; and never for a key that signs.
"""

from __future__ import annotations

from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.crypto.ports import Signer
from e2s.security.certificates import extensions
from e2s.security.certificates.names import alternative_name
from e2s.security.certificates.profile import Profile, Use
from e2s.security.pki import store
from e2s.security.pki.office import Office
from e2s.security.verification.traits import traits

_VERSION: Final = der.integer(0)


def request_stated(key: PublicKey, names: tuple[str, ...], signer: Signer) -> bytes:
    """A PKCS #10 request, DER, for ``key`` and ``names``, stated by the holder's certified ``signer``."""
    certificate = signer.certificate
    statement = der.sequence(certificate.issuer_and_serial, certificate.der)
    wanted = extensions.alternative_names(map(alternative_name, names), critical=False)
    attributes = (
        _attribute(oids.EXTENSION_REQUEST, der.sequence(wanted)),
        _attribute(oids.POSSESSION_STATEMENT, statement),
    )
    info = der.sequence(_VERSION, certificate.slices.subject, spki_of(key), der.set_of(attributes, tag=0xA0))
    signature = der.tlv(der.BIT_STRING, b"\0" + signer.sign(info))
    return der.sequence(info, signer.suite.signature_algorithm, signature)


def _attribute(oid: str, value: bytes) -> bytes:
    return der.sequence(der.oid(oid), der.set_of([value]))


def check_statement(office: Office, stated: Certificate, names: tuple[str, ...], wanted: Profile) -> None:
    """Raise :class:`Refusal` ``no-possession`` unless the CA may believe whose certificate ``stated`` is."""
    if wanted.use is not Use.AGREE:
        raise Refusal("no-possession", "a key that signs shows that itself (RFC 9883, 6)")
    with office.database.reading() as connection:
        row = store.by_serial(connection, office.finder, stated.serial)
        # of the register, octet for octet: so its signature was this CA's
        held = row is not None and store.revocation(connection, row.id) is not None
    if row is None or row.der != stated.der:
        raise Refusal("no-possession", "the statement is by no certificate of this CA (RFC 9883, 4)")
    if held or not stated.not_before <= office.clock.now() <= stated.not_after:
        raise Refusal("no-possession", "the statement's certificate is not good (RFC 9883, 4)")
    if not traits(stated).may("digital_signature") or traits(stated).ca:
        raise Refusal("no-possession", "the statement's certificate signs no statements (RFC 9883, 4)")
    if not names or names[0] not in (*stated.names, *stated.dns):
        raise Refusal("no-possession", "the statement is by another than the order names (RFC 9883, 4)")
