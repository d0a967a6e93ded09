"""Objects of a PKCS#11 token: key pairs made there, public halves read, and how each suite signs.

``pkcs11`` is the library; whoever calls is alone in the module, and turns its errors into refusals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.kinds import PublicKey
from e2s.crypto.suites import MIN_RSA_BITS, SignatureSuite, signature_suite_of
from e2s.crypto.suites.digests import DIGESTS

_CURVES: Final[dict[str, tuple[str, ec.EllipticCurve]]] = {
    "p256-sha256": (oids.P256, ec.SECP256R1()),
    "p384-sha384": (oids.P384, ec.SECP384R1()),
    "p521-sha512": (oids.P521, ec.SECP521R1()),
}
_RSA: Final = frozenset({"rsa3072-pss-sha256", "rsa3072-pkcs1-sha256"})
#: Suites whose keys a token generates.
GENERATED: Final = frozenset(_CURVES) | _RSA


@dataclass(frozen=True, eq=False)
class Form:
    """How a suite signs in a token: what is handed over, by which mechanism, and what comes back."""

    prepare: Callable[[bytes], bytes]
    mechanism: Any
    parameter: Any
    finish: Callable[[bytes], bytes]
    room: int


def form_of(pkcs11: Any, suite: SignatureSuite) -> Form:
    """The form of ``suite``: a digest for ECDSA and PSS, a DigestInfo for PKCS#1 v1.5 (RFC 8017, 9.2)."""
    digest = suite.digest
    if suite.kind == "ec":
        return Form(lambda data: digest(data).digest(), pkcs11.Mechanism.ECDSA, None, _signature, 256)
    pad, _hashing = suite.scheme
    if isinstance(pad, padding.PSS):
        parameter = (pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256, suite.digest_size)
        mechanism = pkcs11.Mechanism.RSA_PKCS_PSS
        return Form(lambda data: digest(data).digest(), mechanism, parameter, bytes, 2048)
    named = DIGESTS["sha256"].identifiers[1]

    def info(data: bytes) -> bytes:
        return der.sequence(named, der.octet_string(digest(data).digest()))

    return Form(info, pkcs11.Mechanism.RSA_PKCS, None, bytes, 2048)


def _signature(pair: bytes) -> bytes:
    """An ECDSA-Sig-Value (RFC 3279, 2.2.3) of r ‖ s, both of the same size (PKCS#11, 6.3.1)."""
    half, odd = divmod(len(pair), 2)
    r, s = int.from_bytes(pair[:half], "big"), int.from_bytes(pair[half:], "big")
    if odd or not r or not s:
        raise Refusal("bad-token-signature", "the token gave no signature of this kind")
    return encode_dss_signature(r, s)


def generate_pair(pkcs11: Any, session: Any, label: str, suite: str) -> None:
    """A key pair for ``suite``, the private half sensitive and not extractable; the session may write."""
    attribute = pkcs11.Attribute
    named = {
        "id": hashlib.sha256(label.encode()).digest()[:16],
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
    octets = point if len(point) == size else der.Reader(point).content(der.OCTET_STRING)
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, octets)


def _unreadable() -> Refusal:
    return Refusal("bad-token-key", "the token's key is of no kind that signs here")
