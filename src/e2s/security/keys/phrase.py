"""A pass phrase comes from a file or a prompt, never from an argument, a setting or the environment.

It is held in octets that can be wiped, and no text form of it exists by accident.
"""

from __future__ import annotations

import getpass
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path

from e2s.base.errors import Misuse, Refusal

MAX_PHRASE_BYTES = 1024


class Phrase:
    """A pass phrase in memory until :meth:`wipe`."""

    def __init__(self, text: str | bytes) -> None:
        """``text`` is normalised to NFC; raises :class:`Refusal` ``bad-pass-phrase`` when empty or huge."""
        try:
            known = text if isinstance(text, str) else text.decode("utf-8")
            octets = unicodedata.normalize("NFC", known).encode("utf-8")
        except UnicodeError as error:
            raise Refusal("bad-pass-phrase", "a pass phrase is text in UTF-8") from error
        if not 0 < len(octets) <= MAX_PHRASE_BYTES:
            raise Refusal("bad-pass-phrase", "a pass phrase has 1 to 1024 octets")
        self._octets = bytearray(octets)

    @property
    def octets(self) -> bytes:
        """The octets to derive from; raises :class:`Misuse` ``phrase-wiped`` after :meth:`wipe`."""
        if not self._octets:
            raise Misuse("phrase-wiped", "this pass phrase was already wiped")
        return bytes(self._octets)

    def wipe(self) -> None:
        """Overwrite and forget the octets."""
        self._octets[:] = bytes(len(self._octets))
        self._octets.clear()

    def __repr__(self) -> str:
        """Never the phrase itself."""
        return "Phrase(...)"


def phrase_from_file(path: Path) -> Phrase:
    """The first line of ``path``; raises :class:`Refusal` ``phrase-file-exposed`` if others may read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise Refusal(
                    "phrase-file-exposed", "only its owner may read a pass phrase file", mode=oct(mode)
                )
            octets = file.read(MAX_PHRASE_BYTES + 2)
    except OSError as error:
        raise Misuse("no-phrase-file", "the pass phrase file cannot be read", path=str(path)) from error
    return Phrase(octets.removesuffix(b"\n").removesuffix(b"\r"))


def phrase_from_prompt(prompt: str = "Pass phrase: ", ask: Callable[[str], str] = getpass.getpass) -> Phrase:
    """Asks at the terminal, without echo."""
    return Phrase(ask(prompt))
