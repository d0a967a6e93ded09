"""What a personal security environment holds is data: labels, profiles, suites, who makes each key.

The rows stand in ``kinds.toml``.  A key that signs is made where it stays; one that opens may be made by key
management, and then kept in escrow (document 6.1.1).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from e2s.base.errors import Misuse
from e2s.crypto.suites import SEALINGS, SIGNATURES
from e2s.security.keys.pse import FRESH

FILE: Final = "kinds.toml"
#: Where a PSE's keys are kept.
KEEPINGS: Final = ("software", "token", "card")
HOLDER: Final = "holder"
KEY_MANAGEMENT: Final = "key-management"
MAX_FILE_BYTES: Final = 64 * 1024
MAX_KINDS: Final = 100
#: A parcel carries as many.
MAX_KEYS: Final = 6
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_MAX_NAME: Final = 64
#: Suites of keys that open, and sign their own request all the same.
_SHOW_THEMSELVES: Final = frozenset(
    {"ecdh-p256-aes256gcm", "ecdh-p384-aes256gcm", "ecdh-p521-aes256gcm", "rsa-oaep-aes256gcm"}
)
_NEEDED: Final = frozenset({"label", "profile", "suite"})
_MEMBERS: Final = frozenset({*_NEEDED, "made", "fresh", "escrow"})


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a PSE: under which label, certified for which profile, of which suite.

    ``made`` by the holder or by key management; ``fresh``: each signature needs the pass phrase; ``escrow``:
    it is deposited before it is released.
    """

    label: str
    profile: str
    suite: str
    made: str = HOLDER
    fresh: bool = False
    escrow: bool = False

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-kind`` for a key that contradicts itself."""
        if self.suite not in SIGNATURES and self.suite not in SEALINGS:
            raise _bad(self.label, "its suite is not known")
        if self.made not in {HOLDER, KEY_MANAGEMENT}:
            raise _bad(self.label, f"a key is made by {HOLDER} or {KEY_MANAGEMENT}")
        if self.escrow and self.signs:
            raise _bad(self.label, "a key that signs goes into no escrow")
        if self.escrow and self.made != KEY_MANAGEMENT:
            raise _bad(self.label, "key management deposits what it made, and nothing else")
        if not self.signs and self.made == HOLDER and self.suite not in _SHOW_THEMSELVES:
            raise _bad(self.label, "a key of this suite cannot show that it is held: key management makes it")
        if (self.fresh or self.label in FRESH) and not self.signs:
            raise _bad(self.label, "a fresh key only signs")

    @property
    def signs(self) -> bool:
        """Whether the key signs; any other opens."""
        return self.suite in SIGNATURES


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of PSE; the first key's profile is that of the invitation to it.

    ``central``: keys that sign may be made by key management too, which then could have used them before it
    forgot them; else only their holder makes them.
    """

    name: str
    keeping: str
    keys: tuple[Key, ...]
    central: bool = False

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-kind`` for one that contradicts itself."""
        if self.keeping not in KEEPINGS:
            raise _bad(self.name, f"it is kept in {' or '.join(KEEPINGS)}")
        if not 0 < len(self.keys) <= MAX_KEYS:
            raise _bad(self.name, f"it has 1 to {MAX_KEYS} keys")
        if not self.central and any(key.signs and key.made != HOLDER for key in self.keys):
            raise _bad(self.name, "nobody but its holder makes a key that signs, unless the kind is central")
        if not self.keys[0].signs:
            raise _bad(self.name, "its first key signs: the receipt, to begin with")
        for member in ("label", "profile"):
            if len({getattr(key, member) for key in self.keys}) < len(self.keys):
                raise _bad(self.name, f"two of its keys have one {member}")
        if self.keeping != "software" and any(key.made != HOLDER or not key.signs for key in self.keys):
            raise _bad(self.name, "keys of a token or card are made in it, and sign")

    @property
    def profile(self) -> str:
        """The profile of the invitation."""
        return self.keys[0].profile

    def key(self, label: str) -> Key:
        """The key of this label; raises :class:`Misuse` ``no-such-key``."""
        for key in self.keys:
            if key.label == label:
                return key
        raise Misuse("no-such-key", "the kind has no key of this label", kind=self.name, label=label)


Kinds = Mapping[str, Kind]


def read_kinds(octets: bytes) -> Kinds:
    """The kinds of a file; raises :class:`Misuse` ``bad-kind`` with what is wrong."""
    if len(octets) > MAX_FILE_BYTES:
        raise Misuse("bad-kind", "a file of kinds is at most this large", bytes=MAX_FILE_BYTES)
    try:
        data = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse("bad-kind", f"the file of kinds is not TOML: {str(error)[:100]}") from error
    rows = data.get("kind")
    if data.keys() != {"kind"} or not isinstance(rows, list) or not 0 < len(rows) <= MAX_KINDS:
        raise Misuse("bad-kind", f"the file holds 1 to {MAX_KINDS} [[kind]] tables, nothing else")
    found: dict[str, Kind] = {}
    for row in rows:
        made = _kind(row)
        if made.name in found:
            raise _bad(made.name, "stands twice in the file")
        found[made.name] = made
    return MappingProxyType(found)


@cache
def shipped() -> Kinds:
    """The kinds that come with E2S."""
    return read_kinds(Path(__file__).with_name(FILE).read_bytes())


def kinds_in(folder: Path) -> Kinds:
    """The kinds of a component: those of ``kinds.toml`` in its folder, beside E2S's own."""
    path = folder / FILE
    if not path.exists():
        return shipped()
    with path.open("rb") as file:
        return MappingProxyType({**shipped(), **read_kinds(file.read(MAX_FILE_BYTES + 1))})


