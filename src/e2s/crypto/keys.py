"""Signing keys in this process's memory behind the port, and private keys as files hold them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from e2s.base import meter
from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey, PublicKey, kind_of, signing
from e2s.crypto.openers import check_pair
from e2s.crypto.private_info import key_of
from e2s.crypto.sealed_info import opened
from e2s.crypto.suites import (
    MAX_RSA_BITS,
    SignatureSuite,
    check_suite,
    sealing_suites_of,
    signature_suite_of,
)

_MAX_KEY_BYTES = 64 * 1024
#: Where the classes of the library's own keys are; those of a token or behind a signer are elsewhere.
_LIBRARY = "cryptography.hazmat.bindings."
_MAX_EXPONENT_BITS = 64
_RSA_BLOCK = re.compile(rb"-----BEGIN (?:RSA )?PRIVATE KEY-----([^-]*+)-----END", re.ASCII)
_PLAIN_BLOCK = re.compile(rb"-----BEGIN PRIVATE KEY-----([^-]*+)-----END PRIVATE KEY-----", re.ASCII)
_SEALED_BLOCK = re.compile(
    rb"-----BEGIN ENCRYPTED PRIVATE KEY-----([^-]*+)-----END ENCRYPTED PRIVATE KEY-----", re.ASCII
)
_AFTER_HEADERS = re.compile(rb"\n[ \t]*\r?\n")


class KeySigner:
    """A :class:`~e2s.crypto.ports.Signer` on a private key in memory."""

    __slots__ = ("_arguments", "_digest", "_key", "_sign", "certificate", "chain", "suite")

    def __init__(
        self,
        certificate: Certificate,
        chain: tuple[Certificate, ...],
        private_key: PrivateKey,
        *,
        suite: SignatureSuite | None = None,
    ) -> None:
        """``suite`` is the key's default if not said.

        Raises :class:`Misuse` ``wrong-key`` when the key is not the certificate's, ``wrong-suite`` when it
        does not sign so, and :class:`Refusal` ``suite-unknown`` when it does not sign at all.
        """
        check_pair(certificate, private_key)
        self.certificate = certificate
        self.chain = chain
        self.suite = suite or signature_suite_of(private_key)
        check_suite(self.suite, certificate.public_key, certificate.spki)
        self._key = private_key
        self._sign: Callable[..., bytes] = signing(private_key).sign
        self._arguments: tuple[Any, ...] = self.suite.scheme
        self._digest: Callable[..., Any] | None = None
        if self.suite.kind == "ec" and private_key.__class__.__module__.startswith(_LIBRARY):
            # the library hashes at more cost than hashlib does; a key elsewhere hashes for itself
            self._digest = self.suite.digest
            self._arguments = (ec.ECDSA(utils.Prehashed(self.suite.scheme[0].algorithm)),)

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``."""
        meter.count("sign")
        if self._digest is not None:
            data = self._digest(data).digest()
        return self._sign(data, *self._arguments)

    def sign_all(self, data: Sequence[bytes]) -> list[bytes]:
        """The signatures over each of ``data``, in their order."""
        meter.count("sign", len(data))
        sign, arguments, digest = self._sign, self._arguments, self._digest
        if digest is None:
            return [sign(one, *arguments) for one in data]
        return [sign(digest(one).digest(), *arguments) for one in data]


def spki_of(key: PublicKey) -> bytes:
    """The SubjectPublicKeyInfo of a public key, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def read_private_key(pem: bytes, passphrase: bytes | None = None) -> PrivateKey:
    """Read a PEM private key of any suite; raises :class:`Refusal` ``bad-key`` or ``suite-unknown``.

    A seed may have the expanded key beside it, an Edwards key its public key and attributes
    (:mod:`e2s.crypto.private_info`).
    """
    if len(pem) > _MAX_KEY_BYTES:
        raise Refusal("bad-key", "the key file is larger than may be read", size=len(pem))
    _check_numbers(pem)
    try:
        key = (None if passphrase else _own(pem)) or load_pem_private_key(pem, passphrase)
    except TypeError as error:
        raise Refusal("bad-key", "the key file needs a pass phrase, or has none and one was given") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        key = _own_sealed(pem, passphrase) if passphrase else None
        if key is None:
            wrong = "the file is no PEM private key, or the pass phrase is wrong"
            raise Refusal("bad-key", wrong) from error
    if not kind_of(key.__class__):
        raise Refusal("suite-unknown", "no suite uses a key of this kind")
    known = cast(PrivateKey, key)
    if not sealing_suites_of(known):
        signature_suite_of(known)
    return known


def _own(pem: bytes) -> Any:
    """The key where it is of a kind whose files are read here, in more forms than the library knows."""
    octets = _held(_PLAIN_BLOCK, pem)
    return _key_of(octets) if octets else None


def _own_sealed(pem: bytes, passphrase: bytes) -> Any:
    """The same of a sealed file; None where it does not open."""
    octets = _held(_SEALED_BLOCK, pem)
    try:
        info = opened(octets, passphrase) if octets else None
    except Refusal:
        return None
    return _key_of(info) if info else None


def _held(block: re.Pattern[bytes], pem: bytes) -> bytes | None:
    """What the PEM block holds; None where there is none, or no base64, which the library says."""
    found = block.search(pem)
    try:
        return base64.b64decode(found.group(1).translate(None, b"\r\n"), validate=True) if found else None
    except ValueError:
        return None


def _key_of(octets: bytes) -> Any:
    try:
        return key_of(octets)
    except Refusal as refusal:
        if refusal.rule == "bad-key":
            raise
        raise Refusal("bad-key", "the file is no private key that can be read") from refusal


def _check_numbers(pem: bytes) -> None:
    """Refuse RSA numbers that belong to no key, in files that are not sealed, before the library tries them.

    It asks whether the primes are prime first, which for numbers of absurd size takes it hours.
    """
    for block in _RSA_BLOCK.finditer(pem):
        body = _AFTER_HEADERS.split(block.group(1).strip())[-1]
        try:
            numbers = _rsa_numbers(base64.b64decode(body))
        except (Refusal, ValueError):
            continue  # sealed, or no RSA key by its form: the library says so at once
        modulus, public, secret, prime, other = numbers[1:6]
        if modulus.bit_length() > MAX_RSA_BITS or prime * other != modulus or min(prime, other) < 2:
            raise Refusal("bad-key", "the key's numbers are of absurd size or do not belong together")
        if public.bit_length() > _MAX_EXPONENT_BITS or any(
            public * secret % (one - 1) != 1 for one in (prime, other)
        ):
            raise Refusal("bad-key", "the key's exponents do not belong together")


def _rsa_numbers(octets: bytes) -> list[int]:
    """The numbers of an RSAPrivateKey (RFC 8017, A.1.2), bare or in a PrivateKeyInfo (RFC 5208, 5)."""
    key = der.Reader(octets).enter()
    version = key.integer()
    if key.peek() == der.SEQUENCE:
        key.span(der.SEQUENCE)
        key = der.Reader(key.content(der.OCTET_STRING)).enter()
        version = key.integer()
    return [version, *(key.integer(_MAX_KEY_BYTES) for _ in range(8))]
