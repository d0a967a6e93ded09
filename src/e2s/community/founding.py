"""A community is founded once: the root's ceremony first, then each component's keys in its own home.

The order is such that a founding that was cut short is seen (``root.pem`` is written last) and begun
anew in an empty folder.  The root's key is closed before anything is started, and only its folder has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base.errors import Misuse
from e2s.base.wire import b64u
from e2s.community.accounts import open_accounts
from e2s.community.assembly_enrolment import POLICY, POLICY_FILE, officer_of
from e2s.community.authority import ROOT_LIST
from e2s.community.conformance import require_conforming
from e2s.community.description import Community, Component
from e2s.community.home import CommunityHome
from e2s.community.kinds import ISSUER, KINDS, MERCHANT
from e2s.community.making import Made, Tools
from e2s.community.publishers import places_of, publisher_of, repository_of
from e2s.crypto.certificates import Certificate
from e2s.network.sessions.link import make_key
from e2s.security.ceremonies.ceremony import Root, copy_records, found_authority, found_root, officer_rights
from e2s.security.certificates.place_file import write_places
from e2s.security.keys.durable import replace_file
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase, phrase_from_file
from e2s.security.keys.software import Entry, SoftwarePse
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.rights import Right
from e2s.security.repository.files import Repository
from e2s.security.repository.published import PublishedLists

#: Labels whose profile (security.pki.profiles) has another name.
_PROFILES: Final = {
    "session": "buyer-session",
    "card": "card-holder",
    "agreement": "buyer-agreement",
    "payment-agreement": "merchant-payment-agreement",
    "ocsp": "ocsp-responder",
}
_PHRASE_BYTES: Final = 24


def found(community: Community, whole: CommunityHome, tools: Tools, tell: Callable[[str], None]) -> None:
    """Make every key and certificate of ``community`` in ``whole``.

    Raises :class:`Misuse` ``already-founded`` or ``half-founded``, and ``not-conforming`` as a refusal.
    """
    require_conforming(community, at=tools.clock.now())
    if whole.founded:
        raise Misuse("already-founded", "this community has its keys already", home=str(whole.path))
    if whole.root_offline.exists():
        raise Misuse(
            "half-founded",
            "an earlier founding was cut short: begin in an empty folder",
            home=str(whole.path),
        )
    for component in community.components.values():
        whole.component(component).path.mkdir(parents=True, mode=0o700)
    root, authorities = _found_authorities(community, whole, tools, tell)
    anchor = root.certificate
    made = Made(community=community, whole=whole, tools=tools, anchor=anchor, authorities=authorities)
    for component in sorted(community.components.values(), key=lambda one: KINDS[one.kind].person):
        _found_component(made, component, tell)
    _found_links(community, whole, tools, tell)
    open_accounts(made, tell)
    for component in (*community.of_kind("registration"), *community.of_kind("enrolment")):
        copy_records(whole.root_offline, whole.component(component).path, anchor)
    root.close()
    for authority in authorities.values():
        authority.close()
    replace_file(whole.root, anchor.pem, 0o644)
    tell(f"root-offline closed: move {whole.root_offline} to a safe place")


def _found_authorities(
    community: Community, whole: CommunityHome, tools: Tools, tell: Callable[[str], None]
) -> tuple[Root, dict[str, Authority]]:
    """The root, the operating CA and a card CA for each issuer, by the component that will hold them."""
    holders = {c.name: c for c in _ca_holders(community)}
    officer = community.urn(community.trust.authority)
    rights = officer_rights(officer, ("root", *holders))
    for holder in holders.values():
        if holder.kind == "issuer":
            rights |= officer_rights(community.urn(holder.party), (holder.name,))
        else:
            rights |= _registration_rights(community, holder)
    phrase = _new_phrase(whole, None, tools)
    repository = repository_of(community)
    write_places(whole.root_offline, places_of(community, repository))
    root = found_root(
        whole.root_offline, phrase, community=community.name, rights=rights, setting=tools.setting
    )
    tell(f"root founded in {whole.root_offline}: {root.certificate.id}")
    founded: dict[str, Authority] = {}
    for component in holders.values():
        home = whole.component(component)
        write_places(home.path / "ca", places_of(community, component))
        founded[component.name] = authority = found_authority(
            root,
            home.path / "ca",
            _new_phrase(whole, component, tools),
            kind="card-ca" if component.kind == "issuer" else "operating-ca",
            name=community.urn(component.party),
            component=component.name,
            officer=officer,
            authoriser=None,
            setting=tools.setting,
        )
        _publish(whole, component.name, "ca", (authority.certificate,))
        tell(f"{component.name} certified by the root as {authority.profile.name}")
    _publish(whole, repository.name, "root", (root.certificate,))
    files = Repository(whole.component(repository).path / "repository")
    files.publish_anchor(root.certificate)
    files.publish_certificate(root.certificate)
    root_list = root.crl()
    files.publish_crl(root.certificate, root_list)
    for component in holders.values():
        replace_file(whole.component(component).path / "ca" / ROOT_LIST, root_list, 0o644)
        if publisher_of(community, component).kind == "repository":
            authority = founded[component.name]
            files.publish_certificate(authority.certificate)
            PublishedLists(files, authority.certificate).take(authority.current_lists())
    return root, founded


def _registration_rights(community: Community, holder: Component) -> frozenset[Right]:
    """What the officers of the CA's party may do there: register, approve each other's orders, revoke.

    Its enrolment registers and revokes too: the CA lets it renew, and no more.
    """
    renewing = frozenset(
        (officer_of(community, component), right, holder.name)
        for component in community.of_party(holder.party, "enrolment")
        for right in (RIGHTS.register, RIGHTS.revoke)
    )
    return renewing | frozenset(
        (community.urn(holder.party, officer.person), right, holder.name)
        for officer in community.of_party(holder.party, "officer")
        for right in (RIGHTS.register, RIGHTS.approve, RIGHTS.revoke)
    )


def _ca_holders(community: Community) -> Iterator[Component]:
    """The trusted authority's CA first, then each issuing bank's desk."""
    yield from community.of_party(community.trust.authority, "certification-authority")
    for party in community.parties.values():
        if party.kind == ISSUER:
            yield from community.of_party(party.name, "issuer")[:1]


def _found_component(made: Made, component: Component, tell: Callable[[str], None]) -> None:
    """The component's keys, in a personal security environment of its own."""
    community, whole = made.community, made.whole
    entries = {
        label: made.card(component) if label == "card" else _entry(made, component, label)
        for label in (*KINDS[component.kind].labels, "component")
    }
    home = whole.component(component)
    phrase = (
        phrase_from_file(home.phrase) if home.phrase.exists() else _new_phrase(whole, component, made.tools)
    )
    pse = SoftwarePse.create(home.pse, phrase, entries, cost=made.tools.cost, random=made.tools.random)
    pse.close()
    for label, entry in entries.items():
        _publish(whole, component.name, label, (entry.certificate, *entry.chain))
    if component.tls:
        _found_tls(community, component, whole, made.operating, made.tools)
    if component.kind == "enrolment":
        replace_file(home.path / POLICY_FILE, POLICY, 0o644)
    tell(f"{component.name} has its keys: {', '.join(entries)}")


