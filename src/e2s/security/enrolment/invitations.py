"""An invitation is a reference, which may be known, and a secret, which invites: for any door, for some uses.

The secret has 160 random bits, written in eight groups that people can read out and type.  What a protocol
computes with are the ASCII octets of that text, in its one form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from e2s.base.errors import Refusal

#: Without those that are taken for one another.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_ALIKE: Final = str.maketrans("ilo", "110")
_BITS: Final = 5
_GROUP: Final = 4
REFERENCE_CHARACTERS: Final = 8
SECRET_CHARACTERS: Final = 32
_REFERENCE_BYTES: Final = REFERENCE_CHARACTERS * _BITS // 8
_SECRET_BYTES: Final = SECRET_CHARACTERS * _BITS // 8
_REFERENCE: Final = re.compile(f"[{_ALPHABET}]{{{REFERENCE_CHARACTERS}}}", re.ASCII)
_SECRET: Final = re.compile(f"[{_ALPHABET}]{{{SECRET_CHARACTERS}}}", re.ASCII)
_MAX_CODE: Final = 120
#: What an agreement key's profile is called, beside that of the same holder's signing key.
AGREEMENT: Final = "-agreement"


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What an officer invites to: ``uses`` times for each of its profiles, at ``confidence`` at most.

    It gives ``profile``, and that of the agreement key beside it where there is one, under ``names``.  No
    names: those that a door has proven, of hosts alone.
    """

    reference: str
    profile: str
    names: tuple[str, ...]
    confidence: str
    uses: int
    at: datetime
    until: datetime
    officer: str
    title: str = ""
    withdrawn: bool = False

    def gives(self, profile: str) -> bool:
        """Whether it gives certificates of this profile."""
        return profile in {self.profile, self.profile + AGREEMENT}


def new_reference(random: Callable[[int], bytes]) -> str:
    """A reference: short, random, and no secret."""
    return _written(random(_REFERENCE_BYTES))


def new_secret(random: Callable[[int], bytes]) -> bytes:
    """A secret: the octets of its text."""
    return _grouped(_written(random(_SECRET_BYTES))).encode("ascii")


def code_of(reference: str, secret: bytes) -> str:
    """Reference and secret as people get them: ``reference.secret``."""
    return f"{reference}.{secret.decode('ascii')}"


def read_code(text: str) -> tuple[str, bytes]:
    """The reference and the secret in a code, however it was typed; raises :class:`Refusal` ``bad-code``."""
    reference, point, secret = text.strip().partition(".") if len(text) <= _MAX_CODE else ("", "", "")
    plain = _plain(reference)
    if not point or not _REFERENCE.fullmatch(plain):
        raise Refusal("bad-code", "a code is a reference, a point, and a secret in eight groups of four")
    return plain, read_secret(secret.encode("utf-8", "replace"))


def check_reference(reference: str) -> None:
    """Raise :class:`Refusal` ``bad-code`` for what is no reference."""
    if not _REFERENCE.fullmatch(reference):
        raise Refusal("bad-code", "a reference has eight letters and digits")


def read_secret(typed: bytes) -> bytes:
    """A secret in its one form, however it was typed; raises :class:`Refusal` ``bad-code``."""
    plain = _plain(typed.decode("ascii", "replace")) if len(typed) <= _MAX_CODE else ""
    if not _SECRET.fullmatch(plain):
        raise Refusal("bad-code", "the secret of an invitation has eight groups of four letters and digits")
    return _grouped(plain).encode("ascii")


def _plain(text: str) -> str:
    return re.sub(r"[\s-]", "", text).lower().translate(_ALIKE)


def _written(octets: bytes) -> str:
    number, size = int.from_bytes(octets, "big"), len(octets) * 8 // _BITS
    return "".join(_ALPHABET[number >> _BITS * place & 31] for place in reversed(range(size)))


def _grouped(plain: str) -> str:
    return "-".join(plain[place : place + _GROUP] for place in range(0, len(plain), _GROUP))
