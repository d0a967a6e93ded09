"""Whoever sends certificates does not decide how long the verifier works: each bomb costs a counted little."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base import meter
from e2s.crypto import der
from e2s.security.verification import constraints, policies
from e2s.security.verification.anchors import Anchor
from e2s.security.verification.policies import ANY
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verifier import (
    MAX_CHECKED,
    MAX_NESTED,
    MAX_PATH,
    MAX_TRIED,
    MAX_UNTRUSTED,
    Verifier,
)
from tests.security.forge import MERCHANT, NAME, Node, ca, leaf, root
from tests.security.test_ocsp_answers import answer
from tests.worlds.pki import START

DAY = timedelta(days=1)


def judged(nodes, untrusted, crls=(), **more):
    """The verdict, and how many signatures were verified for it."""
    verifier = Verifier(more.pop("anchors", [nodes[0].certificate]))
    settings: dict[str, Any] = {"purpose": MERCHANT, "name": NAME, "require_revocation": bool(crls)} | more
    with meter.measured() as spent:
        verdict = verifier.judge(
            nodes[-1].certificate, [node.certificate for node in untrusted], crls, at=START, **settings
        )
    return verdict, spent["verify"]


def mesh(size, top, *, led):
    """CAs that all certify each other; ``led``: the root certifies the first."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(size)]
    names = [Node(f"ca {n}", ca=True, usage="ca", key=key) for n, key in enumerate(keys)]
    found = [
        Node(f"ca {below}", names[above], ca=True, usage="ca", key=keys[below])
        for above in range(size)
        for below in range(size)
        if above != below
    ]
    return names, [*found, *([Node("ca 0", top, ca=True, usage="ca", key=keys[0])] if led else [])]


@pytest.mark.parametrize("led", [True, False])
def test_a_mesh_of_cas(led):
    top = root()
    names, crossed = mesh(8, top, led=led)
    verdict, verified = judged([top, leaf(names[-1])], crossed)
    assert verified <= MAX_TRIED
    assert verdict.accepted or verdict.rule in {"path-too-long", "unknown-root"}


def test_a_small_mesh_is_found_through():
    top = root()
    names, crossed = mesh(3, top, led=True)
    verdict, verified = judged([top, leaf(names[-1])], crossed)
    assert verdict.accepted
    assert verified <= MAX_TRIED


def test_a_thousand_cas_of_one_name():
    top = root()
    wrong = [ca(root(), key_ids=False) for _ in range(MAX_UNTRUSTED - 1)]
    right = ca(top, key_ids=False)
    end = leaf(right, key_ids=False)
    verdict, verified = judged([top, end], [*wrong, right])
    assert (verdict.rule, verified) == ("path-too-long", MAX_TRIED)
    verdict, verified = judged([top, end], [*wrong, right] * 20)
    assert (verdict.rule, verified) == ("too-large", 0)


@pytest.mark.parametrize("cas", [MAX_PATH - 2, MAX_PATH - 1, 40])
def test_deep_chains(cas):
    nodes = [root()]
    for n in range(cas):
        nodes.append(ca(nodes[-1], f"ca {n}"))
    nodes.append(leaf(nodes[-1]))
    verdict, verified = judged(nodes, nodes[1:-1])
    assert verdict.accepted == (cas + 2 <= MAX_PATH)
    assert verified < MAX_PATH
    assert verdict.rule == ("" if verdict.accepted else "path-too-long")


def asserted(*oids):
    return (
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(o), None) for o in oids]),
        False,
    )


def mapped(*pairs):
    value = der.sequence(*(der.sequence(der.oid(one), der.oid(other)) for one, other in pairs))
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), value), True


