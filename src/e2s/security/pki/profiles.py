"""What a certificate may say is data: a key is certified for one role, and for nothing beside it.

Signing and agreement are always two keys.  A card-issuing CA is confined twice: by name constraints to
its bank's subjects, and by extended key usages, which the verifier nests, to card-holders' keys; so no
bank can certify a merchant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from types import MappingProxyType

from e2s.base.errors import Misuse
from e2s.crypto import oids


class Use(Enum):
    """What the certified key does (RFC 5280, 4.2.1.3)."""

    CERTIFY = "certify"
    SIGN = "sign"
    AUTHENTICATE = "authenticate"
    AGREE = "agree"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of certificate; ``path_length`` counts the CAs that may follow, ``issues`` names the rest."""

    name: str
    use: Use
    lifetime: timedelta
    ekus: tuple[str, ...] = ()
    critical_ekus: bool = False
    path_length: int | None = None
    issues: frozenset[str] = frozenset()
    confined: bool = False
    pan_commit: bool = False

    @property
    def is_ca(self) -> bool:
        """Whether the key certifies others."""
        return self.use is Use.CERTIFY


_YEAR = timedelta(days=365)
#: A CRL is good for a day; the root's, signed when its key is out of the safe, for half a year.
CRL_LIFETIME = timedelta(hours=24)
ROOT_CRL_LIFETIME = timedelta(days=183)

_HOLDER = frozenset({"card-holder", "card-holder-agreement"})
_SERVED = frozenset({*oids.SIGNING, *(f"{role}-agreement" for role in oids.AGREEMENT)}) - _HOLDER
_AUTHORITIES = (
    Profile(
        name="root",
        use=Use.CERTIFY,
        lifetime=20 * _YEAR,
        path_length=2,
        issues=frozenset({"operating-ca", "card-ca"}),
    ),
    Profile(
        name="operating-ca",
        use=Use.CERTIFY,
        lifetime=5 * _YEAR,
        path_length=0,
        issues=_SERVED | {"tls-server", "component", "tsa"},
    ),
    Profile(
        name="card-ca",
        use=Use.CERTIFY,
        lifetime=5 * _YEAR,
        path_length=0,
        ekus=(oids.SIGNING["card-holder"], oids.AGREEMENT["card-holder"], oids.EKU_EMAIL),
        issues=_HOLDER,
        confined=True,
    ),
)
_SIGNING = tuple(
    Profile(
        name=role,
        use=Use.SIGN,
        lifetime=2 * _YEAR,
        ekus=(oid, oids.EKU_EMAIL),
        pan_commit=role == "card-holder",
    )
    for role, oid in oids.SIGNING.items()
)
_AGREEMENT = tuple(
    Profile(name=f"{role}-agreement", use=Use.AGREE, lifetime=2 * _YEAR, ekus=(oid,))
    for role, oid in oids.AGREEMENT.items()
)
_SERVICES = (
    Profile(name="tls-server", use=Use.AUTHENTICATE, lifetime=_YEAR, ekus=(oids.EKU_SERVER,)),
    Profile(name="component", use=Use.AUTHENTICATE, lifetime=_YEAR, ekus=(oids.COMPONENT,)),
    # RFC 3161, 2.3: the only extended key usage, and critical.
    Profile(name="tsa", use=Use.SIGN, lifetime=5 * _YEAR, ekus=(oids.EKU_TIME_STAMPING,), critical_ekus=True),
)

#: Every profile by name.
PROFILES = MappingProxyType({p.name: p for p in (*_AUTHORITIES, *_SIGNING, *_AGREEMENT, *_SERVICES)})


def profile(name: str) -> Profile:
    """The profile called ``name``; raises :class:`Misuse` ``no-such-profile``."""
    try:
        return PROFILES[name]
    except KeyError:
        raise Misuse(
            "no-such-profile", "there is no certificate profile of this name", profile=name
        ) from None
