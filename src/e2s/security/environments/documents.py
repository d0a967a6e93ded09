"""What holder and key management say to each other before a PSE is delivered, each bound to the invitation.

``pse-look`` asks what the PSE will hold, ``pse-offer`` answers; ``pse-ask`` brings the requests and the key
to which the parcel is sealed.  Each carries a MAC under the invitation's secret, by a key for its own type,
so that neither who reads along nor who stands between can put a key of his own in its place.  A holder who
renews has no invitation: she signs her ask.
"""

from __future__ import annotations

import hmac
import json
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form, boolean, instant, list_of, octets, octets_max, one_of, record, text
from e2s.security.certificates.possession import MAX_REQUEST_BYTES
from e2s.security.environments.kinds import KEEPINGS, MAX_KEYS, Key, Kind
from e2s.security.environments.messages import ASK, END, LOOK, NONCE_BYTES, OFFER, Ask, End, Look, Offer

MAC_BYTES: Final = 32
#: How far the clocks of holder and key management may differ.
MAX_SKEW: Final = timedelta(hours=24)
_MAX_CERTIFICATE: Final = 8 * 1024
_SALT: Final = b"e2s/1/pse"

_REFERENCE = text(64)
_ORIGIN = text(255, min_length=0)
_NAMES = list_of(text(256), 16, 1)
_AROUND = {"reference": _REFERENCE, "origin": _ORIGIN, "at": instant, "nonce": octets(NONCE_BYTES)}
_CERTIFICATES = list_of(octets_max(_MAX_CERTIFICATE, min_size=1), 16, 1)
_LOOK = Form(LOOK, {**_AROUND, "mac": octets(MAC_BYTES)}, envelope=False)
_KEY = record(
    {
        "label": text(64),
        "profile": text(64),
        "suite": text(64),
        "made": text(20),
        "fresh": boolean,
        "escrow": boolean,
    }
)
_OFFER = Form(
    OFFER,
    {
        "reference": _REFERENCE,
        "nonce": octets(NONCE_BYTES),
        "kind": text(64),
        "keeping": one_of(*KEEPINGS),
        "central": boolean,
        "keys": list_of(_KEY, MAX_KEYS, 1),
        "names": _NAMES,
        "root": octets_max(_MAX_CERTIFICATE, min_size=1),
        "mac": octets(MAC_BYTES),
    },
    envelope=False,
)
_ASK_MEMBERS = {
    **_AROUND,
    "seal-to": octets_max(_MAX_CERTIFICATE, min_size=1),
    "kind": text(64),
    "requests": list_of(record({"label": text(64), "request": octets_max(MAX_REQUEST_BYTES)}), MAX_KEYS, 1),
}
_ASK = Form(ASK, {**_ASK_MEMBERS, "mac": octets(MAC_BYTES)}, envelope=False)
_HELD = list_of(
    record({"label": text(64), "certificate": octets_max(_MAX_CERTIFICATE, min_size=1)}), MAX_KEYS, 1
)
_SIGNED_ASK = Form(ASK, {**_ASK_MEMBERS, "held": _HELD}, envelope=False)
_END = Form(
    END,
    {"origin": _ORIGIN, "at": instant, "reason": text(40), "certificates": _CERTIFICATES},
    envelope=False,
)


def sealed(document: wire.Document, secret: bytes) -> bytes:
    """The document with its MAC under the invitation's secret."""
    return wire.encode({**document, "mac": wire.b64u(_mac(document, secret))})


def reference_in(octets_: bytes) -> str:
    """Which invitation a document names, before anything of it is believed; raises ``not-canonical``..."""
    found = wire.decode(octets_).get("reference")
    if not isinstance(found, str) or not 0 < len(found) <= 64:
        raise Refusal("bad-document", "the document names no invitation")
    return found


def read_look(octets_: bytes, secret: bytes) -> Look:
    """The question, once its MAC is good; raises :class:`Refusal` ``bad-document``, ``wrong-mac``..."""
    said = _proven(octets_, secret, _LOOK)
    return Look(
        reference=said["reference"],
        origin=said["origin"],
        at=parse_instant(said["at"]),
        nonce=wire.unb64u(said["nonce"]),
    )


