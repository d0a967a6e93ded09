"""What nobody else may read lies sealed under the component's storage secret, for one purpose."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from e2s.base.errors import Misuse, Refusal

SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12


def derived(secret: bytes, purpose: str) -> bytes:
    """32 octets that only who has the storage secret can compute; raises :class:`Misuse` ``bad-storage``."""
    if len(secret) != SECRET_BYTES:
        raise Misuse("bad-storage", "the storage secret has 32 octets")
    # the secret is as random as a key: one step of expansion is a key for each purpose (RFC 5869, 3.3)
    return hmac.digest(secret, purpose.encode("ascii") + b"\x01", "sha256")


class Storage:
    """Seals octets under a name: another name's do not open."""

    def __init__(self, secret: bytes, purpose: str, random: Callable[[int], bytes]) -> None:
        """``purpose`` keeps what one door sealed from another; raises :class:`Misuse` ``bad-storage``."""
        self._cipher = AESGCM(derived(secret, purpose))
        self._random = random

    def seal(self, name: bytes, octets: bytes) -> bytes:
        """The octets as they are kept."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, octets, name)

    def open(self, name: bytes, sealed: bytes) -> bytes:
        """The octets again; raises :class:`Refusal` ``altered-storage``."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name)
        except (InvalidTag, ValueError) as error:
            raise Refusal("altered-storage", "what was kept is not as it was sealed") from error