def test_the_policy_graph_does_not_explode(monkeypatch):
    """CVE-2023-0464: each level maps each of n policies to each, so that a tree would have n to the depth."""
    size, made = 12, []

    class Counted(policies._Node):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append(self)

    monkeypatch.setattr(policies, "_Node", Counted)
    names = [f"1.3.9.{n}" for n in range(size)]
    all_to_all = mapped(*((one, other) for one in names for other in names))
    nodes = [root()]
    for n in range(MAX_PATH - 2):
        nodes.append(ca(nodes[-1], f"ca {n}", extra=(asserted(*names), all_to_all)))
    nodes.append(leaf(nodes[-1], extra=(asserted(*names),)))
    verdict, _ = judged(nodes, nodes[1:-1], wanted=Wanted(explicit=True))
    assert verdict.policies == frozenset(names)
    assert len(made) <= MAX_PATH * (size + 1)


def test_thousands_of_policies_are_not_read():
    top = root()
    many = asserted(*(f"1.3.9.{n}" for n in range(1000)))
    middle = ca(top, extra=(many,))
    verdict, _ = judged([top, leaf(middle, extra=(asserted(ANY),))], [middle])
    assert verdict.rule == "unknown-critical"
    assert "2.5.29.32" in verdict.reason


@pytest.fixture
def compared(monkeypatch):
    """How often a name was held against a subtree."""
    counts: list[int] = []
    held = constraints._within

    def within(*given, **named):
        counts.append(1)
        return held(*given, **named)

    monkeypatch.setattr(constraints, "_within", within)
    return counts


def hosts(count, zone="volt.example"):
    return [x509.DNSName(f"h{n}.{zone}") for n in range(count)]


@pytest.mark.parametrize("names", [10, 700])
@pytest.mark.parametrize("trees", [10, 700])
def test_constraints_times_names(compared, names, trees):
    """CVE-2024-0567 and its like: thousands of names under thousands of subtrees."""
    top = root()
    limits = x509.NameConstraints(None, hosts(trees, "ohm.example"))
    middle = ca(top, constraints=limits)
    end = leaf(middle, names=(), extra=((x509.SubjectAlternativeName(hosts(names)), False),))
    verdict, _ = judged([top, end], [middle], name=None)
    assert verdict.accepted == (names * trees < constraints.MAX_COMPARED)
    assert len(compared) <= constraints.MAX_COMPARED


def test_constraints_of_every_ca_count_together(compared):
    top = root()
    nodes = [top]
    for n in range(MAX_PATH - 2):
        limits = x509.NameConstraints(None, hosts(100, f"ohm{n}.example"))
        nodes.append(ca(nodes[-1], f"ca {n}", constraints=limits))
    end = leaf(nodes[-1], names=(), extra=((x509.SubjectAlternativeName(hosts(150)), False),))
    verdict, _ = judged([top, end], nodes[1:], name=None)
    assert verdict.rule == "name-constraint"
    assert len(compared) <= constraints.MAX_COMPARED


def test_a_huge_list_of_names():
    top = root()
    end = leaf(top, names=(), extra=((x509.SubjectAlternativeName(hosts(1200)), False),))
    assert judged([top, end], (), name="h1199.volt.example")[0].accepted
    assert judged([top, end], (), name="h1200.volt.example")[0].rule == "wrong-name"


def indirect(lister):
    """A distribution point whose list another issues."""
    return (
        x509.CRLDistributionPoints(
            [x509.DistributionPoint(None, None, None, [x509.DirectoryName(lister.subject)])]
        ),
        False,
    )


WHOLE_INDIRECT = (
    x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=True,
        only_contains_attribute_certs=False,
    ),
    True,
)


def listers(top, count):
    """Signers of indirect lists, each of whose status the next one tells; the last answers for itself."""
    names = [Node(f"lister {n}") for n in range(count + 1)]
    found = [
        Node(
            f"lister {n}",
            top,
            usage="list",
            extra=(indirect(names[min(n + 1, count - 1)]),),
            key=names[n].key,
        )
        for n in range(count)
    ]
    return found, [one.crl(extra=(WHOLE_INDIRECT,)) for one in found]


