"""Chains and lists with some things wrong, or only odd: what verifiers are held against each other with.

A recipe says what is odd at each place; the same recipe makes the same world, keys and serials apart.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from e2s.crypto import der, oids
from e2s.security.verification.policies import ANY
from e2s.security.verification.rules import Wanted
from tests.security.forge import Node, root
from tests.security.test_ocsp_answers import REVOKED, UNKNOWN, answer
from tests.worlds.pki import START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOST, MAIL, URI, IP = "volt.example", "ann@volt.example", "https://volt.example/ann", "10.1.2.3"
P1, P2 = "1.3.9.1", "1.3.9.2"
ANY_USE = "2.5.29.37.0"


@cache
def kept_rsa(bits: int) -> Any:
    """Large primes take long: one key of each size is enough."""
    return rsa.generate_private_key(65537, bits)


def extension(value: Any, *, critical: bool = False) -> dict[str, Any]:
    return {"extra": ((value, critical),)}


def policies(*named: str, critical: bool = False) -> dict[str, Any]:
    each = [x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in named]
    return extension(x509.CertificatePolicies(each), critical=critical)


def mapping(*pairs: tuple[str, str]) -> dict[str, Any]:
    value = der.sequence(*(der.sequence(der.oid(one), der.oid(other)) for one, other in pairs))
    return extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), value), critical=True)


def unknown(*, critical: bool) -> dict[str, Any]:
    return extension(
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=critical
    )


def within(*trees: x509.GeneralName) -> dict[str, Any]:
    return {"constraints": x509.NameConstraints(list(trees), None)}


def without(*trees: x509.GeneralName) -> dict[str, Any]:
    return {"constraints": x509.NameConstraints(None, list(trees))}


def alternative(*names: x509.GeneralName, critical: bool = False) -> dict[str, Any]:
    return extension(x509.SubjectAlternativeName(list(names)), critical=critical)


DNS, MAILS, URIS = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier


def network(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_network(text))


ALL_NAMES = (DNS(HOST), MAILS(MAIL), URIS(URI), x509.IPAddress(ipaddress.ip_address(IP)))
ORGANISATION = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "market")])
UPPER = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, " MARKET ")])
OTHERS = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "other")])

#: Slots of any certificate below the anchor: one oddity of each at most.
COMMON: dict[str, dict[str, dict[str, Any]]] = {
    "time": {"expired": {"not_after": START - HOUR}, "future": {"not_before": START + HOUR}},
    "unknown": {"unknown-critical": unknown(critical=True), "unknown-plain": unknown(critical=False)},
    "policies": {
        "p1": policies(P1),
        "p2": policies(P2),
        "p1-p2": policies(P1, P2),
        "any-policy": policies(ANY),
        "p1-any": policies(P1, ANY),
        "p1-critical": policies(P1, critical=True),
    },
    "limits": {
        "explicit-0": extension(x509.PolicyConstraints(0, None), critical=True),
        "explicit-1": extension(x509.PolicyConstraints(1, None), critical=True),
        "no-mapping": extension(x509.PolicyConstraints(None, 0), critical=True),
        "no-any": extension(x509.InhibitAnyPolicy(0), critical=True),
    },
    "signature": {"forged": {"sign_as": root()}, "sha224": {"digest": hashes.SHA224()}},
    "key": {
        "rsa1024": {"key": 1024},
        "rsa2048": {"key": 2048},
        "k1": {"key": ec.SECP256K1()},
    },
    "ids": {"no-ids": {"key_ids": False}},
    "serial": {"long-serial": {"serial": 2**159 - 1}, "serial-1": {"serial": 1}},
}
#: Those of a CA between.
AUTHORITY: dict[str, dict[str, dict[str, Any]]] = COMMON | {
    "basic": {
        "no-basic": {"basic": False},
        "no-ca": {"ca": False},
        "length-0": {"path_length": 0},
        "length-1": {"path_length": 1},
    },
    "usage": {
        "lists-only": {"usage": "list"},
        "certifies-only": {"usage": "certify"},
        "no-usage": {"usage": ""},
    },
    "ekus": {
        "ca-server": {"ekus": (oids.EKU_SERVER,)},
        "ca-code": {"ekus": (oids.EKU_CODE,)},
        "ca-any-use": {"ekus": (ANY_USE,)},
    },
    "constraints": {
        "dns-in": within(DNS(HOST)),
        "dns-above": within(DNS("example")),
        "dns-out": within(DNS("ohm.example")),
        "dns-half": within(DNS("olt.example")),
        "dns-barred": without(DNS(HOST)),
        "dns-other-barred": without(DNS("ohm.example")),
        "mail-in": within(MAILS(HOST)),
        "mail-box": within(MAILS(MAIL)),
        "mail-out": within(MAILS("ohm.example")),
        "mail-barred": without(MAILS(MAIL)),
        "uri-in": within(URIS(HOST)),
        "uri-out": within(URIS(".volt.example")),
        "uri-barred": without(URIS(HOST)),
        "ip-in": within(network("10.0.0.0/8")),
        "ip-out": within(network("10.2.0.0/16")),
        "ip-barred": without(network("10.1.2.0/24")),
        "dn-in": within(x509.DirectoryName(ORGANISATION)),
        "dn-out": within(x509.DirectoryName(OTHERS)),
        "dn-barred": without(x509.DirectoryName(ORGANISATION)),
        "dn-case-in": within(x509.DirectoryName(UPPER)),
        "dn-case-barred": without(x509.DirectoryName(UPPER)),
        "form-unknown": without(x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))),
    },
    "mapping": {
        "map-1-2": mapping((P1, P2)),
        "map-2-1": mapping((P2, P1)),
        "map-any": mapping((ANY, P1)),
    },
    "self-issued": {"self-issued": {}},
}
#: Those of the end entity.
END: dict[str, dict[str, dict[str, Any]]] = COMMON | {
    "usage": {"agrees-only": {"usage": "agree"}, "no-usage": {"usage": ""}},
    "basic": {"no-basic": {"basic": False}, "end-ca": {"ca": True, "usage": "ca"}},
    "ekus": {
        "no-use": {"ekus": ()},
        "code": {"ekus": (oids.EKU_CODE,)},
        "any-use": {"ekus": (ANY_USE,)},
        "use-critical": {"critical_ekus": True},
    },
    "names": {
        "all-names": {"names": ALL_NAMES},
        "all-names-critical": {"names": ALL_NAMES, "names_critical": True},
        "no-names": {"names": ()},
        "wildcard": {"names": (DNS("*.example"),)},
        "upper-case": {"names": (DNS("VOLT.example"),)},
        "other-name": {"names": (DNS("ohm.example"),)},
        "bad-uri": {"names": (DNS(HOST), URIS("urn:volt"))},
    },
}
#: Those of the anchor.
ANCHOR: dict[str, dict[str, dict[str, Any]]] = {
    "time": COMMON["time"],
    "basic": {"no-ca": {"ca": False}, "length-0": {"path_length": 0}},
    "constraints": {name: AUTHORITY["constraints"][name] for name in ("dns-in", "dns-out")},
    "policies": {"p2": policies(P2)},
    "limits": {"explicit-0": COMMON["limits"]["explicit-0"]},
    "key": {"rsa1024": {"key": 1024}, "k1": {"key": ec.SECP256K1()}},
}
#: What may be the matter with an issuer's list; ``place`` is that of the certificate that it is about.
LISTS: dict[str, Callable[[Node, Node], Any]] = {
    "revoked": lambda issuer, below: issuer.crl((below, START - HOUR)),
    "revoked-later": lambda issuer, below: issuer.crl((below, START + HOUR)),
    "stale": lambda issuer, _: issuer.crl(at=START - 2 * DAY),
    "early": lambda issuer, _: issuer.crl(at=START + HOUR),
    "missing": lambda _issuer, _below: None,
    "forged-list": lambda issuer, _: issuer.crl(sign_as=root()),
    "users-only": lambda issuer, _: issuer.crl(extra=((scope(users=True), True),)),
    "cas-only": lambda issuer, _: issuer.crl(extra=((scope(cas=True), True),)),
    "some-reasons": lambda issuer, _: issuer.crl(extra=((scope(some=True), True),)),
    "delta": lambda issuer, below: changed(issuer, below, base=False, delta=False),
    "delta-revokes": lambda issuer, below: changed(issuer, below, base=False, delta=True),
    "delta-releases": lambda issuer, below: changed(issuer, below, base=True, delta=False),
    "unknown-list": lambda issuer, _: issuer.crl(extra=(unknown(critical=True)["extra"][0],)),
}
RESPONDER = x509.AuthorityInformationAccess(
    [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, URIS("http://volt.example/ocsp"))]
)


def plain(below: Node, issuer: Node, **more: Any) -> bytes:
    """An answer that names its certificate by SHA-1, as all know it (RFC 5019, 2.1.1)."""
    return answer(below, issuer, hashing=hashes.SHA1(), **more)


#: What may be the matter with an OCSP answer, which is all that tells of the certificate then.
ANSWERS: dict[str, Callable[[Node, Node], bytes]] = {
    "good-answer": lambda issuer, below: plain(below, issuer),
    "sha256-answer": lambda issuer, below: answer(below, issuer, hashing=hashes.SHA256()),
    "by-name": lambda issuer, below: plain(below, issuer, by_key=False),
    "revoked-answer": lambda issuer, below: plain(below, issuer, status=REVOKED),
    "unknown-answer": lambda issuer, below: plain(below, issuer, status=UNKNOWN),
    "stale-answer": lambda issuer, below: plain(below, issuer, at=START - DAY, until=START - HOUR),
    "early-answer": lambda issuer, below: plain(below, issuer, at=START + HOUR, until=START + DAY),
    "other-answers": lambda issuer, below: plain(below, issuer, by=root()),
    "delegate": lambda issuer, below: plain(below, issuer, by=delegate(issuer)),
    "no-delegate": lambda issuer, below: plain(below, issuer, by=delegate(issuer, ekus=(oids.EKU_SERVER,))),
    "foreign-delegate": lambda issuer, below: plain(below, issuer, by=delegate(root())),
    "old-delegate": lambda issuer, below: plain(below, issuer, by=delegate(issuer, not_after=START - HOUR)),
}
#: What the user asks of policies.
WANTED = {
    "explicit": Wanted(explicit=True),
    "wants-1": Wanted(policies=frozenset({P1})),
    "wants-1-explicit": Wanted(policies=frozenset({P1}), explicit=True),
    "wants-2-explicit": Wanted(policies=frozenset({P2}), explicit=True),
    "inhibit-any": Wanted(explicit=True, inhibit_any=True),
    "inhibit-mapping": Wanted(explicit=True, inhibit_mapping=True),
}


def delegate(issuer: Node, **more: Any) -> Node:
    """A responder that the issuer delegated."""
    settings = {"ekus": (oids.EKU_OCSP,), "extra": ((x509.OCSPNoCheck(), False),)} | more
    return Node("responder", issuer, **settings)


def changed(issuer: Node, below: Node, *, base: bool, delta: bool) -> list[bytes]:
    """A complete list that holds ``below`` or not, and a newer one that changes it."""
    held = x509.CRLReason(x509.ReasonFlags.certificate_hold)
    freed = x509.CRLReason(x509.ReasonFlags.remove_from_crl)
    place = x509.DistributionPoint([URIS("http://volt.example/delta.crl")], None, None, None)
    return [
        _list(issuer, 1, [(below, held)] if base else [], x509.FreshestCRL([place])),
        _list(
            issuer, 2, [(below, held if delta else freed)] if base or delta else [], x509.DeltaCRLIndicator(1)
        ),
    ]


def _list(issuer: Node, number: int, entries: list[tuple[Node, x509.CRLReason]], *more: Any) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(START)
        .next_update(START + DAY)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    )
    for value in more:
        builder = builder.add_extension(value, critical=isinstance(value, x509.DeltaCRLIndicator))
    for node, reason in entries:
        entry = x509.RevokedCertificateBuilder().serial_number(node.serial).revocation_date(START - HOUR)
        builder = builder.add_revoked_certificate(entry.add_extension(reason, critical=False).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def scope(
    *, users: bool = False, cas: bool = False, attributes: bool = False, some: bool = False
) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=users,
        only_contains_ca_certs=cas,
        only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}) if some else None,
        indirect_crl=False,
        only_contains_attribute_certs=attributes,
    )


@dataclass(frozen=True)
class Recipe:
    """``odd`` names oddities by place, 0 the anchor, the last the end entity; ``lists`` those of its issuer's."""

    cas: int
    odd: tuple[tuple[int, str, str], ...] = ()
    lists: tuple[tuple[int, str], ...] = ()
    answers: tuple[tuple[int, str], ...] = ()
    wanted: str = ""
    crossed: bool = False

    def has(self, *names: str, place: int | None = None) -> bool:
        """Whether one of these oddities is at that place, or anywhere."""
        return any(odd in names and place in {None, at} for at, _, odd in self.odd) or any(
            odd in names and place in {None, at} for at, odd in (*self.lists, *self.answers)
        )

    @property
    def end(self) -> int:
        """The place of the end entity."""
        return self.cas + 1


