"""A parcel brings a holder her certificates, and the keys that key management made for her.

SignedData by key management over an envelope to the holder (RFC 5652, RFC 5083).  The signer stands within
the envelope as well, so that nobody passes another's envelope off as his; with an invitation so does a MAC
under its secret.  It asks for a signed receipt (RFC 2634, 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.crypto.acts import read_parcel, write_parcel
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import (
    FOREIGN,
    ReceiptRequest,
    Signed,
    check_signature,
    open_sealed,
    read_signed,
    request_attribute,
    seal,
    sign,
)
from e2s.crypto.forms import Form, boolean, digest, list_of, octets_max, record, text
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey, kind_of
from e2s.crypto.ports import Opener, Signer
from e2s.security.environments.documents import check_mac, parcel_mac
from e2s.security.environments.kinds import MAX_KEYS
from e2s.security.environments.messages import PARCEL

LABEL: Final = "e2s/1/pse-answer"
MAX_BYTES: Final = 1024 * 1024
_MAX_DER: Final = 16 * 1024
_MAX_CHAIN: Final = 8
_MAX_LISTS: Final = 14
_ENTRY = record(
    {
        "label": text(64),
        "certificate": octets_max(_MAX_DER, min_size=1),
        "chain": list_of(octets_max(_MAX_DER, min_size=1), _MAX_CHAIN),
        "key": octets_max(_MAX_DER),
        "fresh": boolean,
    }
)
_FORM = Form(
    PARCEL,
    {
        "reference": text(64),
        "ask": digest,
        "signer": digest,
        "kind": text(64),
        "entries": list_of(_ENTRY, MAX_KEYS, 1),
        "mac": text(64, min_length=0),
    },
    envelope=False,
)


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One certificate for a label; ``key`` where key management made it, PKCS #8."""

    label: str
    certificate: Certificate
    chain: tuple[Certificate, ...] = ()
    key: PrivateKey | None = field(default=None, repr=False)
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a parcel holds: the answer to the ask of this digest."""

    reference: str
    ask: bytes
    kind: str
    entries: tuple[Delivered, ...]


def sealed_parcel(
    contents: Contents,
    to: Certificate,
    signer: Signer,
    at: datetime,
    *,
    secret: bytes | None,
    random: Callable[[int], bytes],
) -> bytes:
    """The parcel, DER, sealed to ``to`` and signed; ``secret`` is that of the invitation, if there is one."""
    document: wire.Document = {
        "type": PARCEL,
        "reference": contents.reference,
        "ask": "sha-256:" + wire.b64u(contents.ask),
        "signer": signer.certificate.id,
        "kind": contents.kind,
        "entries": [_said(one) for one in contents.entries],
    }
    mac = "" if secret is None else parcel_mac(document, secret)
    envelope = seal(wire.encode({**document, "mac": mac}), oids.DATA, [to], random)
    holder = contents.entries[0].certificate.name or "urn:e2s:holder"
    wanted = ReceiptRequest(content_id=sha256(envelope).digest(), to=((signer.certificate.name or holder,),))
    return sign(envelope, oids.DATA, signer, at, signed_attributes=(request_attribute(wanted),))


def open_parcel(octets: bytes, opener: Opener, *, secret: bytes | None) -> tuple[Contents, Signed]:
    """What a parcel holds, and who signed it: whether she is trusted, and asked, is the caller's to judge.

    Raises :class:`Refusal` ``cms-...``, ``der-...``, ``not-for-me``, ``bad-envelope``, ``bad-document``,
    ``wrong-mac``, ``other-signer`` or ``key-mismatch``.
    """
    signed = read_signed(octets, FOREIGN)
    check_signature(signed)
    contents, signer = read_contents(open_sealed(signed.octets, opener)[1], secret)
    if signer != signed.signer_certificate.id:
        raise Refusal("other-signer", "another signed the parcel than sealed it")
    return contents, signed


def read_contents(octets: bytes, secret: bytes | None) -> tuple[Contents, str]:
    """What was within the envelope, and who says to have sealed it; raises as :func:`open_parcel` does."""
    document = wire.decode(octets, MAX_BYTES)
    _FORM.check(document)
    if secret is not None:
        check_mac(document, secret)
    ask = wire.unb64u(document["ask"].removeprefix("sha-256:"))
    entries = tuple(map(_read, document["entries"]))
    contents = Contents(reference=document["reference"], ask=ask, kind=document["kind"], entries=entries)
    return contents, str(document["signer"])


def answer(parcel: bytes, root: Certificate, crls: Sequence[bytes]) -> bytes:
    """What is sent: the parcel, the root, and the lists by which its signer and certificates are judged."""
    return write_parcel(LABEL, [parcel, root.der, *crls[:_MAX_LISTS]])


def read_answer(octets: bytes) -> tuple[bytes, Certificate, tuple[bytes, ...]]:
    """The parcel, the root and the lists; nothing of it is proven yet."""
    items = read_parcel(octets, LABEL, 4 * MAX_BYTES)
    if len(items) < 2:
        raise Refusal("bad-parcel", "an answer holds a parcel and a root")
    return items[0], Certificate.read(items[1]), items[2:]


def pkcs8(key: PrivateKey) -> bytes:
    """A private key in clear, DER, to be sealed."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def read_pkcs8(octets: bytes) -> PrivateKey:
    """A private key in clear; raises :class:`Refusal` ``bad-key``."""
    try:
        key = load_der_private_key(octets, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refusal("bad-key", "a key cannot be read") from error
    if not kind_of(key.__class__):
        raise Refusal("bad-key", "a key is of an unknown kind")
    return cast(PrivateKey, key)


def _said(one: Delivered) -> wire.Document:
    return {
        "label": one.label,
        "certificate": wire.b64u(one.certificate.der),
        "chain": [wire.b64u(issuer.der) for issuer in one.chain],
        "key": "" if one.key is None else wire.b64u(pkcs8(one.key)),
        "fresh": one.fresh,
    }


def _read(said: Mapping[str, object]) -> Delivered:
    entry = cast("dict[str, str]", said)
    certificate = Certificate.read(wire.unb64u(entry["certificate"]))
    key = read_pkcs8(wire.unb64u(entry["key"])) if entry["key"] else None
    if key is not None and spki_of(key.public_key()) != certificate.spki:
        raise Refusal("key-mismatch", "a certificate in the parcel is not of the key beside it")
    return Delivered(
        label=entry["label"],
        certificate=certificate,
        chain=tuple(Certificate.read(wire.unb64u(one)) for one in entry["chain"]),
        key=key,
        fresh=bool(entry["fresh"]),
    )
