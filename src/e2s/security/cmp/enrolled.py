"""What a client gets: a certificate with what came beside it, or the word to ask again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from e2s.crypto.certificates import Certificate
from e2s.security.cmp.vocabulary import Body

_MOST: Final = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class Enrolled:
    """What came: the certificate, the certificates beside it, and, by a shared secret only, the anchors."""

    certificate: Certificate
    certificates: tuple[Certificate, ...] = ()
    anchors: tuple[Certificate, ...] = ()

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """Its issuers, nearest first, as far as they came along and do not issue themselves."""
        found: list[Certificate] = []
        last = self.certificate
        while len(found) < _MOST:
            above = next((one for one in self.certificates if one.slices.subject == last.slices.issuer), None)
            if above is None or above.slices.subject == above.slices.issuer:
                break
            found.append(above)
            last = above
        return tuple(found)


@dataclass(frozen=True, eq=False, kw_only=True)
class Waiting:
    """An officer has to say so first; :meth:`CmpClient.ask_again` after ``seconds``."""

    transaction: bytes = field(repr=False)
    kind: Body
    spki: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    seconds: int