@dataclass
class World:
    """What a recipe makes: nodes from the anchor down, others that may stand between, lists."""

    recipe: Recipe
    nodes: list[Node]
    others: list[Node] = field(default_factory=list)
    crls: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    @property
    def untrusted(self) -> list[Node]:
        """All but the anchor and the end entity."""
        return [*self.nodes[1:-1], *self.others]

    @property
    def wanted(self) -> Wanted:
        """What is asked of policies."""
        return WANTED.get(self.recipe.wanted, Wanted())


def table(recipe: Recipe, place: int) -> dict[str, dict[str, dict[str, Any]]]:
    """The slots of a place."""
    if place == 0:
        return ANCHOR
    return END if place == recipe.end else AUTHORITY


def made(recipe: Recipe) -> World:
    """The world of a recipe."""
    nodes: list[Node] = []
    for place in range(recipe.end + 1):
        settings: dict[str, Any] = {"extra": ()}
        if place < recipe.end:
            settings |= {"ca": True, "usage": "ca"}
        else:
            settings |= {"ekus": (oids.EKU_SERVER,), "names": (DNS(HOST),)}
        for at, slot, odd in recipe.odd:
            if at == place:
                more = table(recipe, place)[slot][odd]
                settings |= more | {"extra": (*settings["extra"], *more.get("extra", ()))}
        if any(at == place for at, _ in recipe.answers):
            settings["extra"] = (*settings["extra"], (RESPONDER, False))
        nodes.append(_node(recipe, place, nodes, settings))
    world = World(recipe, nodes)
    if recipe.crossed and recipe.cas:
        world.others = _crossed(nodes)
    for place in range(1, recipe.end + 1):
        odd = next((odd for at, odd in recipe.lists if at == place), "")
        issuer, below = nodes[place - 1], nodes[place]
        found = LISTS[odd](issuer, below) if odd else issuer.crl()
        world.crls += found if isinstance(found, list) else [found] if found else []
    for place, odd in recipe.answers:
        world.answers.append(ANSWERS[odd](nodes[place - 1], nodes[place]))
    return world


