"""An RSA key opens in processes of its own: its work is long, and keeps every other thread from its turn."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, cast

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey, kind_of
from e2s.crypto.openers import RsaKey
from e2s.crypto.ports import Opener
from e2s.crypto.suites import OAEP, Transport
from e2s.crypto.workers import OPENING, TIMEOUT_SECONDS, Workers, check_count, order_of

#: The size of an old key, or 0 for OAEP; then the ciphertext.
_WRAPPED: Final = struct.Struct(">H")
_OPENED: Final = b"\x01"
_UNOPENED: Final = b"\x00"


class OpeningWorkers(Workers):
    """Brings content keys out of RSA ciphertexts by ``count`` processes, for as many threads as ask."""

    def __init__(
        self, private_key: PrivateKey, *, count: int = 1, timeout_seconds: int = TIMEOUT_SECONDS
    ) -> None:
        """Start the workers; raises :class:`Misuse` ``worker-count`` or ``wrong-key``; ``worker-died``."""
        check_count(count)
        if kind_of(private_key.__class__) != "rsa":
            raise Misuse("wrong-key", "the key is not for key transport")
        super().__init__(order_of(OPENING, private_key), count, timeout_seconds)

    def under(self, certificate: Certificate) -> Opener:
        """The opener of what names ``certificate``, of this key."""
        return _UnderCertificate(certificate, self)

    def unwrapped(self, wrapped: bytes, transport: Transport) -> bytes:
        """By OAEP; raises ``bad-envelope``."""
        if transport is not OAEP:
            raise Refusal("suite-unknown", "the content key is carried in a way that is not accepted")
        meter.count("agree")
        answer = self.answer(_WRAPPED.pack(0) + wrapped)
        if answer[:1] != _OPENED:
            raise Refusal("bad-envelope", "the content key does not open")
        return answer[1:]

    def unwrapped_old(self, wrapped: bytes, size: int) -> bytes:
        """By PKCS #1 v1.5: a key of ``size`` octets, or one that nobody knows in its place."""
        meter.count("agree")
        return self.answer(_WRAPPED.pack(size) + wrapped)[1:]


class _UnderCertificate:
    """An :class:`~e2s.crypto.ports.Opener` that asks workers."""

    def __init__(self, certificate: Certificate, workers: OpeningWorkers) -> None:
        self.certificate = certificate
        self._workers = workers

    def agree(self, peer_spki: bytes) -> bytes:
        """Refuses: the key is RSA."""
        del peer_spki
        raise Refusal("wrong-key", "the key is not for key agreement")

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Refuses likewise."""
        del ciphertext
        raise Refusal("wrong-key", "the key is not for encapsulation")

    def unwrap(self, wrapped: bytes, transport: Transport = OAEP) -> bytes:
        """As the port."""
        return self._workers.unwrapped(wrapped, transport)

    def unwrap_old(self, wrapped: bytes, size: int) -> bytes:
        """As the port."""
        return self._workers.unwrapped_old(wrapped, size)


def open_all(key: Any, received: Callable[[], bytes], answer: Callable[[bytes], None]) -> None:
    """What a worker does: open whatever comes, until the socket ends."""
    rsa = RsaKey(cast(PrivateKey, key))
    while True:
        asked = received()
        size = _WRAPPED.unpack_from(asked)[0]
        wrapped = asked[_WRAPPED.size :]
        try:
            answer(_OPENED + (rsa.unwrap_old(wrapped, size) if size else rsa.unwrap(wrapped)))
        except Refusal:
            answer(_UNOPENED)
