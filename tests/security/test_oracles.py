"""Two that we did not write judge the same paths: OpenSSL with all CRLs, and cryptography's own verifier."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import verification
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.crypto import oids
from e2s.security.verification.verifier import Verifier
from tests.security.forge import ca, leaf, root
from tests.worlds.pki import START, make_pki

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
VOLT = x509.NameConstraints([x509.DNSName("volt.example")], None)
OHM = x509.NameConstraints(None, [x509.DNSName("volt.example")])
UNKNOWN = ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)
SERVER: dict[str, Any] = {"ekus": (oids.EKU_SERVER,), "names": ("volt.example",)}

#: What may be the matter with the CA, the end entity, and the CA's list.
CA_FAULTS: dict[str, dict[str, Any]] = {
    "good": {},
    "expired": {"not_after": START - HOUR},
    "future": {"not_before": START + HOUR},
    "no CA": {"ca": False},
    "no certifying": {"usage": "list"},
    "no listing": {"usage": "certify"},
    "path length": {"path_length": 0},
    "permitted": {"constraints": VOLT},
    "excluded": {"constraints": OHM},
    "unknown": {"extra": UNKNOWN},
}
LEAF_FAULTS: dict[str, dict[str, Any]] = {
    "good": {},
    "expired": {"not_after": START - HOUR},
    "future": {"not_before": START + HOUR},
    "unknown": {"extra": UNKNOWN},
    "forged": {"sign_as": root()},
}
LISTS = {
    "good": lambda node, _: node.crl(),
    "revoked": lambda node, other: node.crl((other, START - HOUR)),
    "stale": lambda node, _: node.crl(at=START - 2 * DAY),
    "missing": lambda _node, _other: None,
    "forged": lambda node, _: node.crl(sign_as=root()),
}


def world(ca_fault, leaf_fault, lists, *, long):
    """Certificates from the root down and the lists above each, with the faults asked for."""
    nodes = [root()]
    nodes.append(ca(nodes[0], **CA_FAULTS[ca_fault]))
    if long:
        nodes.append(ca(nodes[1], "lower"))
    nodes.append(leaf(nodes[-1], **SERVER, **LEAF_FAULTS[leaf_fault]))
    kinds = [*lists, "good"][: len(nodes) - 1]
    crls = [LISTS[kind](node, nodes[i + 1]) for i, (kind, node) in enumerate(zip(kinds, nodes, strict=False))]
    return nodes, [crl for crl in crls if crl]


def ours(nodes, crls, **more):
    certificates = [node.certificate for node in nodes]
    return Verifier(certificates[:1]).judge(
        certificates[-1],
        certificates[1:-1],
        crls,
        at=START,
        purpose=oids.EKU_SERVER,
        name="volt.example",
        **more,
    )


def openssl_accepts(folder, nodes, crls):
    def pem(file, certificates, lists=()):
        texts = [c.certificate.pem for c in certificates]
        texts += [x509.load_der_x509_crl(crl).public_bytes(serialization_pem()) for crl in lists]
        (folder / file).write_bytes(b"".join(texts))

    pem("root.pem", nodes[:1])
    pem("untrusted.pem", nodes[1:-1])
    pem("crls.pem", [], crls)
    pem("leaf.pem", nodes[-1:])
    done = subprocess.run(
        [
            *("openssl", "verify", "-crl_check_all", "-x509_strict", "-attime", str(int(START.timestamp()))),
            *("-purpose", "sslserver", "-CAfile", "root.pem", "-untrusted", "untrusted.pem"),
            *(("-CRLfile", "crls.pem") if crls else ()),
            *("-verify_hostname", "volt.example", "leaf.pem"),
        ],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def serialization_pem():
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.PEM


def cases():
    """Each fault alone, then with its neighbours."""
    for fault in CA_FAULTS:
        yield fault, "good", ("good", "good")
    for fault in LEAF_FAULTS:
        yield "good", fault, ("good", "good")
    for kind in LISTS:
        yield "good", "good", (kind, "good")
        yield "good", "good", ("good", kind)


@pytest.mark.tool
@pytest.mark.parametrize("long", [False, True])
def test_openssl_agrees(tmp_path, long):
    accepted = 0
    for case in cases():
        nodes, crls = world(*case, long=long)
        verdict = ours(nodes, crls)
        assert verdict.accepted == openssl_accepts(tmp_path, nodes, crls), (case, verdict.rule)
        accepted += verdict.accepted
    assert 4 <= accepted < len(list(cases())) - 10


@pytest.mark.tool
@settings(max_examples=40)
@given(
    st.sampled_from(sorted(CA_FAULTS)),
    st.sampled_from(sorted(LEAF_FAULTS)),
    st.tuples(st.sampled_from(sorted(LISTS)), st.sampled_from(sorted(LISTS))),
    st.booleans(),
)
def test_openssl_agrees_about_mixtures(tmp_path_factory, ca_fault, leaf_fault, lists, long):
    nodes, crls = world(ca_fault, leaf_fault, lists, long=long)
    theirs = openssl_accepts(tmp_path_factory.getbasetemp(), nodes, crls)
    assert ours(nodes, crls).accepted == theirs


@pytest.mark.tool
@pytest.mark.parametrize("suite", ["p256-sha256", "p384-sha384", "rsa3072-pss-sha256"])
def test_openssl_accepts_what_we_certify(tmp_path, suite):
    pki = make_pki(suite=suite)
    names = {"card-holder": "urn:e2s:market:bank:h", "tls-server": "localhost"}
    crls = [x509.load_der_x509_crl(crl) for crl in pki.crls()]
    (tmp_path / "crls.pem").write_bytes(b"".join(crl.public_bytes(serialization_pem()) for crl in crls))
    (tmp_path / "root.pem").write_bytes(pki.root.pem)
    (tmp_path / "cas.pem").write_bytes(pki.operating.pem + pki.card_ca.pem)
    purposes = {
        "tls-server": "sslserver",
        "tsa": "timestampsign",
        "merchant": "smimesign",
        "card-holder": "smimesign",
    }
    for kind in ("merchant", "card-holder", "gateway-agreement", "tls-server", "tsa", "component"):
        certificate, _, _ = pki.issue(kind, names.get(kind, "urn:e2s:market:volt"))
        (tmp_path / "leaf.pem").write_bytes(certificate.pem)
        done = subprocess.run(
            [
                *("openssl", "verify", "-crl_check_all", "-x509_strict", "-CAfile", "root.pem"),
                *("-attime", str(int(START.timestamp())), "-untrusted", "cas.pem", "-CRLfile", "crls.pem"),
                *(("-purpose", purposes[kind]) if kind in purposes else ()),
                "leaf.pem",
            ],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (kind, done.stderr)


def their_verdict(nodes):
    """cryptography's verifier for TLS servers; it knows neither CRLs nor other purposes."""
    store = verification.Store([nodes[0].certificate.x509])
    verifier = (
        verification.PolicyBuilder()
        .store(store)
        .time(START)
        .build_server_verifier(x509.DNSName("volt.example"))
    )
    try:
        return verifier.verify(nodes[-1].certificate.x509, [node.certificate.x509 for node in nodes[1:-1]])
    except verification.VerificationError:
        return None


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("leaf_fault", sorted(LEAF_FAULTS))
@pytest.mark.parametrize("ca_fault", sorted(set(CA_FAULTS) - {"no listing"}))
def test_cryptography_agrees(ca_fault, leaf_fault, long):
    nodes, _ = world(ca_fault, leaf_fault, ("good", "good"), long=long)
    path = their_verdict(nodes)
    verdict = ours(nodes, (), require_revocation=False)
    assert verdict.accepted == (path is not None), verdict.rule
    if path:
        assert [c.x509 for c in verdict.path] == path