def _node(recipe: Recipe, place: int, nodes: list[Node], settings: dict[str, Any]) -> Node:
    names = settings.pop("names", ())
    critical = settings.pop("names_critical", False)
    if names:
        settings["extra"] = (*settings["extra"], (x509.SubjectAlternativeName(list(names)), critical))
    key = settings.pop("key", None)
    if key is not None:
        settings["key"] = kept_rsa(key) if isinstance(key, int) else ec.generate_private_key(key)
    common = "anchor" if place == 0 else "volt" if place == recipe.end else f"ca {place}"
    if any(at == place and odd == "self-issued" for at, _, odd in recipe.odd):
        common = nodes[-1].common
    return Node(common, nodes[-1] if nodes else None, **settings)


def _crossed(nodes: list[Node]) -> list[Node]:
    """A foreign root and the first CA, certified by each other and by the end's issuer: cycles all over."""
    foreign = Node("foreign", ca=True, usage="ca")
    first = nodes[1]
    return [
        foreign,
        Node("foreign", first, ca=True, usage="ca", key=foreign.key),
        Node(first.common, foreign, ca=True, usage="ca", key=first.key),
        Node(nodes[0].common, foreign, ca=True, usage="ca", key=nodes[0].key),
        Node("foreign", nodes[-2], ca=True, usage="ca", key=foreign.key),
    ]


