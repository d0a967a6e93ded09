"""A root trusted within limits: for purposes, names and policies, and never beyond (RFC 5937)."""

from __future__ import annotations

import pytest
from cryptography import x509

from e2s.crypto import oids
from e2s.security.verification.anchors import Anchor
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verifier import Verifier
from tests.security.forge import MERCHANT, NAME, ca, leaf, root
from tests.worlds.pki import START

POLICY = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])


def within(*trees, but=()):
    return x509.NameConstraints(
        [x509.DNSName(one) for one in trees] or None, [x509.DNSName(one) for one in but] or None
    )


@pytest.fixture(scope="module")
def nodes():
    top = root()
    middle = ca(top, extra=((POLICY, False),))
    return top, middle, leaf(middle, names=(NAME, "shop.example"), extra=((POLICY, False),))


def judged(nodes, purpose=MERCHANT, wanted=None, **limits):
    top, middle, end = (node.certificate for node in nodes)
    verifier = Verifier([Anchor(certificate=top, **limits)])
    lists = [node.crl() for node in nodes[:-1]]
    return verifier.judge(
        end, [middle], lists, at=START, purpose=purpose, name=None, wanted=wanted or Wanted()
    )


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"purposes": frozenset({MERCHANT})},
        {"names": within("example")},
        {"names": within(but=("other.example",))},
        {"policies": frozenset({"1.2.3", "1.2.4"})},
    ],
)
def test_within_the_trust(nodes, limits):
    assert judged(nodes, **limits).accepted


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"purposes": frozenset({oids.EKU_SERVER})}, "beyond-trust"),
        ({"purposes": frozenset()}, "beyond-trust"),
        ({"names": within("other")}, "beyond-trust"),
        ({"names": within(but=("shop.example",))}, "beyond-trust"),
        ({"policies": frozenset({"1.2.4"})}, "policy-required"),
        ({"policies": frozenset()}, "policy-required"),
    ],
)
def test_beyond_the_trust(nodes, limits, rule):
    assert judged(nodes, **limits).rule == rule


def test_a_purpose_is_named_where_purposes_are_limited(nodes):
    assert judged(nodes, purpose=None, purposes=frozenset({MERCHANT})).rule == "beyond-trust"


def test_policies_are_those_wanted_and_trusted(nodes):
    assert judged(
        nodes, policies=frozenset({"1.2.3"}), wanted=Wanted(policies=frozenset({"1.2.3"}))
    ).policies == {"1.2.3"}
    assert (
        judged(nodes, policies=frozenset({"1.2.3"}), wanted=Wanted(policies=frozenset({"1.2.4"}))).rule
        == "policy-required"
    )


def test_another_root_may_still_vouch(nodes):
    """Two anchors with one key: the limits of one are not those of the other."""
    top, middle, end = nodes
    twin = root(key=top.key)
    verifier = Verifier([Anchor(certificate=top.certificate, purposes=frozenset()), twin.certificate])
    lists = [node.crl() for node in nodes[:-1]]
    verdict = verifier.judge(
        end.certificate, [middle.certificate], lists, at=START, purpose=MERCHANT, name=NAME
    )
    assert verdict.anchor == twin.certificate
