"""Nobody above this floor knows whether a key lives in a file, on a card or on a card with extension.

A personal security environment lends its keys as signers and openers and never gives them away.  A
*fresh* key (acceptance, dual signature, manager's word) needs its holder's pass phrase for every single
signature: what was unlocked for a log-in cannot buy.
"""

from __future__ import annotations

from typing import Protocol

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Opener, Signer
from e2s.security.keys.phrase import Phrase

#: Labels whose private keys stay encrypted and are unlocked for one signature at a time.
FRESH = frozenset({"buyer", "card", "manager"})


class Pse(Protocol):
    """Port: the keys and certificates of one person or component, by label."""

    def labels(self) -> tuple[str, ...]:
        """The labels of the keys held, in the order of their making."""

    def certificate(self, label: str) -> Certificate:
        """The key's certificate; raises :class:`Refusal` ``no-such-key``."""

    def chain(self, label: str) -> tuple[Certificate, ...]:
        """The certificates of its issuers, up to below the root."""

    def signer(self, label: str, phrase: Phrase | None = None) -> Signer:
        """A signer; for a fresh label good for one signature and only with the pass phrase."""

    def opener(self, label: str) -> Opener:
        """An opener of what was sealed to this key."""

    def close(self) -> None:
        """Forget every key; afterwards each use is a :class:`Refusal` ``pse-closed``."""


class OnceSigner:
    """Signs once, then refuses: the next signature needs the pass phrase anew."""

    def __init__(self, inner: Signer) -> None:
        """``inner`` is dropped with its key at the first signature."""
        self.certificate = inner.certificate
        self.chain = inner.chain
        self.suite = inner.suite
        self._inner: Signer | None = inner

    def sign(self, data: bytes) -> bytes:
        """The one signature; raises :class:`Refusal` ``pass-phrase-needed`` for a second."""
        inner, self._inner = self._inner, None
        if inner is None:
            raise Refusal("pass-phrase-needed", "each signature with this key needs the pass phrase")
        return inner.sign(data)