def singles() -> Iterator[Recipe]:
    """Each oddity alone, at each place, in chains of one and two CAs."""
    yield Recipe(0)
    for cas in (1, 2):
        yield Recipe(cas)
        yield Recipe(cas, crossed=True)
        for place in range(cas + 2):
            for slot, odds in table(Recipe(cas), place).items():
                for odd in odds:
                    yield Recipe(cas, ((place, slot, odd),))
        for place in range(1, cas + 2):
            for odd in LISTS:
                yield Recipe(cas, lists=((place, odd),))
        for wanted in WANTED:
            yield Recipe(cas, wanted=wanted)
        for odd in ANSWERS:
            yield Recipe(cas, lists=((cas + 1, "missing"),), answers=((cas + 1, odd),))
    yield Recipe(1, lists=((2, "forged-list"),), crossed=True)
    yield Recipe(1, ((2, "basic", "end-ca"), (2, "usage", "no-usage")))
    yield Recipe(2, ((1, "key", "rsa2048"), (1, "self-issued", "self-issued")))
    mapped = (
        (1, "policies", "p1"),
        (2, "mapping", "map-1-2"),
        (2, "policies", "any-policy"),
        (3, "policies", "p2"),
    )
    yield Recipe(2, mapped, wanted="inhibit-any")
    # name constraints say nothing to an end entity that has no such name
    for odd in AUTHORITY["constraints"]:
        yield Recipe(1, ((1, "constraints", odd), (2, "names", "all-names")))


