"""Whoever makes a key for another hands it to an escrow before she lets it out, where policy says so.

An escrow keeps keys that open what was sealed; a key that signs it never takes (K3).
"""

from __future__ import annotations

from typing import Protocol

from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey


class Deposit(Protocol):
    """Port: takes a holder's private key so that it can be recovered, and only by the escrow's policy."""

    def deposit(self, holder: str, certificate: Certificate, key: PrivateKey) -> None:
        """Keep ``key``, of ``certificate``, for ``holder``; when this returns it is durable.

        Only afterwards may the key be released.  The same key once more changes nothing.  Raises
        :class:`~e2s.base.errors.Refusal` ``signing-key`` for a key that signs, or whose certificate says
        that it may, and ``other-holder`` where the certificate does not name ``holder``;
        :class:`~e2s.base.errors.Misuse` ``key-mismatch`` where it is another key's.
        """
