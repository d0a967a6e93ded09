"""A file of profiles: TOML, read strictly; what a row does not say has the default of :class:`Profile`.

::

    [[profile]]
    name = "laboratory"
    use = "sign"  # certify, sign, authenticate or agree
    days = 365
    ekus = ["email", "2.25.281298361983712983719283712983701"]
    confidence = "high"
    issued_by = ["operating-ca"]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from e2s.base.errors import E2SError, Misuse
from e2s.crypto import der, oids
from e2s.crypto.suites import OLD_SIGNATURES, SEALINGS, SIGNATURES
from e2s.security.certificates.names import subtree
from e2s.security.certificates.profile import Profile, Use

MAX_FILE_BYTES: Final = 256 * 1024
_MAX_PROFILES: Final = 200
_MAX_LIST: Final = 64
_MAX_DAYS: Final = 36_525
_MAX_COUNT: Final = 64
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){1,19}", re.ASCII)

#: Extended key usages that have a name: a role's (``buyer``, ``buyer-agreement``) or a standard's.
EKUS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **oids.SIGNING,
        **{f"{role}-agreement": oid for role, oid in oids.AGREEMENT.items()},
        "component": oids.COMPONENT,
        "component-agreement": oids.COMPONENT_AGREEMENT,
        "tls-server": oids.EKU_SERVER,
        "tls-client": oids.EKU_CLIENT,
        "code": oids.EKU_CODE,
        "email": oids.EKU_EMAIL,
        "time-stamping": oids.EKU_TIME_STAMPING,
        "ocsp": oids.EKU_OCSP,
        "document": oids.EKU_DOCUMENT,
    }
)
#: Policies that have a name: the levels of confidence, and any (RFC 5280, 4.2.1.4).
POLICIES: Final[Mapping[str, str]] = MappingProxyType({**oids.CONFIDENCE, "any": oids.ANY_POLICY})
_SUITES: Final = {*SIGNATURES, *OLD_SIGNATURES, *SEALINGS}
_NEEDED: Final = {"name", "use", "days"}
#: The member that adds a profile to what CAs issue, so that their own rows need not be repeated.
_ISSUED_BY: Final = "issued_by"


def read_profiles(octets: bytes, beside: Mapping[str, Profile] | None = None) -> Mapping[str, Profile]:
    """The profiles of a file, with those ``beside`` it that it does not replace.

    Raises :class:`Misuse` ``bad-profile`` with the place and what is wrong there.
    """
    if len(octets) > MAX_FILE_BYTES:
        raise Misuse("bad-profile", "a file of profiles is at most this large", bytes=MAX_FILE_BYTES)
    try:
        data = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse("bad-profile", f"the file of profiles is not TOML: {str(error)[:100]}") from error
    rows = data.get("profile")
    if data.keys() != {"profile"} or not isinstance(rows, list) or not 0 < len(rows) <= _MAX_PROFILES:
        raise Misuse("bad-profile", f"the file holds 1 to {_MAX_PROFILES} [[profile]] tables, nothing else")
    found: dict[str, Profile] = {}
    issuers: dict[str, list[str]] = {}
    for number, row in enumerate(rows, 1):
        made, named = _profile(f"profile {number}", row)
        if made.name in found:
            raise _bad(made.name, "stands twice in the file")
        found[made.name] = made
        issuers[made.name] = named
    whole = {**(beside or {}), **found}
    for one in found.values():
        for name in sorted(one.issues - whole.keys()):
            raise _bad(one.name, f"issues {name}, and there is no such profile")
    for name, named in issuers.items():
        for issuer in named:
            if issuer not in whole or not whole[issuer].is_ca:
                raise _bad(name, f"is issued by {issuer[:64]}, and there is no such CA")
            whole[issuer] = replace(whole[issuer], issues=whole[issuer].issues | {name})
    return MappingProxyType(whole)


def _profile(place: str, row: object) -> tuple[Profile, list[str]]:
    """The profile of a row, and the names of CAs that issue it beside those whose rows say so."""
    if not isinstance(row, dict):
        raise _bad(place, "is a table")
    name = row.get("name")
    if not isinstance(name, str) or len(name) > 64 or not _NAME.fullmatch(name):
        raise _bad(place, "has a name of small letters, digits and hyphens")
    for member in sorted(_NEEDED - row.keys()):
        raise _bad(name, f"lacks the member {member}")
    for member in sorted(row.keys() - MEMBERS.keys() - {_ISSUED_BY}):
        raise _bad(name, f"has a member that is not known: {member[:64]}")
    values: dict[str, Any] = {}
    for member, value in row.items():
        target, read = MEMBERS.get(member, (member, _texts))
        try:
            values[target] = read(value)
        except (ValueError, E2SError) as error:
            said = error.message if isinstance(error, E2SError) else str(error)
            raise _bad(name, f"{member}: {said}") from error
    issuers = values.pop(_ISSUED_BY, [])
    try:
        return Profile(**values), issuers
    except Misuse as error:
        raise _bad(name, error.message) from error


def _bad(place: str, sentence: str) -> Misuse:
    return Misuse("bad-profile", f"{place}: {sentence}", at=place)


def _use(value: object) -> Use:
    try:
        return Use(value)
    except ValueError:
        raise ValueError("certify, sign, authenticate or agree") from None


def _lifetime(value: object) -> timedelta:
    return timedelta(days=_number(value, 1, _MAX_DAYS))


def _count(value: object) -> int:
    return _number(value, 0, _MAX_COUNT)


def _number(value: object, lowest: int, highest: int) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise ValueError(f"a whole number from {lowest} to {highest}")
    return value


def _truth(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false")
    return value


def _level(value: object) -> str:
    if not isinstance(value, str) or value not in oids.CONFIDENCE:
        raise ValueError("low, substantial or high")
    return value


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > _MAX_LIST or not all(isinstance(v, str) for v in value):
        raise ValueError(f"a list of at most {_MAX_LIST} texts")
    return value


def _named(known: Mapping[str, str], what: str) -> Callable[[object], str]:
    """Reads one of the ``known`` names, or an object identifier."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in known:
            return known[value]
        if not isinstance(value, str) or len(value) > 128 or not _OID.fullmatch(value):
            raise ValueError(f"{what} is an object identifier or one of {', '.join(known)}")
        der.oid(value)
        return value

    return read


