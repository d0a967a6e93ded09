"""``e2s pki verify``: the verifier at the command line, told to people and to programs."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from e2s.cli.main import main
from e2s.crypto.pem import armoured
from tests.security.forge import NAME, ca, leaf, root
from tests.security.test_ocsp_answers import REVOKED, answer
from tests.security.test_pkits import CASES, octets
from tests.worlds.pki import START

AT = START.isoformat().replace("+00:00", "Z")


@pytest.fixture
def files(tmp_path):
    """A root, its CA, an end entity, their lists and an OCSP answer, as files; and a function that runs the command."""
    top = root()
    middle = ca(top)
    end = leaf(middle)
    for name, node in (("root", top), ("ca", middle), ("end", end)):
        (tmp_path / f"{name}.pem").write_bytes(node.certificate.pem)
        (tmp_path / f"{name}.der").write_bytes(node.certificate.der)
    (tmp_path / "root.crl").write_bytes(top.crl())
    (tmp_path / "ca.crl").write_bytes(middle.crl())
    (tmp_path / "revoked.crl").write_bytes(middle.crl((end, START - timedelta(hours=1))))
    (tmp_path / "good.ocsp").write_bytes(answer(end, middle))
    (tmp_path / "revoked.ocsp").write_bytes(answer(end, middle, status=REVOKED))
    return tmp_path


def ended(words):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    return exit_.value.code


@pytest.fixture
def verify(files, capsys, monkeypatch):
    monkeypatch.chdir(files)

    def run(*words):
        status = ended(["pki", "verify", "--at", AT, *words])
        return status, capsys.readouterr()

    return run


TRUST = ("--trust", "root.pem", "--untrusted", "ca.pem")
LISTS = ("--crl", "root.crl", "--crl", "ca.crl")


def test_accepted(verify):
    status, said = verify(*TRUST, *LISTS, "--require-revocation", "--name", NAME, "end.der")
    assert status == 0
    assert said.out.splitlines()[0] == "accepted: every check passed"
    status, said = verify(*TRUST, "--json", "end.pem")
    found = json.loads(said.out)
    assert status == 0
    assert found == {
        "accepted": True,
        "reason": "every check passed",
        "rule": "",
        "path": found["path"],
        "policies": [],
    }
    assert found["path"][0] == NAME
    assert len(found["path"]) == 3


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("end.pem",), "unknown-root"),
        (("--trust", "root.pem", "end.pem"), "unknown-root"),
        ((*TRUST, "--require-revocation", "end.pem"), "revocation-unknown"),
        ((*TRUST, "--crl", "revoked.crl", "end.pem"), "revoked"),
        ((*TRUST, "--ocsp", "revoked.ocsp", "end.pem"), "revoked"),
        ((*TRUST, "--name", "other.example", "end.pem"), "wrong-name"),
        ((*TRUST, "--purpose", "code", "end.pem"), "wrong-purpose"),
        ((*TRUST, "--explicit-policy", "end.pem"), "policy-required"),
        ((*TRUST, "--at", "2036-01-01T00:00:00+01:00", "end.pem"), "expired"),
    ],
)
def test_refused(verify, words, rule):
    status, said = verify("--json", *words)
    found = json.loads(said.out)
    assert status == 1
    assert found["rule"] == rule
    assert not found["accepted"]
    status, said = verify(*words)
    assert status == 1
    assert said.out.startswith(f"refused ({rule}): ")
    assert max(map(len, said.out.splitlines())) <= 100


def test_an_ocsp_answer_suffices(verify):
    assert (
        verify(*TRUST, "--crl", "root.crl", "--ocsp", "good.ocsp", "--require-revocation", "end.pem")[0] == 0
    )


@pytest.mark.parametrize(
    "words",
    [
        (*TRUST, "--at", "yesterday", "end.pem"),
        (*TRUST, "--at", "2026-03-02T09:00:00", "end.pem"),
        (*TRUST, "--purpose", "everything", "end.pem"),
        (*TRUST, "missing.pem"),
        (*TRUST,),
    ],
)
def test_misused(verify, words):
    status, said = verify(*words)
    assert status == 2
    assert said.err


@pytest.mark.parametrize("number", ["4.8.1-3", "4.9.2", "4.10.1-1", "4.14.24", "4.15.3"])
def test_cases_of_pkits(tmp_path, capsys, number):
    case = next(one for one in CASES if one["case"] == number)
    words = ["pki", "verify", "--json", "--require-revocation", "--at", "2022-05-01T00:00:00Z"]
    for flag, folder, ending, names in (
        ("--trust", "certs", "crt", ["TrustAnchorRootCertificate"]),
        ("--untrusted", "certs", "crt", case["above"]),
        ("--crl", "crls", "crl", ["TrustAnchorRootCRL", *case["lists"]]),
        ("", "certs", "crt", [case["certificate"]]),
    ):
        for name in names:
            path = tmp_path / f"{name}.{ending}"
            path.write_bytes(octets(f"{folder}/{path.name}"))
            words += [flag, str(path)] if flag else [str(path)]
    for policy in case.get("policies", []):
        words += ["--policy", policy]
    for flag in ("explicit", "inhibit_any", "inhibit_mapping"):
        if case.get(flag):
            words.append({"explicit": "--explicit-policy"}.get(flag, "--" + flag.replace("_", "-")))
    assert ended(words) == (0 if case["accepted"] else 1)
    assert json.loads(capsys.readouterr().out)["accepted"] == case["accepted"]


def test_a_bundle_of_roots_some_of_which_cannot_be_read(files, verify):
    """Widely trusted roots have the serial number zero; such a root is none, and the others stand."""
    pem = (files / "root.pem").read_bytes()
    zero = b"-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n"
    (files / "bundle.pem").write_bytes(zero + pem + zero)
    status, said = verify("--trust", "bundle.pem", "--untrusted", "ca.pem", "--json", "end.pem")
    (note,) = json.loads(said.out)["notes"]
    assert (status, note.split()[0]) == (0, "2")
    (files / "bundle.pem").write_bytes(zero * 2)
    status, said = verify("--trust", "bundle.pem", "--json", "end.pem")
    assert (status, json.loads(said.out)["rule"]) == (1, "bad-certificate")
    (files / "bundle.pem").write_bytes(pem * 1025)
    assert verify("--trust", "bundle.pem", "--json", "end.pem")[0] == 1


def test_lists_of_one_file_all_count(files, verify):
    """As of OpenSSL's -CRLfile: several in PEM, behind each other."""
    blocks = [armoured((files / name).read_bytes(), b"X509 CRL") for name in ("root.crl", "revoked.crl")]
    (files / "all.pem").write_bytes(b"".join(blocks))
    status, said = verify(*TRUST, "--crl", "all.pem", "--json", "end.pem")
    assert (status, json.loads(said.out)["rule"]) == (1, "revoked")
    (files / "mixed.pem").write_bytes(blocks[0] + (files / "root.pem").read_bytes())
    status, said = verify(*TRUST, "--crl", "mixed.pem", "--json", "end.pem")
    assert (status, json.loads(said.out)["rule"]) == (1, "bad-crl")


def test_lists_and_answers_that_cannot_be_read_are_told(files, verify):
    (files / "garbage").write_bytes(b"\x30\x03\x02\x01\x01")
    for flag, rule in (("--crl", "bad-crl"), ("--ocsp", "bad-ocsp")):
        status, said = verify(*TRUST, flag, "garbage", "end.pem")
        assert status == 0
        assert "note: garbage counts for nothing: " in said.out
        assert f"({rule})" in said.out
        status, said = verify(*TRUST, flag, "garbage", "--require-revocation", "--json", "end.pem")
        assert (status, json.loads(said.out)["rule"]) == (1, "revocation-unknown")


def test_what_cannot_be_read_is_refused_in_the_same_shape(files, verify):
    (files / "bad.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for words in (("--trust", "root.pem", "bad.pem"), ("--trust", "bad.pem", "end.pem")):
        status, said = verify("--json", *words)
        found = json.loads(said.out)
        assert (status, found["accepted"], found["rule"], found["path"]) == (1, False, "bad-certificate", [])
