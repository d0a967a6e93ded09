"""Old paths are judged under algorithms that nothing new may use, where that is asked for (SP 800-131A).

A key without parameters takes those of its issuer's key (RFC 5280, 6.1.3 to 6.1.5: working public key
parameters), so its signatures are only checked once the whole path is known.
"""

from __future__ import annotations

from typing import Final

from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PublicKey
from e2s.crypto.legacy import DsaKey, legacy_key, with_parameters
from e2s.security.verification import signatures
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.rules import Fault, Path
from e2s.security.verification.traits import Traits

#: What is said of a path that such a key stands in.
NOTE: Final = "a DSA key stands in the path: such signatures are judged, never made (SP 800-131A: legacy use)"


def good(key: PublicKey, algorithm: bytes, signature: bytes, data: bytes, spki: bytes = b"") -> bool:
    """As :func:`signatures.good`, keys for legacy use among them."""
    old: object = key
    if isinstance(old, DsaKey):
        return old.verifies(algorithm, signature, data)
    return signatures.good(key, algorithm, signature, data, spki)


def crl_signed(crl: CrlIndex, issuer: Certificate) -> bool:
    """Whether ``issuer``'s key, which may be one for legacy use, signed the list."""
    old = legacy_key(issuer)
    if old is None:
        return crl.signed_by(issuer)
    return old.verifies(crl.algorithm, crl.signature, crl.tbs) and crl.readable


def inherits(certificate: Certificate) -> bool:
    """Whether the certificate's key has the parameters of another."""
    key = legacy_key(certificate)
    return key is not None and key.parameters is None


def settled(path: Path) -> tuple[Path, Fault | None]:
    """The path with each inherited parameter in its place, and the first signature that is then not good.

    From the anchor down: working parameters are those of the last DSA key, as long as keys are for DSA.
    """
    if not any(inherits(link.certificate) for link in path):
        return path, None
    links: list[Traits] = []
    working: tuple[int, int, int] | None = None
    for link in reversed(path):
        certificate, key = link.certificate, legacy_key(link.certificate)
        above = links[-1].certificate if links else None
        if above is not None and not good(
            above.public_key, link.algorithm, link.signature or b"", link.tbs, above.spki
        ):
            reason = "its issuer's key, with the parameters of those above, did not sign it (6.1.3 a 1)"
            return path, Fault("bad-path-signature", reason, certificate)
        if key is not None and key.parameters is None:
            if working is None:
                reason = "its key leaves its parameters to others that have none (6.1.4 e)"
                return path, Fault("no-parameters", reason, certificate)
            certificate = with_parameters(certificate, working)
        else:
            working = key.parameters if key is not None else None
        links.append(link._replace(certificate=certificate))
    return tuple(reversed(links)), None


def notes_of(path: Path) -> tuple[str, ...]:
    """What is to be said of the path's keys."""
    return (NOTE,) if any(legacy_key(link.certificate) is not None for link in path) else ()
