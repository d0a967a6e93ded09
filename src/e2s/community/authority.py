"""A component that is a CA opens its own key, and believes only officers that the root's ceremony named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from e2s.community.place import Place
from e2s.crypto.certificates import Certificate
from e2s.security.ceremonies.ceremony import Setting, officers, open_authority
from e2s.security.keys.phrase import phrase_from_file
from e2s.security.pki.ca import Authority

#: In a CA's folder: the root's list.
ROOT_LIST: Final = "root.crl"


def open_component_ca(place: Place, *, kind: str) -> Authority:
    """The CA in the component's home, with the officers that the root's ceremony named."""
    (anchor,) = place.whole.anchors()
    authoriser = officers(place.home.path / "ca", anchor)
    phrase = phrase_from_file(place.home.phrase)
    setting = Setting(clock=place.clock, random=place.random)
    return open_authority(
        place.home.path / "ca",
        phrase,
        kind=kind,
        component=place.name,
        authoriser=authoriser,
        setting=setting,
    )


class OwnLists:
    """The lists by which a CA judges those who order from it: its own as of now, and the root's.

    It asks nobody: what its own register says is newer than anything that was published.
    """

    def __init__(self, authority: Authority, root_list: Path) -> None:
        """``root_list``: where the root's list lies, put there at each ceremony that makes a new one."""
        self._authority = authority
        self._root_list = root_list

    def crls(self, *_certificates: Certificate) -> Sequence[bytes]:
        """Every list that stands now."""
        own = tuple(one.der for one in self._authority.current_lists())
        try:
            return (*own, self._root_list.read_bytes())
        except OSError:
            return own
