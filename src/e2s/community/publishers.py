"""Where a CA's lists and certificates are published: at its own door, or at a repository that follows it."""

from __future__ import annotations

from collections.abc import Iterator

from e2s.base.errors import Misuse
from e2s.community.description import Community, Component
from e2s.community.kinds import KINDS
from e2s.security.certificates.places import Places

#: Where a repository answers how one certificate stands.
OCSP_PATH = "/ocsp"


def repository_of(community: Community) -> Component:
    """The trusted authority's repository; raises :class:`Misuse` ``no-repository``."""
    found = community.of_party(community.trust.authority, "repository")
    if not found:
        raise Misuse("no-repository", "the trusted authority has no repository")
    return found[0]


def publisher_of(community: Community, holder: Component) -> Component:
    """Who publishes for the CA that ``holder`` holds; a component with a door publishes itself."""
    if KINDS[holder.kind].door:
        return holder
    for component in community.of_kind("repository"):
        if holder.name in component.talks_to:
            return component
    return repository_of(community)


def places_of(community: Community, holder: Component) -> Places:
    """What the certificates of the holder's CA say of its lists and answers."""
    publisher = publisher_of(community, holder)
    answers = publisher.kind == "repository"
    return Places(base=publisher.origin, ocsp=f"{publisher.origin}{OCSP_PATH}" if answers else "")


def ca_labels(community: Community) -> Iterator[tuple[Component, str, Component]]:
    """Each component and label under which a CA may stand in public, and who publishes for it."""
    for component in community.components.values():
        for label in ("root", "ca"):
            yield component, label, publisher_of(community, component)