def _entry(made: Made, component: Component, label: str) -> Entry:
    """A key and its certificate from the operating CA."""
    community = made.community
    key = generate(made.tools.setting.suite, made.tools.random)
    names = [community.urn(component.party, component.person)]
    if component.kind == "enrolment" and label == "officer":
        names = [officer_of(community, component)]
    if component.person:
        # A person's certificates also name her organisation (protocol, section 1).
        names += [community.urn(component.party)]
    if community.parties[component.party].kind == MERCHANT and label != "component":
        # Protocol, section 1: a merchant's certificate also lists its shop's origins.
        names += [shop.origin for shop in community.of_party(component.party, "merchant-outside")]
    certificate = made.operating.issue(
        _PROFILES.get(label, label), key.public_key(), names, officer=community.urn(community.trust.authority)
    )
    return Entry(private_key=key, certificate=certificate, chain=(made.operating.certificate,))


def _found_tls(
    community: Community, component: Component, whole: CommunityHome, authority: Authority, tools: Tools
) -> None:
    key = generate(tools.setting.suite, tools.random)
    names = (component.listen.host.strip("[]"),)
    officer = community.urn(community.trust.authority)
    certificate = authority.issue("tls-server", key.public_key(), names, officer=officer)
    home = whole.component(component)
    replace_file(home.tls_certificate, certificate.pem + authority.certificate.pem, 0o644)
    replace_file(home.tls_key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _publish(whole, component.name, "tls-server", (certificate, authority.certificate))


def _found_links(
    community: Community, whole: CommunityHome, tools: Tools, tell: Callable[[str], None]
) -> None:
    """One key for each pair of one party's components that talk, in the homes of both."""
    number = 0
    for component in community.components.values():
        for peer in community.peers(component):
            if peer.party != component.party:
                continue
            mine = whole.component(component).link_key(peer.name)
            theirs = whole.component(peer).link_key(component.name)
            for path in (mine, theirs):
                path.parent.mkdir(exist_ok=True, mode=0o700)
            if not mine.exists():
                make_key(mine, tools.random)
                replace_file(theirs, mine.read_bytes())
                number += 1
    tell(f"{number} pairs of components have link keys")


def _publish(whole: CommunityHome, component: str, label: str, chain: tuple[Certificate, ...]) -> None:
    replace_file(whole.public(component, label), b"".join(c.pem for c in chain), 0o644)


def _new_phrase(whole: CommunityHome, component: Component | None, tools: Tools) -> Phrase:
    """A random pass phrase, in a file that only its owner reads."""
    path = (
        whole.component(component).phrase
        if component
        else whole.root_offline.with_name("root-offline.phrase")
    )
    text = b64u(tools.random(_PHRASE_BYTES))
    replace_file(path, text.encode() + b"\n")
    return Phrase(text)
