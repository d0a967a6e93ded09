"""Parties with keys of every kind that the judge knows, made once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, mlkem, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.worlds.crypto import Party, new_party

KEYS: dict[str, Callable[[], Any]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa": cache(lambda: rsa.generate_private_key(65537, 3072)),  # one for all: they take their time
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
    "x25519": x25519.X25519PrivateKey.generate,
    "x448": x448.X448PrivateKey.generate,
    "ml-kem-768": mlkem.MLKEM768PrivateKey.generate,
    "ml-kem-1024": mlkem.MLKEM1024PrivateKey.generate,
}
SIGNING = tuple(kind for kind in KEYS if not kind.startswith(("x", "ml-kem")))
OPENING = tuple(kind for kind in KEYS if not kind.startswith(("ed", "ml-dsa")))


def peer(kind: str, name: str = "anna", *, key_id: bool = True) -> Party:
    """The party called ``name`` with a key of ``kind``."""
    return _made(kind, name, key_id)


@cache
def _made(kind: str, name: str, key_id: bool) -> Party:
    return new_party(name, KEYS[kind](), key_id=key_id)


def pkcs8(party: Party) -> bytes:
    """The private key as the judge reads it (RFC 5958)."""
    return party.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


random = secrets.token_bytes
