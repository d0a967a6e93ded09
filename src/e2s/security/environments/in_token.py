"""A PSE whose keys are made in a PKCS #11 token and never come out: a folder of a folder for each key.

Each says where its key lives and has its certificate beside (:mod:`e2s.security.keys.where`).
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import SigningKey
from e2s.crypto.ports import Signer
from e2s.crypto.suites import signature_suite_of
from e2s.security.keys.cryptoki import TokenPlace
from e2s.security.keys.key_place import InToken
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Random
from e2s.security.keys.where import NewKey, OpenedKey, make_key, open_key


class TokenKeeper:
    """The keys of one PSE in one token, within a ``with`` block; ``name`` begins their labels there."""

    def __init__(self, folder: Path, place: TokenPlace, pin: Phrase, *, name: str, random: Random) -> None:
        """Nothing is opened yet."""
        self._folder, self._place, self._pin, self._name = folder, place, pin, name
        self._random = random
        self._stack = ExitStack()
        self._new: dict[str, NewKey] = {}
        self._opened: dict[str, OpenedKey] = {}

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the token."""
        self._stack.close()

    def key(self, label: str, suite: str) -> SigningKey:
        """A new key in the token, or the one that waits for its certificate."""
        where = InToken(place=self._place, label=f"{self._name} {label}")
        new = make_key(self._folder / label, where, self._pin, suite, label=label, random=self._random)
        self._stack.callback(new.close)
        self._new[label] = new
        return new.key

    def certified(self, label: str, certificate: Certificate, chain: tuple[Certificate, ...]) -> None:
        """Put the certificate beside its key."""
        if (self._folder / label / f"{label}.pem").exists():
            return
        if label not in self._new:
            self.key(label, signature_suite_of(certificate.public_key).name)
        self._opened[label] = self._new[label].certified(certificate, chain)

    def signer(self, label: str) -> Signer:
        """Signs with a certified key."""
        opened = self._opened.get(label)
        if opened is None:
            opened = open_key(self._folder / label, self._pin, label=label)
            self._stack.callback(opened.close)
            self._opened[label] = opened
        return opened.signer()
