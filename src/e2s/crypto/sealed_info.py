"""A private key sealed under a pass phrase as others do: PBES2 with AES-CBC (RFC 5958, 3; RFC 8018, 6.2).

The library opens such files itself; this is for keys in forms that it does not read once they are open.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7

from e2s.base import meter
from e2s.base.errors import Refusal
from e2s.crypto import der, oids

#: Ten times what is usual; whoever wrote the file must not decide how long its reader works.
MAX_ITERATIONS: Final = 10_000_000
#: Octets that scrypt may take (RFC 7914, 2): 128 N r.
MAX_MEMORY: Final = 256 * 1024 * 1024
_MAX_PARALLEL: Final = 16
_BLOCK: Final = 16
_PRFS: Final = MappingProxyType(
    {
        oids.HMAC_SHA1: hashes.SHA1(),  # noqa: S303 - the default of RFC 8018, A.2, as a keyed function only
        oids.HMAC_SHA256: hashes.SHA256(),
        oids.HMAC_SHA384: hashes.SHA384(),
        oids.HMAC_SHA512: hashes.SHA512(),
    }
)
_SIZES: Final = MappingProxyType({oids.AES128_CBC: 16, oids.AES192_CBC: 24, oids.AES256_CBC: 32})


def opened(octets: bytes, phrase: bytes) -> bytes:
    """What an EncryptedPrivateKeyInfo seals; metered as ``stretch``.

    Raises :class:`Refusal` ``bad-key`` where the phrase is wrong or the sealing is another, or ``der-...``.
    """
    outer = der.Reader(octets)
    info = outer.enter()
    outer.done()
    scheme = info.enter()
    sealed = info.content(der.OCTET_STRING)
    info.done()
    if scheme.oid() != oids.PBES2:
        raise _bad("it is sealed in another way than by PBES2")
    parameters = scheme.enter()
    derivation, cipher = parameters.enter(), parameters.enter()
    parameters.done()
    size = _SIZES.get(cipher.oid())
    if size is None:
        raise _bad("it is sealed by another cipher than AES in CBC")
    start = cipher.content(der.OCTET_STRING)
    cipher.done()
    if len(start) != _BLOCK or not sealed or len(sealed) % _BLOCK:
        raise _bad("its sealed octets are no blocks of the cipher")
    key = _derived(derivation, phrase, size)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(start)).decryptor()
    unpadder = PKCS7(8 * _BLOCK).unpadder()
    try:
        return unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()
    except ValueError as error:
        raise _bad("the pass phrase is wrong") from error


def _derived(derivation: der.Reader, phrase: bytes, size: int) -> bytes:
    """The key that the phrase gives, by PBKDF2 (RFC 8018, A.2) or scrypt (RFC 7914, 7.1)."""
    oid = derivation.oid()
    parameters = derivation.enter()
    derivation.done()
    salt = parameters.content(der.OCTET_STRING)
    first = parameters.integer()
    if oid == oids.SCRYPT:
        width, lanes = parameters.integer(), parameters.integer()
        _check_size(parameters, size)
        parameters.done()
        usual = first > 1 and not first & (first - 1) and width > 0 and 0 < lanes <= _MAX_PARALLEL
        if not usual or 128 * first * width > MAX_MEMORY:
            raise _bad("its pass phrase would be stretched beyond reason")
        meter.count("stretch")
        return Scrypt(salt=salt, length=size, n=first, r=width, p=lanes).derive(phrase)
    if oid != oids.PBKDF2:
        raise _bad("its key is derived in another way than by PBKDF2 or scrypt")
    _check_size(parameters, size)
    prf = oids.HMAC_SHA1
    if parameters.pos != parameters.end:
        named = parameters.enter()
        prf = named.oid()
        if named.pos != named.end:
            named.content(der.NULL)
        named.done()
    parameters.done()
    if prf not in _PRFS or not 0 < first <= MAX_ITERATIONS:
        raise _bad("its pass phrase would be stretched beyond reason")
    meter.count("stretch")
    return PBKDF2HMAC(algorithm=_PRFS[prf], length=size, salt=salt, iterations=first).derive(phrase)


def _check_size(parameters: der.Reader, size: int) -> None:
    """The length of the key, which may be said, is that of the cipher."""
    if parameters.pos != parameters.end and parameters.peek() == der.INTEGER and parameters.integer() != size:
        raise _bad("its key is of another size than its cipher")


def _bad(why: str) -> Refusal:
    return Refusal("bad-key", f"the key file cannot be opened: {why}")
