"""The verifier refuses by rule: one good world, and every way of being wrong in one thing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from e2s.base import meter
from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.security.certificates import lint
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verifier import MAX_UNTRUSTED, Verifier
from tests.security.forge import MERCHANT, NAME, SHOP, Node, ca, leaf, name, root
from tests.worlds.pki import START, make_pki

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
REGISTERED = x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))


def judged(nodes, crls=None, *, anchors=None, at=START, purpose=MERCHANT, asked=NAME, **more):
    """The verdict on the last of ``nodes``, which run from the root down."""
    certificates = [node.certificate for node in nodes]
    if crls is None:
        crls = [node.crl() for node in nodes[:-1]]
    verifier = Verifier(anchors or certificates[:1])
    return verifier.judge(
        certificates[-1], certificates[1:-1], crls, at=at, purpose=purpose, name=asked, **more
    )


def chain(*, root_with=None, ca_with=None, leaf_with=None):
    top = root(**(root_with or {}))
    middle = ca(top, **(ca_with or {}))
    return top, middle, leaf(middle, **(leaf_with or {}))


def refused(nodes, crls=None, **more):
    verdict = judged(nodes, crls, **more)
    assert not verdict.accepted
    assert verdict.reason
    with pytest.raises(Refusal) as caught:
        verdict.or_refuse()
    assert caught.value.rule == verdict.rule
    return verdict.rule


@pytest.mark.parametrize("asked", [NAME, SHOP, "volt.example", "VOLT.example", None])
def test_good(asked):
    nodes = chain()
    verdict = judged(nodes, asked=asked)
    assert verdict.or_refuse() is verdict
    assert verdict.path == tuple(node.certificate for node in reversed(nodes))
    assert verdict.anchor == nodes[0].certificate
    assert len(verdict.crls_used) == 2


def test_long_path_is_found_whatever_the_order():
    top = root()
    middle = ca(top, "policy")
    lower = ca(middle, "operating")
    nodes = (top, middle, lower, leaf(lower))
    crls = [node.crl() for node in nodes[:-1]]
    certificates = [node.certificate for node in nodes]
    for pool in (certificates, certificates[::-1], certificates[1:3]):
        verdict = Verifier(certificates[:1]).judge(
            certificates[-1], pool, crls, at=START, purpose=MERCHANT, name=NAME
        )
        assert verdict.path == tuple(certificates[::-1])


def test_no_anchor_accepts_nothing():
    nodes = chain()
    verifier = Verifier([])
    verdict = verifier.judge(
        nodes[2].certificate,
        [node.certificate for node in nodes],
        [node.crl() for node in nodes[:2]],
        at=START,
        purpose=MERCHANT,
        name=NAME,
    )
    assert verdict.rule == "unknown-root"


def test_unknown_root():
    assert refused(chain(), anchors=[root().certificate]) == "unknown-root"


def test_other_community_of_the_same_names():
    ours, theirs = make_pki(), make_pki()
    certificate, path, _ = theirs.issue("merchant", NAME)
    verdict = ours.verifier().judge(
        certificate, path, (*ours.crls(), *theirs.crls()), at=START, purpose=MERCHANT, name=NAME
    )
    assert verdict.rule == "unknown-root"


def test_self_signed_is_no_root():
    assert refused((root(), leaf(None))) == "unknown-root"


def test_missing_intermediate():
    top, _middle, bottom = chain()
    assert refused((top, bottom)) == "unknown-root"


@pytest.mark.parametrize("key_ids", [True, False])
def test_forged_signature(key_ids):
    top, middle, _ = chain()
    stranger = ca(root(), "operating")
    forged = leaf(middle, sign_as=stranger, key_ids=key_ids)
    assert refused((top, middle, forged)) == "bad-path-signature"


def test_forged_intermediate():
    top = root()
    middle = ca(top, sign_as=root())
    assert refused((top, middle, leaf(middle))) == "bad-path-signature"


def test_a_good_path_is_found_beside_forged_ones():
    top, middle, bottom = chain()
    forged = [ca(top, "operating", sign_as=root(), key_ids=False) for _ in range(5)]
    nodes = (top, *forged, middle, bottom)
    assert judged(nodes).accepted


def test_sha1_is_refused():
    # OpenSSL may be built without; the certificate is then refused all the earlier.
    top, middle, _ = chain()
    weak = leaf(middle, digest=hashes.SHA224())
    assert refused((top, middle, weak)) == "weak-algorithm"


def test_weak_curve():
    top, middle, _ = chain()
    weak = leaf(middle, key=ec.generate_private_key(ec.SECP256K1()))
    assert refused((top, middle, weak)) == "weak-algorithm"


@pytest.mark.parametrize("which", ["root_with", "ca_with", "leaf_with"])
def test_expired(which):
    nodes = chain(**{which: {"not_after": START - HOUR}})
    assert refused(nodes) == "expired"


@pytest.mark.parametrize("which", ["root_with", "ca_with", "leaf_with"])
def test_not_yet_valid(which):
    nodes = chain(**{which: {"not_before": START + HOUR}})
    assert refused(nodes) == "not-yet-valid"


def test_validity_includes_both_ends():
    nodes = chain(leaf_with={"not_before": START, "not_after": START + HOUR})
    crls = [node.crl() for node in nodes[:-1]]
    for at, rule in (
        (START - timedelta(seconds=1), "not-yet-valid"),
        (START, ""),
        (START + HOUR, ""),
        (START + HOUR + timedelta(seconds=1), "expired"),
    ):
        assert judged(nodes, crls, at=at).rule == rule


@pytest.mark.parametrize(
    "wrong",
    [{"ca": False, "usage": "sign"}, {"ca": False}, {"basic": False}, {"usage": "sign"}, {"usage": "list"}],
)
def test_issuer_is_no_ca(wrong):
    assert refused(chain(ca_with=wrong)) == "not-a-ca"


def test_end_entity_cannot_certify():
    top, middle, bottom = chain()
    assert refused((top, middle, bottom, leaf(bottom, "accomplice"))) == "not-a-ca"


def test_path_length():
    top = root(path_length=1)
    middle = ca(top)
    lower = ca(middle, "lower")
    assert judged((top, middle, leaf(middle))).accepted
    assert refused((top, middle, lower, leaf(lower))) == "path-too-long"


def test_endless_path():
    nodes = [root()]
    for i in range(9):
        nodes.append(ca(nodes[-1], f"ca {i}"))
    assert refused((*nodes, leaf(nodes[-1]))) == "path-too-long"


def test_loop_ends():
    one = Node("one", ca=True, usage="ca", key_ids=False)
    two = ca(one, "two", key_ids=False)
    one = ca(two, "one", key=one.key, key_ids=False)
    assert refused((root(), one, two, leaf(two, key_ids=False))) == "unknown-root"


def test_maze_is_bounded():
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(8)]
    same = [Node("maze", ca=True, usage="ca", key=key, key_ids=False) for key in keys]
    maze = [ca(node, "maze", key=key, key_ids=False) for node in same for key in keys][:MAX_UNTRUSTED]
    with meter.measured() as spent:
        verdict = judged((root(), *maze, leaf(same[0], key_ids=False)), [])
    assert not verdict.accepted
    assert spent["verify"] <= 64


def test_too_many_certificates():
    top, middle, bottom = chain()
    assert refused((top, *[middle] * (MAX_UNTRUSTED + 1), bottom)) == "too-large"


@pytest.mark.parametrize("which", ["root_with", "ca_with", "leaf_with"])
def test_unknown_critical_extension(which):
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert judged(chain(**{which: {"extra": ((odd, False),)}})).accepted
    assert refused(chain(**{which: {"extra": ((odd, True),)}})) == "unknown-critical"


def test_critical_policies_are_processed():
    policies = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])
    both = {"extra": ((policies, True),)}
    explicit = Wanted(explicit=True)
    assert judged(chain(leaf_with=both)).accepted
    assert judged(chain(leaf_with=both, ca_with=both), wanted=explicit).policies == {"1.2.3"}
    for nodes, wanted in (
        (chain(leaf_with=both), explicit),
        (chain(), explicit),
        (chain(leaf_with=both, ca_with=both), Wanted(policies=frozenset({"1.2.4"}), explicit=True)),
        (chain(leaf_with=both, ca_with=both), Wanted(policies=frozenset(), explicit=True)),
    ):
        assert judged(nodes, wanted=wanted).rule == "policy-required"


@pytest.mark.parametrize(
    "wrong",
    [
        {"ekus": (oids.SIGNING["merchant-payment"], oids.EKU_EMAIL)},
        {"ekus": ("2.5.29.37.0",)},
        {"ekus": (oids.EKU_SERVER,)},
        {"ekus": ()},
        {"usage": "agree"},
    ],
)
def test_wrong_eku(wrong):
    assert refused(chain(leaf_with=wrong)) == "wrong-purpose"


def test_agreement_certificate_does_not_sign_and_the_reverse():
    agreement = oids.AGREEMENT["gateway"]
    good = chain(leaf_with={"ekus": (agreement,), "usage": "agree"})
    assert judged(good, purpose=agreement).accepted
    assert refused(chain(leaf_with={"ekus": (agreement,)}), purpose=agreement) == "wrong-purpose"
    assert refused(good, purpose=oids.SIGNING["gateway"]) == "wrong-purpose"


def test_ca_confined_to_other_purposes():
    confined = {"ekus": (oids.SIGNING["card-holder"], oids.EKU_EMAIL)}
    assert refused(chain(ca_with=confined)) == "wrong-purpose"


@pytest.mark.parametrize(
    ("ekus", "critical", "rule"),
    [
        ((oids.EKU_TIME_STAMPING,), True, ""),
        ((oids.EKU_TIME_STAMPING,), False, "wrong-purpose"),
        ((oids.EKU_TIME_STAMPING, oids.EKU_EMAIL), True, "wrong-purpose"),
    ],
)
def test_time_stamping_is_the_only_purpose(ekus, critical, rule):
    nodes = chain(leaf_with={"ekus": ekus, "critical_ekus": critical})
    assert judged(nodes, purpose=oids.EKU_TIME_STAMPING).rule == rule


@pytest.mark.parametrize(
    "asked",
    ["urn:e2s:market:ohm", "urn:e2s:market:VOLT", NAME + ":x", "https://volt.example", "x.volt.example", ""],
)
def test_wrong_name(asked):
    assert refused(chain(), asked=asked) == "wrong-name"


def test_common_name_is_no_name():
    assert refused(chain(leaf_with={"names": ()}), asked="volt") == "wrong-name"


def subtree(*trees, excluded=()):
    return x509.NameConstraints(list(trees) or None, list(excluded) or None)


VOLT_TREE = x509.DirectoryName(x509.Name(list(name("x", unit="volt"))[:2]))


@pytest.mark.parametrize(
    ("constraints", "leaf_with", "rule"),
    [
        (subtree(VOLT_TREE), {"unit": "volt"}, ""),
        (subtree(VOLT_TREE), {"unit": "ohm"}, "name-constraint"),
        (subtree(excluded=[VOLT_TREE]), {"unit": "volt"}, "name-constraint"),
        (subtree(excluded=[VOLT_TREE]), {"unit": "ohm"}, ""),
        (subtree(x509.DNSName("example")), {"names": ("a.example",)}, ""),
        (subtree(x509.DNSName("example")), {"names": ("an-example",)}, "name-constraint"),
        (subtree(x509.DNSName("ex.org"), x509.DNSName("example")), {"names": ("a.example",)}, ""),
        (subtree(excluded=[x509.DNSName("example")]), {"names": ("A.EXAMPLE",)}, "name-constraint"),
        (subtree(excluded=[x509.DNSName("example")]), {"names": ("other",)}, ""),
        (
            subtree(x509.UniformResourceIdentifier("shop.example")),
            {"names": ("https://shop.example:1/",)},
            "",
        ),
        (
            subtree(x509.UniformResourceIdentifier("shop.example")),
            {"names": ("https://evil.org/shop.example",)},
            "name-constraint",
        ),
        (
            subtree(x509.UniformResourceIdentifier("shop.example")),
            {"names": ("https://shop.example@evil.org",)},
            "name-constraint",
        ),
        (subtree(x509.UniformResourceIdentifier(".example")), {"names": ("https://a.example",)}, ""),
        (
            subtree(x509.UniformResourceIdentifier(".example")),
            {"names": ("https://example",)},
            "name-constraint",
        ),
        (subtree(x509.UniformResourceIdentifier(".example")), {"names": (NAME,)}, "name-constraint"),
        (
            subtree(x509.UniformResourceIdentifier(".example")),
            {"names": ("https://127.0.0.1",)},
            "name-constraint",
        ),
        (subtree(x509.RFC822Name("example")), {"names": ("a@example",)}, ""),
        (subtree(x509.RFC822Name("example")), {"names": ("a@b.example",)}, "name-constraint"),
        (subtree(x509.RFC822Name("a@example")), {"names": ("b@example",)}, "name-constraint"),
        (subtree(REGISTERED), {"names": ()}, ""),
        (
            subtree(REGISTERED),
            {"names": (), "extra": ((x509.SubjectAlternativeName([REGISTERED]), False),)},
            "name-constraint",
        ),
    ],
)
def test_name_constraints(constraints, leaf_with, rule):
    nodes = chain(ca_with={"constraints": constraints}, leaf_with=leaf_with)
    assert judged(nodes, asked=None).rule == rule


def test_constraints_hold_through_lower_cas():
    top = root(constraints=subtree(x509.DNSName("example")))
    middle = ca(top)
    assert judged((top, middle, leaf(middle, names=("a.example",))), asked=None).accepted
    assert refused((top, middle, leaf(middle, names=("a.org",))), asked=None) == "name-constraint"


def test_confined_ca_names_only_its_partys_persons():
    tree = x509.DirectoryName(x509.Name(list(name("x", unit="bank"))[:2]))
    confined = {"constraints": subtree(tree), "names": ("urn:e2s:market:bank",), "unit": "bank"}
    good = {"unit": "bank", "names": ("urn:e2s:market:bank:holder",)}
    assert judged(chain(ca_with=confined, leaf_with=good), asked=None).accepted
    other = good | {"names": ("urn:e2s:market:bank2:holder",)}
    assert refused(chain(ca_with=confined, leaf_with=other), asked=None) == "name-constraint"


def test_card_ca_certifies_no_merchant(monkeypatch):
    """Not by our own linting, and one without it is not believed."""
    pki = make_pki()
    pki.operating_ca = pki.bank_ca
    with pytest.raises(Refusal, match="lint-purpose"):
        pki.issue("merchant", "urn:e2s:market:bank:volt")
    monkeypatch.setattr(lint, "check", lambda *_parts: None)
    certificate, path, _ = pki.issue("merchant", "urn:e2s:market:bank:volt")
    verdict = pki.verifier().judge(certificate, path, pki.crls(), at=START, purpose=MERCHANT, name=None)
    assert verdict.rule == "wrong-purpose"


def test_revoked_leaf_and_ca():
    top, middle, bottom = nodes = chain()
    revoked_leaf = [top.crl(), middle.crl((bottom, START - HOUR))]
    revoked_ca = [top.crl((middle, START - HOUR)), middle.crl()]
    assert refused(nodes, revoked_leaf) == "revoked"
    assert refused(nodes, revoked_ca) == "revoked"
    assert judged(nodes, revoked_ca).culprit == middle.certificate


def test_revoked_later_is_good_at_the_proven_time():
    top, middle, bottom = nodes = chain()
    before = middle.crl(at=START - DAY, until=START + HOUR)
    after = middle.crl((bottom, START), at=START, until=START + DAY)
    crls = [top.crl(at=START - DAY, until=START + DAY), before, after]
    earlier = judged(nodes, crls, at=START - HOUR)
    assert earlier.accepted
    assert earlier.crls_used == (crls[0], before)
    assert refused(nodes, crls, at=START) == "revoked"


def test_a_fresh_list_does_not_hide_a_later_one_that_revokes_before():
    top, middle, bottom = nodes = chain()
    fresh = middle.crl(at=START - HOUR)
    later = middle.crl((bottom, START - 2 * HOUR), at=START + HOUR)
    assert refused(nodes, [top.crl(), fresh, later]) == "revoked"


def test_other_serial_is_not_revoked():
    top, middle, bottom = chain()
    other = leaf(middle, "ohm")
    assert judged((top, middle, bottom), [top.crl(), middle.crl((other, START - HOUR))]).accepted


@pytest.mark.parametrize(
    ("since", "until", "accepted"),
    [
        (timedelta(0), DAY, True),
        (-DAY, timedelta(seconds=1), True),
        (-DAY, timedelta(0), False),
        (-2 * DAY, -DAY, False),
        (timedelta(seconds=120), DAY, True),
        (timedelta(seconds=121), DAY, False),
    ],
)
def test_freshness(since, until, accepted):
    top, middle, _ = nodes = chain()
    verdict = judged(nodes, [top.crl(), middle.crl(at=START + since, until=START + until)])
    assert verdict.accepted is accepted
    assert verdict.rule == ("" if accepted else "revocation-unknown")


@pytest.mark.parametrize(
    ("made", "entry", "rule"),
    [
        (HOUR, None, ""),
        (HOUR, (timedelta(minutes=30), "keyCompromise"), ""),
        (HOUR, (-HOUR, "keyCompromise"), "revoked"),
        (HOUR, (-HOUR, "certificateHold"), "revoked"),
        (-3 * DAY, None, "revocation-unknown"),
    ],
)
def test_a_later_list_tells_of_the_past_where_that_is_wanted(made, entry, rule):
    top, middle, bottom = nodes = chain()
    held = ((bottom, START + entry[0], entry[1]),) if entry else ()
    crls = [top.crl(), middle.crl(*held, at=START + made)]
    assert judged(nodes, crls).rule in {"revocation-unknown", rule} - {""}
    assert judged(nodes, crls, later=True).rule == rule


def test_a_list_from_after_the_certificate_ended_tells_nothing_of_it():
    top, middle, bottom = nodes = chain()
    ended = bottom.certificate.not_after + HOUR
    crls = [top.crl(), middle.crl(at=ended)]
    assert judged(nodes, crls, later=True).rule == "revocation-unknown"


def partial(flag):
    return x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=flag == "user",
        only_contains_ca_certs=flag == "ca",
        only_some_reasons=None,
        indirect_crl=flag == "indirect",
        only_contains_attribute_certs=False,
    )


def test_lists_that_do_not_speak():
    top, middle, _ = nodes = chain()
    above = top.crl()
    stranger = root()
    for crls in (
        [],
        [above],
        [above, b"garbage"],
        [above, middle.crl(sign_as=stranger)],
        [above, stranger.crl()],
        [above, middle.crl(names=top)],
        [above, middle.crl()[:-1]],
        [above, middle.crl(extra=((partial("ca"), True),))],
        [above, middle.crl(extra=((x509.DeltaCRLIndicator(1), True),))],
        [above, middle.crl(extra=((x509.DeltaCRLIndicator(1), False),))],
        [middle.crl()],
    ):
        assert refused(nodes, crls) == "revocation-unknown"


def test_a_list_over_users_alone_speaks_for_them():
    top, middle, _ = nodes = chain()
    assert judged(nodes, [top.crl(), middle.crl(extra=((partial("user"), True),))]).accepted


def test_ca_that_may_not_sign_lists():
    assert refused(chain(ca_with={"usage": "certify"})) == "revocation-unknown"


def test_revocation_may_be_left_out_only_by_saying_so():
    nodes = chain()
    assert judged(nodes, [], require_revocation=False).accepted
    assert not judged(nodes, []).accepted


def test_signatures_are_checked_once():
    nodes = chain()
    certificates = [node.certificate for node in nodes]
    crls = [node.crl() for node in nodes[:-1]]
    verifier = Verifier(certificates[:1])

    def judge():
        return verifier.judge(certificates[2], certificates[1:2], crls, at=START, purpose=MERCHANT, name=NAME)

    with meter.measured() as first:
        one = judge()
    with meter.measured() as second:
        two = judge()
    verifier.forget_paths()
    with meter.measured() as third:
        judge()
    assert (first["verify"], second["verify"], third["verify"]) == (4, 0, 2)
    assert one == two


def test_cached_acceptance_does_not_outlive_time_or_revocation():
    top, middle, bottom = nodes = chain()
    certificates = [node.certificate for node in nodes]
    verifier = Verifier(certificates[:1])

    def rule(crls, at=START):
        return verifier.judge(
            certificates[2], certificates[1:2], crls, at=at, purpose=MERCHANT, name=NAME
        ).rule

    above = top.crl(until=START + 9 * DAY)
    assert rule([above, middle.crl()]) == ""
    assert rule([above, middle.crl((bottom, START))]) == "revoked"
    assert rule([above, middle.crl()], at=START + 2 * DAY) == "revocation-unknown"
    assert rule([above, middle.crl()]) == ""


def test_list_without_end_is_refused():
    with pytest.raises(Refusal, match="bad-crl"):
        CrlIndex.read(b"\x30\x00")


@pytest.mark.parametrize(
    ("purpose", "usage", "good"),
    [
        (oids.EKU_EMAIL, "sign", True),
        (oids.EKU_EMAIL, "agree", True),
        (oids.EKU_SERVER, "agree", False),
        (oids.EKU_CODE, "agree", False),
    ],
)
def test_usages_that_fit_a_purpose(purpose, usage, good):
    """4.2.1.12: mail is sealed as well as signed; a server signs (RFC 8446, 4.4.2.2)."""
    nodes = [root()]
    nodes.append(leaf(nodes[0], ekus=(purpose,), usage=usage))
    verdict = Verifier([nodes[0].certificate]).judge(
        nodes[1].certificate, (), (), at=START, purpose=purpose, name=None, require_revocation=False
    )
    assert verdict.accepted == good
    assert verdict.rule == ("" if good else "wrong-purpose")


@pytest.mark.parametrize(
    ("names", "good"),
    [
        ((NAME, f"{NAME}:alice"), True),
        ((f"{NAME}:alice",), True),
        ((f"{NAME}x",), False),
        (("urn:e2s:market:other",), False),
    ],
)
def test_a_confined_ca_names_its_party_and_whom_it_has(names, good):
    top = root()
    confined = ca(top, names=(NAME,), constraints=x509.NameConstraints([x509.DNSName("volt.example")], None))
    end = leaf(confined, names=names)
    verdict = Verifier([top.certificate]).judge(
        end.certificate,
        [confined.certificate],
        (),
        at=START,
        purpose=None,
        name=None,
        require_revocation=False,
    )
    assert verdict.rule == ("" if good else "name-constraint")


@pytest.mark.parametrize(
    ("tree", "name_", "inside", "barred"),
    [
        (x509.DNSName("evil.example"), x509.DNSName("EVIL.example."), True, True),
        (x509.DNSName("a.evil.example"), x509.DNSName("*.evil.example"), False, True),
        (x509.DNSName("a.evil.example"), x509.DNSName("*.good.example"), False, False),
        (
            x509.UniformResourceIdentifier("evil.example"),
            x509.UniformResourceIdentifier("http://Evil.example./x"),
            True,
            True,
        ),
        (x509.RFC822Name("ann@evil.example"), x509.RFC822Name("ann@EVIL.example"), True, True),
        (x509.RFC822Name("ann@evil.example"), x509.RFC822Name("Ann@evil.example"), False, True),
        (x509.RFC822Name("evil.example"), x509.RFC822Name("Ann@evil.example"), True, True),
    ],
)
def test_names_that_say_the_same_in_other_letters(tree, name_, inside, barred):
    """7.2, 7.4, 7.5: what is barred stays barred however it is written; what is permitted is just that."""
    end = {"names": (), "extra": ((x509.SubjectAlternativeName([name_]), False),)}
    for constraints, good in (
        (x509.NameConstraints([tree], None), inside),
        (x509.NameConstraints(None, [tree]), not barred),
    ):
        nodes = chain(ca_with={"constraints": constraints}, leaf_with=end)
        assert judged(nodes, asked=None).rule == ("" if good else "name-constraint")


def test_directory_names_that_say_the_same():
    """7.1: in other letters and with other spaces, and so barred, or permitted."""
    tree = x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, " MARKET ")]))
    for constraints, rule in (
        (x509.NameConstraints([tree], None), ""),
        (x509.NameConstraints(None, [tree]), "name-constraint"),
    ):
        assert judged(chain(ca_with={"constraints": constraints}), asked=None).rule == rule