_policy: Final = _named(POLICIES, "a policy")
_eku: Final = _named(EKUS, "an extended key usage")


def _ekus(value: object) -> tuple[str, ...]:
    return tuple(map(_eku, _texts(value)))


def _policies(value: object) -> tuple[str, ...]:
    return tuple(map(_policy, _texts(value)))


def _mappings(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or len(value) > _MAX_LIST:
        raise ValueError("a list of pairs of policies")
    pairs = [_texts(pair) for pair in value]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("a pair is the issuer's policy and the subject's")
    return tuple((_policy(ours), _policy(theirs)) for ours, theirs in pairs)


def _subtrees(value: object) -> tuple[str, ...]:
    texts = _texts(value)
    for text in texts:
        subtree(text)
    return tuple(texts)


def _suites(value: object) -> frozenset[str]:
    texts = _texts(value)
    for text in texts:
        if text not in _SUITES:
            raise ValueError(f"no suite is called {text[:64]}")
    return frozenset(texts)


def _issues(value: object) -> frozenset[str]:
    return frozenset(_texts(value))


#: Members of a row but the one that says who issues it: the member of :class:`Profile` that each gives, and
#: how it is read.
MEMBERS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "name": ("name", str),
    "use": ("use", _use),
    "days": ("lifetime", _lifetime),
    "ekus": ("ekus", _ekus),
    "critical_ekus": ("critical_ekus", _truth),
    "path_length": ("path_length", _count),
    "issues": ("issues", _issues),
    "confined": ("confined", _truth),
    "pan_commit": ("pan_commit", _truth),
    "confidence": ("confidence", _level),
    "policies": ("policies", _policies),
    "four_eyes": ("four_eyes", _truth),
    "suites": ("suites", _suites),
    "ocsp_nocheck": ("ocsp_nocheck", _truth),
    "mappings": ("mappings", _mappings),
    "permitted": ("permitted", _subtrees),
    "excluded": ("excluded", _subtrees),
    "require_explicit": ("require_explicit", _count),
    "inhibit_mapping": ("inhibit_mapping", _count),
    "inhibit_any": ("inhibit_any", _count),
}
