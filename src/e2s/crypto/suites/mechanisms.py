"""What a suite is made of, as the agencies' documents name it: mechanisms, each with a size.

A suite is permitted where each of its mechanisms is.  A size is in bits, or the number in the mechanism's
own name (ML-KEM-768); a hybrid is a mechanism of its own, since documents permit it apart from its parts.
Key wrap and key derivation follow the cipher and the digest, which stand for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from e2s.base.errors import Misuse

#: What a suite is for; authentication is decided apart from confidentiality (6.3.3).
Kind: TypeAlias = Literal["signature", "sealing", "session"]
Use: TypeAlias = Literal["authentication", "confidentiality"]

KINDS: Final[tuple[Kind, ...]] = ("signature", "sealing", "session")
USES: Final[tuple[Use, ...]] = ("authentication", "confidentiality")
USE_OF: Final[Mapping[Kind, Use]] = MappingProxyType(
    {"signature": "authentication", "sealing": "confidentiality", "session": "confidentiality"}
)


@dataclass(frozen=True)
class Part:
    """One mechanism in one size."""

    mechanism: str
    size: int

    def __str__(self) -> str:
        """``ecdh-256``; the size is left out where the name says it."""
        return self.mechanism if self.mechanism in _ONE_SIZE else f"{self.mechanism}-{self.size}"


_ONE_SIZE: Final = frozenset({"ed25519", "ed448", "x25519", "x448", "shake256"})
_SHA256, _SHA384, _SHA512 = Part("sha2", 256), Part("sha2", 384), Part("sha2", 512)
_GCM, _CBC = Part("aes-gcm", 256), Part("aes-cbc", 256)

_SIGNATURE: Final = {
    "ml-dsa-87": (Part("ml-dsa", 87), _SHA512),
    "ml-dsa-65": (Part("ml-dsa", 65), _SHA512),
    "ml-dsa-44": (Part("ml-dsa", 44), _SHA512),
    "p521-sha512": (Part("ecdsa", 521), _SHA512),
    "ed448": (Part("ed448", 448), Part("shake256", 512)),
    "p384-sha384": (Part("ecdsa", 384), _SHA384),
    "ed25519": (Part("ed25519", 256), _SHA512),
    "p256-sha256": (Part("ecdsa", 256), _SHA256),
    "rsa3072-pss-sha256": (Part("rsa-pss", 3072), _SHA256),
    "rsa3072-pkcs1-sha256": (Part("rsa-pkcs1-signature", 3072), _SHA256),
}
_SEALING: Final = {
    "ml-kem-1024-aes256gcm": (Part("ml-kem", 1024), _SHA256, _GCM),
    "ml-kem-768-aes256gcm": (Part("ml-kem", 768), _SHA256, _GCM),
    "ecdh-p521-aes256gcm": (Part("ecdh", 521), _SHA512, _GCM),
    "x448-aes256gcm": (Part("x448", 448), _SHA512, _GCM),
    "ecdh-p384-aes256gcm": (Part("ecdh", 384), _SHA384, _GCM),
    "x25519-aes256gcm": (Part("x25519", 256), _SHA256, _GCM),
    "ecdh-p256-aes256gcm": (Part("ecdh", 256), _SHA256, _GCM),
    "rsa-oaep-aes256gcm": (Part("rsa-oaep", 3072), _SHA256, _GCM),
    "ecdh-p521-aes256cbc": (Part("ecdh", 521), _SHA512, _CBC),
    "ecdh-p384-aes256cbc": (Part("ecdh", 384), _SHA384, _CBC),
    "ecdh-p256-aes256cbc": (Part("ecdh", 256), _SHA256, _CBC),
    "rsa-oaep-aes256cbc": (Part("rsa-oaep", 3072), _SHA256, _CBC),
    "rsa-pkcs1-aes256cbc": (Part("rsa-pkcs1-encryption", 3072), _CBC),
}
_SESSION: Final = {
    "p384-ml-kem-1024-hkdf-sha384-aes256gcm": (Part("ecdh+ml-kem", 1024), _SHA384, _GCM),
    "x25519-ml-kem-768-hkdf-sha256-aes256gcm": (Part("x25519+ml-kem", 768), _SHA256, _GCM),
    "p384-hkdf-sha384-aes256gcm": (Part("ecdh", 384), _SHA384, _GCM),
    "x25519-hkdf-sha256-aes256gcm": (Part("x25519", 256), _SHA256, _GCM),
    "p256-hkdf-sha256-aes256gcm": (Part("ecdh", 256), _SHA256, _GCM),
}
#: The mechanisms of each suite, by kind and name; suites of a kind strongest first, those for old peers last.
PARTS: Final[Mapping[Kind, Mapping[str, tuple[Part, ...]]]] = MappingProxyType(
    {"signature": _SIGNATURE, "sealing": _SEALING, "session": _SESSION}
)
#: Suites for old peers: used when asked for by name, never chosen.
OLD: Final = frozenset(
    {
        "rsa3072-pkcs1-sha256",
        "ecdh-p521-aes256cbc",
        "ecdh-p384-aes256cbc",
        "ecdh-p256-aes256cbc",
        "rsa-oaep-aes256cbc",
        "rsa-pkcs1-aes256cbc",
    }
)
#: Every mechanism that a row may name.
MECHANISMS: Final = frozenset(
    part.mechanism for suites in PARTS.values() for parts in suites.values() for part in parts
)


def parts_of(kind: Kind, name: str) -> tuple[Part, ...]:
    """The mechanisms of a suite; raises :class:`Misuse` ``suite-unknown``."""
    if name not in PARTS[kind]:
        raise Misuse("suite-unknown", "no such suite of this kind", kind=kind, suite=name[:64])
    return PARTS[kind][name]
