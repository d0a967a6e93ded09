"""A signed receipt proves that its signer had a signed message and found it good (RFC 2634, 2).

The request stands among the signed attributes of the message, so it is the signer's own.  A receipt is given
only for a signature that holds, where one is asked for, and never for a receipt; it binds to the message by
the signature's octets and by the digest of what that signature is over.  That the receipt's signer is one of
those who were asked, and trusted, is the verifier's word.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.cms.signed import Limits, Signed, check_signature, read_signed
from e2s.crypto.cms.signing import sign
from e2s.crypto.ports import Signer
from e2s.crypto.suites import foreign_suite

#: What is read as a receipt.
RECEIPTS: Final = Limits(max_bytes=256 * 1024, exact=False)

_MAX_REQUEST: Final = 16 * 1024
_MAX_ID: Final = 256
# RFC 2634, 2.7: ub-receiptsTo
_MAX_TO: Final = 16
_MAX_FROM: Final = 128
_MAX_NAMES: Final = 16
_ADDRESS, _URI = 0x81, 0x86
_ALL, _FIRST_TIER = 0, 1
_VERSION: Final = der.integer(1)

Names = tuple[str, ...]


@dataclass(frozen=True)
class ReceiptRequest:
    """Who is asked for receipts, and where they go: each party by mail addresses or URIs.

    ``of`` is None when all are asked who get the message.  ``content_id`` is unique to the message.
    """

    content_id: bytes
    to: tuple[Names, ...]
    of: tuple[Names, ...] | None = None
    first_tier: bool = False

    def asks(self, names: Iterable[str], *, by_list: bool = False) -> bool:
        """Whether one of ``names`` is asked; ``by_list`` if the message came through a mailing list.

        Of mail addresses, the case of letters does not count.
        """
        if self.of is None:
            return not (by_list and self.first_tier)
        own = {name.lower() for name in names}
        return any(name.lower() in own for asked in self.of for name in asked)


def request_attribute(request: ReceiptRequest) -> bytes:
    """The request as a signed attribute, to hand to ``sign``; raises :class:`Misuse` ``bad-request``."""
    if not 0 < len(request.content_id) <= _MAX_ID or not 0 < len(request.to) <= _MAX_TO:
        raise Misuse("bad-request", "a request names its content and at least one place for receipts")
    if request.of is not None and not 0 < len(request.of) <= _MAX_FROM:
        raise Misuse("bad-request", "a request asks someone")
    if request.of is None:
        asked = der.tlv(0x80, bytes((_FIRST_TIER if request.first_tier else _ALL,)))
    else:
        asked = der.tlv(0xA1, b"".join(map(_general_names, request.of)))
    to = der.sequence(*map(_general_names, request.to))
    value = der.sequence(der.octet_string(request.content_id), asked, to)
    return attribute(oids.RECEIPT_REQUEST, value)


def _general_names(names: Names) -> bytes:
    """GeneralNames (RFC 5280, 4.2.1.6): what has a colon is a URI, anything else a mail address."""
    if not names or not all(name.isascii() and name.isprintable() for name in names):
        raise Misuse("bad-request", "a party is named by mail addresses or URIs in ASCII")
    return der.sequence(*(der.tlv(_URI if ":" in name else _ADDRESS, name.encode()) for name in names))


def request_in(signed: Signed) -> ReceiptRequest | None:
    """The request that a message's signer makes, if any; believe it only after the message.

    Raises :class:`Refusal` ``der-...`` or ``cms-receipt-request``.
    """
    value = signed.other_attributes.get(oids.RECEIPT_REQUEST)
    if value is None:
        return None
    if signed.content_type == oids.RECEIPT:
        # RFC 2634, 2.3: or two parties would send each other receipts for ever
        raise Refusal("cms-receipt-request", "a receipt asks for no receipt")
    if len(value) > _MAX_REQUEST:
        raise Refusal("cms-receipt-request", "the request is larger than may be read", size=len(value))
    outer = der.Reader(value)
    inside = outer.enter()
    outer.done()
    content_id = inside.content(der.OCTET_STRING)
    asked, first_tier = _asked(inside)
    to = _parties(inside.enter(), _MAX_TO)
    inside.done()
    if not 0 < len(content_id) <= _MAX_ID:
        raise Refusal("cms-receipt-request", "the content's identifier is empty or too long")
    return ReceiptRequest(content_id, to, asked, first_tier=first_tier)


def request_among(signers: Sequence[Signed]) -> ReceiptRequest | None:
    """The request that the signers of one message make, if any; raises as :func:`request_in` does.

    Signers who ask for different receipts are refused (RFC 2634, 2.2.1); a receipt is for one who asks.
    """
    requests = {request for signed in signers if (request := request_in(signed)) is not None}
    if len(requests) > 1:
        raise Refusal("cms-receipt-request", "the signers of a message ask for different receipts")
    return next(iter(requests), None)


def _asked(request: der.Reader) -> tuple[tuple[Names, ...] | None, bool]:
    """ReceiptsFrom: the parties or None for all, and whether only those before a mailing list."""
    if request.peek() == 0xA1:
        return _parties(request.enter(0xA1), _MAX_FROM), False
    tier = request.content(0x80)
    if tier not in {b"\0", b"\1"}:
        raise Refusal("cms-receipt-request", "it is not said who is asked for receipts")
    return None, tier == b"\1"


def _parties(reader: der.Reader, most: int) -> tuple[Names, ...]:
    """GeneralNames of parties; names that are neither addresses nor URIs are passed over."""
    found = []
    for element in reader.elements(der.SEQUENCE, most):
        names = der.Reader(element).enter().elements(None, _MAX_NAMES)
        found.append(tuple(_name(name) for name in names if name[0] in {_ADDRESS, _URI}))
    if not found:
        raise Refusal("cms-receipt-request", "a request names at least one party")
    return tuple(found)


def _name(element: bytes) -> str:
    try:
        return der.Reader(element).content(element[0]).decode("ascii")
    except UnicodeDecodeError as error:
        raise Refusal("cms-receipt-request", "a name is not in ASCII") from error


def receipt_for(
    signed: Signed,
    signer: Signer,
    at: datetime,
    *,
    content: bytes | None = None,
    certificates: Sequence[Certificate] = (),
) -> bytes:
    """A receipt by ``signer`` for a message that asks for one; ``content`` if it is detached.

    The caller decides before whether ``signer`` is asked (:meth:`ReceiptRequest.asks`) and the message's own
    signer trusted.  Raises :class:`Refusal` as :func:`~e2s.crypto.cms.check_signature` does, and
    ``cms-no-receipt-wanted``.
    """
    request = request_in(signed)
    if request is None:
        raise Refusal("cms-no-receipt-wanted", "the message asks for no receipt")
    check_signature(signed, content)
    bound = attribute(oids.MESSAGE_SIGNATURE_DIGEST, der.octet_string(_signed_digest(signed)))
    receipt = _receipt(signed, request)
    return sign(receipt, oids.RECEIPT, signer, at, certificates=certificates, signed_attributes=(bound,))


def check_receipt(octets: bytes, signed: Signed) -> Signed:
    """The receipt ``octets`` read, its signature checked, and that it is for the message ``signed``.

    Its signer is :attr:`Signed.signer_certificate`; whether he was asked and is trusted is another's word.
    Raises :class:`Refusal` ``wrong-receipt``, ``cms-...``, ``der-...`` or those of
    :func:`~e2s.crypto.cms.check_signature`.
    """
    request = request_in(signed)
    if request is None:
        raise Misuse("cms-no-receipt-wanted", "the message asked for no receipt")
    receipt = read_signed(octets, RECEIPTS)
    if receipt.content_type != oids.RECEIPT:
        raise Refusal("cms-content-type", "the message is no receipt", found=receipt.content_type)
    # RFC 2634, 2.6: the same content type, identifier and signature value, so the same octets
    if receipt.octets != _receipt(signed, request):
        raise Refusal("wrong-receipt", "the receipt is for another message")
    bound = receipt.other_attributes.get(oids.MESSAGE_SIGNATURE_DIGEST)
    if bound is None:
        raise Refusal("wrong-receipt", "the receipt does not say what was signed")
    if not hmac.compare_digest(bound, der.octet_string(_signed_digest(signed))):
        raise Refusal("wrong-receipt", "the receipt is for another signature")
    if oids.RECEIPT_REQUEST in receipt.other_attributes:
        raise Refusal("cms-receipt-request", "a receipt asks for no receipt")
    check_signature(receipt)
    return receipt


def _receipt(signed: Signed, request: ReceiptRequest) -> bytes:
    """Receipt (RFC 2634, 2.8)."""
    return der.sequence(
        _VERSION,
        der.oid(signed.content_type),
        der.octet_string(request.content_id),
        der.octet_string(signed.signature),
    )


def _signed_digest(signed: Signed) -> bytes:
    """The digest that the message's signature is over (RFC 2634, 2.5, step 4), by its own algorithm."""
    key = signed.signer_certificate.public_key
    suite = foreign_suite(key, signed.digest_algorithm, signed.signature_algorithm)
    digest: bytes = suite.digest(der.tlv(der.SET, signed.attributes)).digest()
    return digest