def read_offer(octets_: bytes, secret: bytes, look: Look) -> Offer:
    """The answer to ``look``, once its MAC is good; raises :class:`Refusal` ``other-answer`` besides."""
    said = _proven(octets_, secret, _OFFER)
    if (said["reference"], said["nonce"]) != (look.reference, wire.b64u(look.nonce)):
        raise Refusal("other-answer", "the answer is to another question")
    try:
        keys = tuple(Key(**one) for one in said["keys"])
        kind = Kind(name=said["kind"], keeping=said["keeping"], keys=keys, central=said["central"])
    except Misuse as error:
        raise Refusal("bad-document", error.message) from error
    return Offer(
        reference=said["reference"],
        nonce=look.nonce,
        kind=kind,
        names=tuple(said["names"]),
        root=Certificate.read(wire.unb64u(said["root"])),
    )


def read_ask(octets_: bytes, secret: bytes | None) -> Ask:
    """The ask, once its MAC is good; None for a secret: it came signed, and has none."""
    if secret is None:
        said = wire.decode(octets_)
        _SIGNED_ASK.check(said)
    else:
        said = _proven(octets_, secret, _ASK)
    requests = {one["label"]: wire.unb64u(one["request"]) for one in said["requests"]}
    if len(requests) < len(said["requests"]):
        raise Refusal("bad-document", "a label stands twice")
    return Ask(
        reference=said["reference"],
        origin=said["origin"],
        at=parse_instant(said["at"]),
        nonce=wire.unb64u(said["nonce"]),
        seal_to=Certificate.read(wire.unb64u(said["seal-to"])),
        kind=said["kind"],
        requests=requests,
        held={
            one["label"]: Certificate.read(wire.unb64u(one["certificate"])) for one in said.get("held", ())
        },
        digest=sha256(octets_).digest(),
    )


def read_end(octets_: bytes) -> End:
    """The word; raises :class:`Refusal` ``bad-document``."""
    said = wire.decode(octets_)
    _END.check(said)
    certificates = tuple(Certificate.read(wire.unb64u(one)) for one in said["certificates"])
    return End(
        origin=said["origin"], at=parse_instant(said["at"]), reason=said["reason"], certificates=certificates
    )


def read_held(octets_: bytes) -> dict[str, Certificate]:
    """What :meth:`Ask.encoded_held` kept."""
    return {label: Certificate.read(wire.unb64u(one)) for label, one in json.loads(octets_).items()}


def check_meant(origin: str, at: datetime, *, here: str, now: datetime) -> None:
    """Raise :class:`Refusal` ``other-origin`` or ``stale`` for what was said to another, or long ago."""
    if origin != here:
        raise Refusal("other-origin", "this was said to another component", meant=origin[:120])
    if abs(now - at) > MAX_SKEW:
        raise Refusal("stale", "this was said long ago, or a clock is wrong", at=format_instant(at))


def parcel_mac(document: wire.Document, secret: bytes) -> str:
    """The MAC that stands in a parcel: who sealed it knew the invitation's secret."""
    return wire.b64u(_mac(document, secret))


def check_mac(document: wire.Document, secret: bytes) -> wire.Document:
    """The document without its MAC, once that is good; raises :class:`Refusal` ``wrong-mac``."""
    bare = {name: value for name, value in document.items() if name != "mac"}
    given = document.get("mac")
    wanted = wire.b64u(_mac(bare, secret))
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Refusal("wrong-mac", "whoever wrote this does not know the invitation's secret")
    return bare


def _proven(octets_: bytes, secret: bytes, form: Form) -> wire.Document:
    document = wire.decode(octets_)
    form.check(document)
    return check_mac(document, secret)


def _mac(document: wire.Document, secret: bytes) -> bytes:
    """HMAC-SHA-256 under a key for this type of document alone (RFC 2104, RFC 5869)."""
    info = str(document["type"]).encode()
    key = HKDF(algorithm=SHA256(), length=MAC_BYTES, salt=_SALT, info=info).derive(secret)
    return hmac.digest(key, wire.encode(document), "sha256")
