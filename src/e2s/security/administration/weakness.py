"""What is weak in a certificate now, or on a later day: by the table of suites, and by its profile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from e2s.crypto.suites.mechanisms import Part, Use
from e2s.crypto.suites.policy import Policy
from e2s.security.certificates.profile import Profile

#: The mechanisms of a key's kind: as it signs, and as it seals; RSA signs and transports in two ways.
_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    "rsa": ("rsa-pss", "rsa-pkcs1-signature"),
    "ec": ("ecdsa",),
    **{kind: (kind,) for kind in ("ed25519", "ed448", "ml-dsa")},
}
_SEALS: Final[Mapping[str, tuple[str, ...]]] = {
    "rsa": ("rsa-oaep", "rsa-pkcs1-encryption"),
    "ec": ("ecdh",),
    **{kind: (kind,) for kind in ("x25519", "x448", "ml-kem")},
}
_HASHES: Final[Mapping[str, Part]] = {f"sha{size}": Part("sha2", size) for size in (224, 256, 384, 512)}
#: Signed by keys that hash by themselves: EdDSA, ML-DSA.
_NO_HASH: Final = ""
#: How much longer than its profile's a lifetime is before it is too long: clocks and rounding.
SLACK_SECONDS: Final = 3600


def weak_key(policy: Policy, location: str, day: date, *, key: str, bits: int, agree: bool) -> str:
    """Why a key is weak at the location on that day, or the empty string."""
    use: Use = "confidentiality" if agree else "authentication"
    ways = (_SEALS if agree else _SIGNS).get(key, ())
    reasons = [_barred(policy, location, day, Part(way, bits), use) for way in ways]
    if not reasons:
        return f"{key}: no document names it for {use}"
    return "" if "" in reasons else reasons[0]


def weak_hash(policy: Policy, location: str, day: date, hashing: str) -> str:
    """Why what the issuer signed with is weak, or the empty string."""
    if hashing == _NO_HASH:
        return ""
    part = _HASHES.get(hashing)
    if part is None:
        return f"{hashing} for authentication at {location}: no document for this place names it"
    return _barred(policy, location, day, part, "authentication")


def weak_terms(
    profiles: Mapping[str, Profile], *, profile: str, seconds: int, places: bool
) -> tuple[tuple[str, str], ...]:
    """The rules that a certificate's terms break, each with its sentence."""
    found = []
    known = profiles.get(profile)
    if known is not None and seconds > known.lifetime.total_seconds() + SLACK_SECONDS:
        found.append(("lifetime", f"good for {seconds // 86400} days, the profile for {known.lifetime.days}"))
    if not places:
        found.append(("no-place", "says nowhere whether it is revoked: lists must come another way"))
    return tuple(found)


def _barred(policy: Policy, location: str, day: date, part: Part, use: Use) -> str:
    """Why no row permits the mechanism, in the words of :class:`~e2s.crypto.suites.policy.Barred`."""
    rows = [row for row in policy.of(location) if (row.use, row.mechanism) == (use, part.mechanism)]
    if any(row.fits(part) and row.holds(day) for row in rows):
        return ""
    fitting = [row for row in rows if row.fits(part)]
    where = f"{part} for {use} at {location}"
    if fitting:
        row = max(fitting, key=lambda one: one.until)
        said = f"not after {row.until}" if day > row.until else "not permitted yet"
        return f"{where}: {said} ({row.source})"
    if rows:
        row = max(rows, key=lambda one: one.until)
        return f"{where}: at least {row.minimum} ({row.source})"
    return f"{where}: no document for this place names it"
