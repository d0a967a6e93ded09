"""The lists of one CA as they stand in the static files: each is put there once, and never an older one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.repository.files import Repository
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.fetching import crl_path
from e2s.security.verification.followed import older

#: Part of the list (None: of all), whether it changes another, and the list's number.
Label: TypeAlias = tuple[int | None, bool, int]


class Listed(Protocol):
    """One list that stands now."""

    @property
    def shard(self) -> int | None:
        """Of which part; None of all."""

    @property
    def delta(self) -> bool:
        """Whether it changes a complete list."""

    @property
    def number(self) -> int:
        """The CRL number."""

    @property
    def der(self) -> bytes:
        """The list."""


class PublishedLists:
    """What was published of ``ca``."""

    def __init__(self, files: Repository, ca: Certificate) -> None:
        """Nothing is known yet of what stands there."""
        self._files = files
        self._ca = ca
        self._known: dict[tuple[int | None, bool], int] = {}

    @property
    def known(self) -> frozenset[Label]:
        """The lists that are published already."""
        return frozenset((shard, delta, number) for (shard, delta), number in self._known.items())

    def take(self, lists: Iterable[Listed]) -> list[Listed]:
        """Publish those that are not yet; gives these.

        Raises :class:`Refusal` ``bad-crl`` for one that is not the CA's, ``old-crl`` for one older than
        what stands there, :class:`Unreachable` ``disk-full``.
        """
        taken = []
        for one in lists:
            if self._known.get((one.shard, one.delta)) == one.number:
                continue
            if self._newer(one):
                self._files.publish_crl(self._ca, one.der, one.shard, delta=one.delta)
            self._known[one.shard, one.delta] = one.number
            taken.append(one)
        return taken

    def _newer(self, one: Listed) -> bool:
        """Whether the list is to take the place of the one that stands there, if any does."""
        found = CrlIndex.read(one.der)
        if not found.names(self._ca) or (found.base is not None) != one.delta:
            raise Refusal("bad-crl", "the list is not that of this CA", number=one.number)
        try:
            standing = self._files.file(crl_path(self._ca, one.shard, delta=one.delta)).read_bytes()
        except OSError:
            return True
        if standing == one.der:
            return False
        try:
            held = CrlIndex.read(standing)
        except Refusal:
            return True
        if older(found, held):
            raise Refusal("old-crl", "an older list does not take a newer one's place", number=one.number)
        return True
