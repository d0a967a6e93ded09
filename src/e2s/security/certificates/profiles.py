"""What a certificate may say is data: a key is certified for one role, and for nothing beside it.

The rows stand in ``profiles.toml``.  Signing and agreement are always two keys.  A card-issuing CA is
confined twice: by name constraints to its bank's subjects, and by extended key usages, which the verifier
nests, to card-holders' keys; so no bank can certify a merchant.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from e2s.base.errors import Misuse
from e2s.security.certificates.profile import NO_LIMITS, Limits, Profile, Use
from e2s.security.certificates.profile_file import MAX_FILE_BYTES, read_profiles

__all__ = [
    "CRL_LIFETIME",
    "NO_LIMITS",
    "PROFILES",
    "ROOT_CRL_LIFETIME",
    "Limits",
    "Profile",
    "Use",
    "load_profiles",
    "profile",
    "profiles_in",
    "read_profiles",
]

#: A CRL is good for a day; the root's, signed when its key is out of the safe, for half a year.
CRL_LIFETIME = timedelta(hours=24)
ROOT_CRL_LIFETIME = timedelta(days=183)
#: Where a CA's folder has profiles of its own.
FILE: Final = "profiles.toml"

#: Every profile that comes with E2S, by name.
PROFILES: Final[Mapping[str, Profile]] = read_profiles(Path(__file__).with_name("profiles.toml").read_bytes())


def profile(name: str, profiles: Mapping[str, Profile] = PROFILES) -> Profile:
    """The profile called ``name``; raises :class:`Misuse` ``no-such-profile``."""
    try:
        return profiles[name]
    except KeyError:
        raise Misuse(
            "no-such-profile", "there is no certificate profile of this name", profile=name
        ) from None


def profiles_in(folder: Path) -> Mapping[str, Profile]:
    """The profiles of a CA: those of ``profiles.toml`` in its folder, if there is one, beside E2S's own."""
    path = folder / FILE
    return load_profiles(path) if path.exists() else PROFILES


def load_profiles(path: Path) -> Mapping[str, Profile]:
    """The profiles that come with E2S, with those of the file at ``path`` added or in their place.

    Raises :class:`Misuse` ``no-profiles`` where there is no file, and ``bad-profile``.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Misuse("no-profiles", "the file of profiles cannot be read", path=str(path)) from error
    return read_profiles(octets, PROFILES)