def mixtures(seed: int, count: int) -> Iterator[Recipe]:
    """``count`` recipes with up to four oddities each, and policies in every second."""
    random = Random(seed)
    for number in range(count):
        cas = random.choice((1, 1, 2, 2, 3))
        odd: dict[tuple[int, str], str] = {}
        if number % 2:
            for place in range(1, cas + 2):
                odd[place, "policies"] = random.choice(("p1", "p1", "p1-p2", "any-policy", "p1-any", "p2"))
                if place <= cas and random.random() < 0.3:
                    odd[place, "mapping"] = random.choice(tuple(AUTHORITY["mapping"]))
                if random.random() < 0.2:
                    odd[place, "limits"] = random.choice(tuple(COMMON["limits"]))
        for _ in range(random.choice((0, 1, 1, 2, 3))):
            place = random.randrange(cas + 2)
            slots = table(Recipe(cas), place)
            slot = random.choice(tuple(slots))
            odd.setdefault((place, slot), random.choice(tuple(slots[slot])))
        lists = {
            random.randrange(1, cas + 2): random.choice(tuple(LISTS)) for _ in range(random.choice((0, 0, 1)))
        }
        answers = {place: random.choice(tuple(ANSWERS)) for place in lists if random.random() < 0.3}
        lists |= dict.fromkeys(answers, "missing")
        yield Recipe(
            cas,
            tuple((place, slot, name) for (place, slot), name in sorted(odd.items())),
            tuple(lists.items()),
            tuple(answers.items()),
            random.choice(("", *WANTED)) if number % 2 else "",
            random.random() < 0.2,
        )