def kind_called(name: str, kinds: Kinds) -> Kind:
    """The kind called ``name``; raises :class:`Misuse` ``no-such-kind``."""
    try:
        return kinds[name]
    except KeyError:
        known = " ".join(sorted(kinds))
        raise Misuse("no-such-kind", f"the kinds are {known}", kind=name[:_MAX_NAME]) from None


def kind_for(profile: str, kinds: Kinds) -> Kind:
    """The first kind kept in software whose invitation has this profile; raises ``no-such-kind``."""
    for kind in kinds.values():
        if kind.profile == profile and kind.keeping == "software":
            return kind
    raise Misuse("no-such-kind", "no kind of PSE begins with this profile", profile=profile)


def written(kinds: Sequence[Kind]) -> str:
    """The kinds as a file holds them."""
    lines: list[str] = []
    for kind in kinds:
        lines += ["[[kind]]", f"name = {_quoted(kind.name)}", f"keeping = {_quoted(kind.keeping)}"]
        lines += ["central = true"] if kind.central else []
        for key in kind.keys:
            lines.append("  [[kind.key]]")
            lines += [
                f"  {name} = {_quoted(getattr(key, name))}" for name in ("label", "profile", "suite", "made")
            ]
            lines += [f"  {name} = true" for name in ("fresh", "escrow") if getattr(key, name)]
        lines.append("")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    return json.dumps(text, ensure_ascii=False)


def _kind(row: Any) -> Kind:
    if not isinstance(row, dict) or row.keys() - {"central"} != {"name", "keeping", "key"}:
        raise _bad("kind", "has the members name, keeping and key, perhaps central, and no other")
    name, keys = _named("kind", row["name"]), row["key"]
    central = row.get("central", False)
    if not isinstance(keys, list) or type(central) is not bool:
        raise _bad(name, "its keys are [[kind.key]] tables, and central is true or false")
    made = tuple(_key(name, key) for key in keys)
    return Kind(name=name, keeping=str(row["keeping"]), keys=made, central=central)


def _key(kind: str, row: Any) -> Key:
    if not isinstance(row, dict) or not row.keys() >= _NEEDED or row.keys() - _MEMBERS:
        raise _bad(
            kind, f"a key has {' '.join(sorted(_NEEDED))}, and of {' '.join(sorted(_MEMBERS))} no other"
        )
    for member, value in row.items():
        if type(value) is not (bool if member in {"fresh", "escrow"} else str):
            raise _bad(kind, f"{member} is text, or true or false")
    _named(kind, row["label"])
    _named(kind, row["profile"])
    return Key(**row)


def _named(place: str, name: Any) -> str:
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise _bad(place, "a name is small letters, digits and hyphens")
    return name


def _bad(place: str, why: str) -> Misuse:
    return Misuse("bad-kind", f"{place[:_MAX_NAME]}: {why}")
