"""What envelopes cost over the bare primitives, by kind of key and number of recipients.

The bare side does by the library's own calls what no sender can leave out: for agreement one ephemeral key
from the caller's octets with its point, and for each recipient the agreement, its derivation and the wrap
(RFC 5753, 3.1; RFC 8418, 2); for encapsulation each encapsulation with derivation and wrap (RFC 9629, 2);
for transport each OAEP; and the content's encryption.  What the envelope costs over the agreements,
encapsulations or transports alone stands in the detail as ``over_alone``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from bench.crypto import _Authority, _figure
from e2s.crypto import cms, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.openers import KeyOpener, ephemeral
from e2s.crypto.suites import other_info, shared_info

CONTENT = secrets.token_bytes(9_000)
KEY, NONCE = secrets.token_bytes(32), secrets.token_bytes(12)
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
CURVE, ECDH = ec.SECP256R1(), ec.ECDH()
POINT = (Encoding.X962, PublicFormat.UncompressedPoint)
RAW = (Encoding.Raw, PublicFormat.Raw)
RSA_KEYS = 10


def rounds() -> list[dict[str, Any]]:
    """The figures of this area."""
    authority = _Authority()
    found = [_ecdh(authority, count) for count in (1, 10, 100)]
    found.append(_x25519(authority))
    found.append(_rsa(authority))
    found += [_kem(authority, kind) for kind in (mlkem.MLKEM768PrivateKey, mlkem.MLKEM1024PrivateKey)]
    return [*found, *_openings(authority)]


def _recipients(authority: _Authority, keys: Sequence[Any], count: int) -> list[Certificate]:
    return [authority.certify(f"r{n}", keys[n % len(keys)]) for n in range(count)]


def _sealing(
    name: str,
    limit: float,
    recipients: Sequence[Certificate],
    bare: Callable[[], object],
    alone: Callable[[], object],
) -> dict[str, Any]:
    """Sealing to ``recipients`` over ``bare``, with the ratio over ``alone`` in the detail."""

    def ours() -> None:
        cms.seal(CONTENT, oids.ACT, recipients, secrets.token_bytes)

    repeats = max(2, 200 // len(recipients))
    over = _figure(name, limit, alone, ours, repeats=repeats)["value"]  # type: ignore[arg-type]
    size = len(cms.seal(CONTENT, oids.ACT, recipients, secrets.token_bytes)) - len(CONTENT)
    figure = _figure(name, limit, bare, ours, repeats=repeats, envelope_bytes=size)  # type: ignore[arg-type]
    figure["detail"]["over_alone"] = over
    return figure


def _ecdh(authority: _Authority, count: int) -> dict[str, Any]:
    recipients = _recipients(authority, [ec.generate_private_key(CURVE) for _ in range(count)], count)
    keys: list[Any] = [one.public_key for one in recipients]
    lasting, info, digest = ec.generate_private_key(CURVE), shared_info(32), hashes.SHA256()

    def alone() -> None:
        for key in keys:
            lasting.exchange(ECDH, key)

    def bare() -> None:
        own = ephemeral(CURVE, secrets.token_bytes)
        own.public_key().public_bytes(*POINT)
        for key in keys:
            aes_key_wrap(X963KDF(digest, 32, info).derive(own.exchange(ECDH, key)), KEY)
        AESGCM(KEY).encrypt(NONCE, CONTENT, None)

    return _sealing(f"envelopes.ecdh-{count}", 1.2, recipients, bare, alone)


def _x25519(authority: _Authority) -> dict[str, Any]:
    recipients = _recipients(authority, [x25519.X25519PrivateKey.generate() for _ in range(100)], 100)
    keys: list[Any] = [one.public_key for one in recipients]
    lasting, info, digest = x25519.X25519PrivateKey.generate(), shared_info(32), hashes.SHA256()

    def alone() -> None:
        for key in keys:
            lasting.exchange(key)

    def bare() -> None:
        own = x25519.X25519PrivateKey.from_private_bytes(secrets.token_bytes(32))
        own.public_key().public_bytes(*RAW)
        for key in keys:
            aes_key_wrap(HKDF(digest, 32, None, info).derive(own.exchange(key)), KEY)
        AESGCM(KEY).encrypt(NONCE, CONTENT, None)

    return _sealing("envelopes.x25519-100", 1.2, recipients, bare, alone)


def _rsa(authority: _Authority) -> dict[str, Any]:
    """A hundred recipients on ten keys: making keys takes long, and which key it is costs nothing."""
    made = [rsa.generate_private_key(65537, 3072) for _ in range(RSA_KEYS)]
    recipients = _recipients(authority, made, 100)
    keys: list[Any] = [one.public_key for one in recipients]

    def alone() -> None:
        for key in keys:
            key.encrypt(KEY, OAEP)

    def bare() -> None:
        alone()
        AESGCM(KEY).encrypt(NONCE, CONTENT, None)

    return _sealing("envelopes.rsa-100", 1.3, recipients, bare, alone)


def _kem(authority: _Authority, kind: Any) -> dict[str, Any]:
    recipients = _recipients(authority, [kind.generate() for _ in range(100)], 100)
    keys: list[Any] = [one.public_key for one in recipients]
    info, digest = other_info(32), hashes.SHA256()

    def alone() -> None:
        for key in keys:
            key.encapsulate()

    def bare() -> None:
        for key in keys:
            secret, _ciphertext = key.encapsulate()
            aes_key_wrap(HKDF(digest, 32, None, info).derive(secret), KEY)
        AESGCM(KEY).encrypt(NONCE, CONTENT, None)

    size = kind.__name__.removeprefix("MLKEM").removesuffix("PrivateKey")
    return _sealing(f"envelopes.ml-kem-{size}-100", 1.15, recipients, bare, alone)


def _openings(authority: _Authority) -> list[dict[str, Any]]:
    """Opening over: the peer's key read, agreement (or its like), derivation, unwrapping and decryption."""
    agreeing = ec.generate_private_key(CURVE)
    montgomery = x25519.X25519PrivateKey.generate()
    peer = ec.generate_private_key(CURVE).public_key()
    spki = peer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    other = x25519.X25519PrivateKey.generate().public_key()
    raw = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    transport = rsa.generate_private_key(65537, 3072)
    kem = mlkem.MLKEM768PrivateKey.generate()
    ciphertext = kem.public_key().encapsulate()[1]
    carried = transport.public_key().encrypt(KEY, OAEP)
    wrapped, info, digest = aes_key_wrap(KEY, KEY), shared_info(32), hashes.SHA256()

    def by_ecdh() -> None:
        secret = agreeing.exchange(ECDH, load_der_public_key(spki))  # type: ignore[arg-type]  # an elliptic key
        X963KDF(digest, 32, info).derive(secret)

    def by_x25519() -> None:
        HKDF(digest, 32, None, info).derive(montgomery.exchange(load_der_public_key(raw)))  # type: ignore[arg-type]

    def by_kem() -> None:
        HKDF(digest, 32, None, info).derive(kem.decapsulate(ciphertext))

    ways: list[tuple[str, Any, Callable[[], object], int]] = [
        ("ecdh", agreeing, by_ecdh, 100),
        ("x25519", montgomery, by_x25519, 100),
        ("rsa", transport, lambda: transport.decrypt(carried, OAEP), 4),
        ("ml-kem-768", kem, by_kem, 100),
    ]
    return [_opening(authority, name, key, way, repeats, wrapped) for name, key, way, repeats in ways]


def _opening(
    authority: _Authority, name: str, key: Any, way: Callable[[], object], repeats: int, wrapped: bytes
) -> dict[str, Any]:
    certificate = authority.certify("one", key)
    octets = cms.seal(CONTENT, oids.ACT, [certificate], secrets.token_bytes)
    opener, sealed = KeyOpener(certificate, key), AESGCM(KEY).encrypt(NONCE, CONTENT, None)

    def bare() -> None:
        way()
        aes_key_unwrap(KEY, wrapped)
        AESGCM(KEY).decrypt(NONCE, sealed, None)

    def ours() -> None:
        cms.open_sealed(octets, opener)

    return _figure(f"envelopes.open-{name}", 1.3, bare, ours, repeats=repeats)
