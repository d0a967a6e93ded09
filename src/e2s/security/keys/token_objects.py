"""Objects of a PKCS#11 token: key pairs made there, public halves read, and how each suite signs.

``pkcs11`` is the library; whoever calls is alone in the module, and turns its errors into refusals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.kinds import PublicKey
from e2s.crypto.suites import MAX_RSA_BITS, MIN_RSA_BITS, SignatureSuite, signature_suite_of
from e2s.crypto.suites.digests import DIGESTS

_CURVES: Final[dict[str, tuple[str, ec.EllipticCurve]]] = {
    "p256-sha256": (oids.P256, ec.SECP256R1()),
    "p384-sha384": (oids.P384, ec.SECP384R1()),
    "p521-sha512": (oids.P521, ec.SECP521R1()),
}
_RSA: Final = frozenset({"rsa3072-pss-sha256", "rsa3072-pkcs1-sha256"})
#: Octets of a coordinate on the largest curve, P-521.
_MAX_COORDINATE: Final = 66
#: Suites whose keys a token generates.
GENERATED: Final = frozenset(_CURVES) | _RSA


@dataclass(frozen=True, eq=False)
class Key:
    """A private key on one session; ``asks`` where it wants the PIN at each signature."""

    session: Any
    object: Any
    asks: bool


@dataclass(slots=True, eq=False)
class Use:
    """How the key ``label`` signs: what is handed over, how it is asked, what becomes of the answer.

    A digest is handed over, or what ``info`` makes of the data; ``known`` is the key where it was found last.
    """

    label: str
    digest: Callable[..., Any]
    how: dict[str, Any]
    finish: Callable[[bytes], bytes]
    info: Callable[[bytes], bytes] | None = None
    known: Key | None = None

    def handed(self, data: bytes) -> bytes:
        """What is handed over for ``data``."""
        if self.info is not None:
            return self.info(data)
        digest: bytes = self.digest(data).digest()
        return digest


def use_of(pkcs11: Any, label: str, suite: SignatureSuite) -> Use:
    """How ``suite`` signs in a token: for PKCS#1 v1.5 a DigestInfo is handed over (RFC 8017, 9.2)."""
    digest = suite.digest
    if suite.kind == "ec":
        how = {"mechanism": pkcs11.Mechanism.ECDSA, "buffer_size": 2 * _MAX_COORDINATE}
        return Use(label, digest, how, _signature)
    pad, _hashing = suite.scheme
    how = {"mechanism": pkcs11.Mechanism.RSA_PKCS, "buffer_size": MAX_RSA_BITS // 8}
    if isinstance(pad, padding.PSS):
        parameter = (pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256, suite.digest_size)
        how |= {"mechanism": pkcs11.Mechanism.RSA_PKCS_PSS, "mechanism_param": parameter}
        return Use(label, digest, how, bytes)
    named = DIGESTS["sha256"].identifiers[1]

    def info(data: bytes) -> bytes:
        return der.sequence(named, der.octet_string(digest(data).digest()))

    return Use(label, digest, how, bytes, info)


def _signature(pair: bytes) -> bytes:
    """An ECDSA-Sig-Value (RFC 3279, 2.2.3) of r ‖ s, both of the same size (PKCS#11 v3.1, 6.3.1).

    Written out here: right behind the token's own work the library's way costs a tenth of a signature.
    """
    half, odd = divmod(len(pair), 2)
    r, s = pair[:half].lstrip(b"\0"), pair[half:].lstrip(b"\0")
    if odd or not r or not s or half > _MAX_COORDINATE:
        raise Refusal("bad-token-signature", "the token gave no signature of this kind")
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    size = len(r) + len(s) + 4
    head = b"\x30%c" % size if size < 0x80 else b"\x30\x81%c" % size
    return b"%b\x02%c%b\x02%c%b" % (head, len(r), r, len(s), s)


def clear(pkcs11: Any, session: Any, label: str) -> None:
    """Destroy the public half of a generation that did not end; raises :class:`Misuse` ``key-exists``.

    Ours is known by its identifier, and by having no private half: anything else of this label stays.
    """
    classes = pkcs11.ObjectClass
    found = [
        one
        for one in session.get_objects({pkcs11.Attribute.LABEL: label})
        if one.object_class in {classes.PUBLIC_KEY, classes.PRIVATE_KEY}
    ]
    half = [one for one in found if one.object_class == classes.PUBLIC_KEY and one.id == _id_of(label)]
    if len(half) != len(found):
        raise Misuse("key-exists", "the token has a key of this label", label=label)
    for one in half:
        one.destroy()


def _id_of(label: str) -> bytes:
    """CKA_ID of the pairs that are generated here."""
    return hashlib.sha256(label.encode()).digest()[:16]


def generate_pair(pkcs11: Any, session: Any, label: str, suite: str) -> None:
    """A key pair for ``suite``, the private half sensitive and not extractable; the session may write."""
    attribute = pkcs11.Attribute
    named = {
        "id": _id_of(label),
        "label": label,
        "store": True,
        "capabilities": pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
        "private_template": {
            attribute.PRIVATE: True,
            attribute.SENSITIVE: True,
            attribute.EXTRACTABLE: False,
        },
    }
    if suite in _RSA:
        session.generate_keypair(pkcs11.KeyType.RSA, MIN_RSA_BITS, **named)
        return
    curve = {attribute.EC_PARAMS: der.oid(_CURVES[suite][0])}
    session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True).generate_keypair(**named)


