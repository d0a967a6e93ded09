"""Another's message in BER comes out in DER before it is read: so the readers know one encoding only.

What CMS tags anew is named here: sets that have an order (attributes, recipients), strings that may come in
pieces (key identifiers, encrypted content).  Signed attributes come out as their signer had them when he
signed (RFC 5652, 5.4).  Certificates and CRLs were signed elsewhere: their octets stay, and SETs in the names
taken from them stay in their order.
"""

from __future__ import annotations

from typing import Final

from e2s.crypto import ber, der, oids
from e2s.crypto.ber import ANY, OPAQUE, STRING, UNSORTED, Shape
from e2s.crypto.cms.signed import FOREIGN

#: Besides what the structure needs, one for each piece of content, which may be as small as this.
_MIN_PIECE: Final = 512


def _kind(oid: str) -> bytes:
    """An OBJECT IDENTIFIER's content."""
    return der.oid(oid)[2:]


def _set(of: Shape) -> Shape:
    """A SET OF under any tag."""
    return Shape(fields=(dict.fromkeys(range(256), of),), repeated=True, ordered=True)


def _explicit(of: Shape) -> Shape:
    """Something under a tag of its own and one more."""
    return Shape(fields=({der.SEQUENCE: of},))


# RFC 5652, 6.2 and 10.2.4: named by issuer and serial number, or by key identifier
_NAMED: Final = {der.SEQUENCE: UNSORTED, 0x80: ANY, 0xA0: STRING}
_ALGORITHM: Final = {der.SEQUENCE: ANY}
_ATTRIBUTES: Final = _set(ANY)
_CERTIFICATES: Final = Shape(fields=(dict.fromkeys(range(256), OPAQUE),), repeated=True, ordered=True)

# RFC 5652, 5.3 and 11.4: a countersignature is a SignerInfo among the unsigned attributes of another
_COUNTERSIGNED: Final = Shape(
    fields=(_NAMED, _ALGORITHM, {0xA0: _ATTRIBUTES}, _ALGORITHM, {0xA1: _ATTRIBUTES})
)
_UNSIGNED: Final = _set(
    Shape(choices={_kind(oids.COUNTERSIGNATURE): Shape(fields=({der.SET: _set(_COUNTERSIGNED)},))})
)
_SIGNER: Final = Shape(fields=(_NAMED, _ALGORITHM, {0xA0: _ATTRIBUTES}, _ALGORITHM, {0xA1: _UNSIGNED}))
# RFC 5652, 5.1
_SIGNED_DATA: Final = Shape(
    fields=(
        {der.SET: ANY},
        {der.SEQUENCE: ANY},
        {0xA0: _CERTIFICATES},
        {0xA1: _CERTIFICATES},
        {der.SET: _set(_SIGNER)},
    )
)

# RFC 5652, 6.2.2; RFC 9629, 3
_AGREEMENT: Final = Shape(
    fields=(
        {0xA0: Shape(fields=({der.SEQUENCE: UNSORTED, 0xA0: STRING, 0xA1: ANY},))},
        {0xA1: ANY},
        _ALGORITHM,
        {
            der.SEQUENCE: Shape(
                fields=({der.SEQUENCE: Shape(fields=({der.SEQUENCE: UNSORTED, 0xA0: ANY},))},), repeated=True
            )
        },
    )
)
_ENCAPSULATION: Final = Shape(fields=(_NAMED, _ALGORITHM, _ALGORITHM, {0xA0: ANY}, _ALGORITHM))
_RECIPIENTS: Final = Shape(
    fields=(
        {
            der.SEQUENCE: Shape(fields=(_NAMED, _ALGORITHM)),
            0xA1: _AGREEMENT,
            0xA4: Shape(choices={_kind(oids.ORI_KEM): Shape(fields=({der.SEQUENCE: _ENCAPSULATION},))}),
        },
    ),
    repeated=True,
    ordered=True,
)
# RFC 5652, 6.1
_ORIGINATOR: Final = Shape(fields=({0xA0: _CERTIFICATES}, {0xA1: _CERTIFICATES}))
_ENCRYPTED: Final = Shape(fields=(_ALGORITHM, {0x80: ANY, 0xA0: STRING}))
_ENVELOPED_DATA: Final = Shape(
    fields=({0xA0: _ORIGINATOR}, {der.SET: _RECIPIENTS}, {der.SEQUENCE: _ENCRYPTED}, {0xA1: _ATTRIBUTES})
)
# RFC 5083, 2.1
_AUTH_ENVELOPED_DATA: Final = Shape(
    fields=(
        {0xA0: _ORIGINATOR},
        {der.SET: _RECIPIENTS},
        {der.SEQUENCE: _ENCRYPTED},
        {0xA1: _ATTRIBUTES},
        {0xA2: _ATTRIBUTES},
    )
)
_CONTENT_INFO: Final = Shape(
    choices={
        _kind(oid): Shape(fields=({0xA0: _explicit(shape)},))
        for oid, shape in (
            (oids.SIGNED_DATA, _SIGNED_DATA),
            (oids.ENVELOPED_DATA, _ENVELOPED_DATA),
            (oids.AUTH_ENVELOPED_DATA, _AUTH_ENVELOPED_DATA),
        )
    }
)


def normalised(octets: bytes, *, max_bytes: int = FOREIGN.max_bytes) -> bytes:
    """The DER of a ContentInfo that another wrote in BER; of one in DER, the same octets.

    The content inside is joined but not looked into.  Nothing is proven: read it with
    :data:`~e2s.crypto.cms.FOREIGN`.  Raises :class:`Refusal` ``too-large``, ``der-...`` or ``ber-...``.
    """
    most = ber.MAX_ELEMENTS + len(octets) // _MIN_PIECE
    return ber.normalised(octets, max_bytes=max_bytes, max_elements=most, shape=_CONTENT_INFO)