@pytest.mark.parametrize("count", [1, 2, MAX_NESTED, MAX_NESTED + 1, MAX_UNTRUSTED])
def test_signers_of_lists_that_vouch_for_signers(count):
    top = root()
    found, crls = listers(top, count)
    end = leaf(top, extra=(indirect(found[0]),))
    verdict, verified = judged([top, end], found, crls)
    assert verdict.accepted == (count <= MAX_NESTED)
    assert verdict.rule == ("" if count <= MAX_NESTED else "revocation-unknown")
    assert verified <= 4 * count


def test_who_falls_takes_those_along_that_stood_by_its_word():
    """Two signers vouch for each other; one is revoked by its own list, so neither is believed."""
    top = root()
    names = [Node(f"lister {n}") for n in range(2)]
    one, two = (
        Node(f"lister {n}", top, usage="list", extra=(indirect(names[1 - n]),), key=names[n].key)
        for n in (0, 1)
    )
    end = leaf(top, extra=(indirect(one),))
    lists = [one.crl(extra=(WHOLE_INDIRECT,)), two.crl(extra=(WHOLE_INDIRECT,))]
    assert judged([top, end], [one, two], lists)[0].accepted
    # an indirect list names the issuer of what it revokes
    held = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(START - DAY)
    held = held.add_extension(x509.CertificateIssuer([x509.DirectoryName(top.subject)]), critical=True)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(two.subject)
        .last_update(START)
        .next_update(START + DAY)
        .add_extension(x509.CRLNumber(2), critical=False)
        .add_extension(*WHOLE_INDIRECT)
        .add_revoked_certificate(held.build())
    )
    revoking = builder.sign(two.key, hashes.SHA256()).public_bytes(Encoding.DER)
    for which in (end, two):
        assert not judged([top, which], [one, two], [lists[0], revoking], purpose=None, name=None)[0].accepted


def test_many_lists_and_answers():
    """Lists of the issuer's name that its key did not sign, and answers of the like: each is tried once."""
    top = root()
    end = leaf(top)
    forged = [top.crl(sign_as=root(), at=START - timedelta(seconds=n)) for n in range(MAX_CHECKED + 100)]
    verdict, verified = judged([top, end], (), forged)
    assert verdict.rule == "too-much-work"
    assert verified <= MAX_CHECKED
    answers = [answer(end, top, by=root(), until=START + timedelta(seconds=n + 1)) for n in range(200)]
    verdict, verified = judged([top, end], (), (), ocsp=answers, require_revocation=True)
    assert verdict.rule == "revocation-unknown"
    assert verified <= 3 * 64


def test_several_anchors_each_within_its_limits():
    """One CA under two roots: what one is not trusted for, the other may be."""
    roots = [Node(f"root {n}", ca=True, usage="ca") for n in range(2)]
    key = ec.generate_private_key(ec.SECP256R1())
    cas = [Node("shared", top, ca=True, usage="ca", key=key) for top in roots]
    end = leaf(cas[0])
    narrow = Anchor(certificate=roots[0].certificate, purposes=frozenset({"1.2.3"}))
    off = Anchor(
        certificate=roots[0].certificate, names=x509.NameConstraints([x509.DNSName("ohm.example")], None)
    )
    wide = Anchor(certificate=roots[1].certificate, purposes=frozenset({MERCHANT}))
    for order in (cas, cas[::-1]):
        for first in (narrow, off):
            verdict, _ = judged([roots[0], end], order, anchors=[first, wide])
            assert verdict.accepted
            assert verdict.anchor == roots[1].certificate
        assert judged([roots[0], end], order, anchors=[narrow])[0].rule == "beyond-trust"
        assert judged([roots[0], end], order, anchors=[off])[0].rule == "beyond-trust"
        assert judged([roots[0], end], order, anchors=[wide])[0].accepted