def check_kept(pkcs11: Any, key: Any) -> None:
    """Raise :class:`Refusal` ``token-key-exposed`` unless the token keeps the private key to itself."""
    if flag(pkcs11, key, "EXTRACTABLE", absent=True) or not flag(pkcs11, key, "SENSITIVE"):
        raise Refusal("token-key-exposed", "the token would give this private key away")


def flag(pkcs11: Any, found: Any, name: str, *, absent: bool = False) -> bool:
    """A boolean attribute; ``absent`` where the token does not know it."""
    try:
        return bool(found[pkcs11.Attribute[name]])
    except (pkcs11.AttributeTypeInvalid, pkcs11.AttributeSensitive, pkcs11.FunctionFailed, IndexError):
        return absent


def label_of(pkcs11: Any, found: Any) -> str:
    """The label of an object, or nothing."""
    try:
        return str(found[pkcs11.Attribute.LABEL])
    except (pkcs11.AttributeTypeInvalid, pkcs11.FunctionFailed, UnicodeDecodeError, IndexError):
        return ""


def public_of(pkcs11: Any, found: Any) -> PublicKey:
    """A public key as the token describes it."""
    attribute = pkcs11.Attribute
    try:
        kind = found[attribute.KEY_TYPE]
        if kind == pkcs11.KeyType.RSA:
            modulus, exponent = found[attribute.MODULUS], found[attribute.PUBLIC_EXPONENT]
            numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
            key: PublicKey = numbers.public_key()
        elif kind == pkcs11.KeyType.EC:
            key = _point(found[attribute.EC_PARAMS], found[attribute.EC_POINT])
        else:
            raise _unreadable()
        signature_suite_of(key)
    except (ValueError, Refusal, pkcs11.AttributeTypeInvalid, IndexError) as error:
        raise _unreadable() from error
    return key


def _point(parameters: bytes, point: bytes) -> PublicKey:
    """A point on a named curve, wrapped in an OCTET STRING or, by some tokens, bare."""
    curve = next((one for oid, one in _CURVES.values() if der.oid(oid) == parameters), None)
    if curve is None:
        raise _unreadable()
    size = 1 + 2 * ((curve.key_size + 7) // 8)
    if len(point) == size:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    reader = der.Reader(point)
    octets = reader.content(der.OCTET_STRING)
    reader.done()
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, octets)


def _unreadable() -> Refusal:
    return Refusal("bad-token-key", "the token's key is of no kind that signs here")
