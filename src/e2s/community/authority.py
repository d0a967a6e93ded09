"""A component that is a CA opens its own key, and believes only officers that the root's ceremony named."""

from __future__ import annotations

from e2s.community.place import Place
from e2s.security.keys.phrase import phrase_from_file
from e2s.security.pki.ca import Authority
from e2s.security.pki.ceremony import Setting, officers, open_authority


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
