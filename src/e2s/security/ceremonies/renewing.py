"""A CA renews the certificate of the key by which its repository answers for it, without an officer's word.

The key is the one that was certified at the founding, for the same purpose and under the same names, and only
in the last third of its certificate's time: what the repository may do does not grow by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import b64u, unb64u
from e2s.crypto.certificates import Certificate
from e2s.network.sessions.link import Door
from e2s.security.certificates.profiles import profile
from e2s.security.pki import holdings, store
from e2s.security.pki.ca import Authority

RENEW: Final = "/renew"
PROFILE: Final = "ocsp-responder"
_MAX_ASKED: Final = 64 * 1024
#: A certificate is renewed when this part of its time is left.
_LEFT: Final = 3


def renewal_door(authority: Authority, *, officer: str) -> Mapping[str, Door]:
    """The link door of ``authority``; ``officer`` holds the right to certify and stands in the events."""

    def renew(_peer: str, body: bytes) -> bytes:
        asked = wire.decode(body, _MAX_ASKED)
        try:
            before = Certificate.read(unb64u(asked["certificate"]))
        except (KeyError, TypeError, AttributeError, Misuse) as error:
            raise Refusal("bad-renewal", "a renewal shows the certificate that runs out") from error
        renewed = _standing(authority, before) or authority.issue(
            PROFILE, before.public_key, before.names, officer=officer, case="renewal"
        )
        return wire.encode({"certificate": b64u(renewed.der)})

    return {RENEW: renew}


def due(certificate: Certificate, at: datetime) -> bool:
    """Whether the certificate's last third has begun."""
    return at >= certificate.not_after - _third()


def _third() -> timedelta:
    return profile(PROFILE).lifetime / _LEFT


def _standing(authority: Authority, before: Certificate) -> Certificate | None:
    """A certificate of the key that is good for long yet, if there is one.

    Raises :class:`Refusal` ``no-such-certificate`` for one that is not the CA's own for this purpose,
    ``revoked`` for one that was withdrawn.
    """
    at = authority.clock.now()
    with authority.database.reading() as connection:
        known = holdings.of_serial(connection, before.serial, at, authority.finder)
        if known is None or known.certificate != before or known.profile != PROFILE:
            raise Refusal("no-such-certificate", "this CA certified no such key for its answers")
        serials = store.of_key(connection, authority.finder, sha256(before.spki).digest(), PROFILE)
        found = [holdings.of_serial(connection, int(one, 16), at, authority.finder) for one in serials]
    ours = [one for one in found if one is not None]
    if any(one.state in {"revoked", "held"} for one in ours):
        raise Refusal("revoked", "a key that was withdrawn is not certified again")
    newest = max(ours, key=lambda one: one.certificate.not_after).certificate
    return None if due(newest, at) else newest
