"""A nonce is good once (RFC 8555, 6.5): numbered and vouched for, so that few octets remember many.

The newest numbers are remembered, one bit each; older ones are as good as used.  After a restart none of
before is good: clients ask again.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.wire import b64u, unb64u

_NUMBER_BYTES: Final = 8
_TAG_BYTES: Final = 16
_CHARACTERS: Final = 32


class Nonces:
    """Gives nonces and takes each once; safe to share among threads."""

    def __init__(self, random: Callable[[int], bytes], *, most: int = 65536) -> None:
        """``most`` numbers are remembered."""
        # in steps: computed in one, it would give the turn to other threads each time
        self._mac = hmac.new(random(32), digestmod="sha256")
        self._most = most
        self._next = 0
        self._used = bytearray((most + 7) // 8)
        self._lock = threading.Lock()

    def give(self) -> str:
        """A new one."""
        with self._lock:
            number = self._next
            self._next += 1
            place = number % self._most
            self._used[place >> 3] &= ~(1 << (place & 7)) & 0xFF
        octets = number.to_bytes(_NUMBER_BYTES, "big")
        return b64u(octets + self._tag(octets))

    def take(self, text: object) -> None:
        """Use one up; raises :class:`Refusal` ``bad-nonce`` where it is used, old or none of ours."""
        octets = self._octets(text)
        number = int.from_bytes(octets[:_NUMBER_BYTES], "big")
        with self._lock:
            place = number % self._most
            bit = 1 << (place & 7)
            if not self._next - self._most <= number < self._next or self._used[place >> 3] & bit:
                raise _bad()
            self._used[place >> 3] |= bit

    def _octets(self, text: object) -> bytes:
        if not isinstance(text, str) or len(text) != _CHARACTERS:
            raise _bad()
        try:
            octets = unb64u(text)
        except Refusal as refusal:
            raise _bad() from refusal
        if not hmac.compare_digest(self._tag(octets[:_NUMBER_BYTES]), octets[_NUMBER_BYTES:]):
            raise _bad()
        return octets

    def _tag(self, octets: bytes) -> bytes:
        mac = self._mac.copy()
        mac.update(octets)
        return mac.digest()[:_TAG_BYTES]


def _bad() -> Refusal:
    return Refusal("bad-nonce", "the nonce is used, old or none of ours: take a new one")
