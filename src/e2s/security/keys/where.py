"""An authority's key is opened, or made, wherever its folder says that it lives.

A key is on record before it exists and waits for its certificate as long as it must: who was interrupted
goes on with the same key, and none is left unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from e2s.base.errors import Misuse
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey, SigningKey
from e2s.crypto.ports import Signer
from e2s.crypto.suites import check_suite, signature_suite
from e2s.security.keys.container import Cost, production_cost
from e2s.security.keys.kept import (
    FileKey,
    NewTokenKey,
    TokenKey,
    certificates_beside,
    pending,
    waiting_in_file,
)
from e2s.security.keys.key_place import FILE, InSealedFile, InToken, Where, read_where, write_where
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse
from e2s.security.keys.token import open_token

__all__ = [
    "InSealedFile",
    "InToken",
    "NewKey",
    "OpenedKey",
    "Where",
    "make_key",
    "open_key",
    "read_where",
    "write_where",
]

LABEL: Final = "ca"


class OpenedKey(Protocol):
    """Port: an authority's key with its certificate, until it is closed."""

    def signer(self) -> Signer:
        """Signs in the authority's name."""

    def recertified(
        self,
        certificate: Certificate,
        chain: tuple[Certificate, ...],
        secret: Phrase,
        *,
        random: Callable[[int], bytes],
    ) -> None:
        """Put a newer certificate of the same key in the place of this one, durably."""

    def close(self) -> None:
        """Forget the key; afterwards each use is refused."""


class NewKey(Protocol):
    """Port: a key that has no certificate yet."""

    @property
    def public_key(self) -> PublicKey:
        """Its public half."""

    @property
    def key(self) -> SigningKey:
        """Itself, as the library's builders take it: for a root or a request."""

    def certified(self, certificate: Certificate, chain: tuple[Certificate, ...] = ()) -> OpenedKey:
        """Record its first certificate durably, and open it; raises :class:`Misuse` ``key-mismatch``."""

    def close(self) -> None:
        """Leave it for later."""


def open_key(folder: Path, secret: Phrase, *, label: str = LABEL) -> OpenedKey:
    """The certified key of ``folder``; ``secret`` is the pass phrase of its file or the PIN of its token.

    Raises :class:`Misuse` ``no-pse`` or ``not-certified`` where there is none, :class:`Refusal`
    ``wrong-pass-phrase`` or ``wrong-pin``, and what :func:`~e2s.security.keys.token.open_token` raises.
    """
    where = read_where(folder)
    if isinstance(where, InSealedFile):
        opened = SoftwarePse.open(folder / f"{label}.pse", secret)
        pending(folder, label).unlink(missing_ok=True)
        return FileKey(opened, label)
    certificate, chain = certificates_beside(folder / f"{label}.pem")
    keys = open_token(where.place, secret)
    try:
        return TokenKey(folder, keys, where, label, certificate, chain)
    except BaseException:
        keys.close()
        raise


def make_key(
    folder: Path,
    where: Where,
    secret: Phrase,
    suite: str,
    *,
    label: str = LABEL,
    random: Callable[[int], bytes],
    cost: Cost | None = None,
) -> NewKey:
    """A new key for ``folder``, or the one that an earlier call left there without a certificate.

    Raises :class:`Misuse` ``key-exists`` where the folder has a certified key, or the token one of the
    label that is not on record here, and ``key-waits`` where a key of another suite or place waits.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / f"{label}.pse").exists() or (folder / f"{label}.pem").exists():
        raise Misuse("key-exists", "there already is a certified key here", folder=str(folder))
    recorded = (folder / FILE).exists()
    sealed = pending(folder, label).exists() and isinstance(where, InToken)
    if sealed or (recorded and read_where(folder) != where):
        raise Misuse("key-waits", "a key in another place waits here for its certificate", folder=str(folder))
    if isinstance(where, InSealedFile):
        new: NewKey = waiting_in_file(folder, secret, suite, label, random, cost or production_cost())
    else:
        new = _new_token(folder, where, secret, suite, label, recorded=recorded)
    try:
        check_suite(signature_suite(suite), new.public_key, spki_of(new.public_key))
    except Misuse as error:
        new.close()
        raise Misuse(
            "key-waits", "a key of another suite waits here for a certificate", suite=suite
        ) from error
    return new


def _new_token(
    folder: Path, where: InToken, secret: Phrase, suite: str, label: str, *, recorded: bool
) -> NewKey:
    keys = open_token(where.place, secret)
    try:
        there = where.label in keys.labels()
        if there and not recorded:
            raise Misuse("key-exists", "the token has a key of this label", label=where.label)
        # On record first: a key that is generated and not certified is found again by the folder.
        write_where(folder, where)
        if not there:
            keys.generate(where.label, suite)
    except BaseException:
        keys.close()
        raise
    return NewTokenKey(folder, label, keys, where, suite)
