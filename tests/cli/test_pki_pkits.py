"""NIST's cases as a judge puts them to ``e2s pki verify``: files in DER or PEM, status and JSON out."""

from __future__ import annotations

import json
import ssl

import pytest

from tests.cli.test_pki import ended
from tests.security.test_pkits import CASES, DSA, NOTICES, ROOT, octets

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")


def armoured(name, found):
    if name.startswith("certs/"):
        return ssl.DER_cert_to_PEM_cert(found).encode()
    return ssl.DER_cert_to_PEM_cert(found).replace("CERTIFICATE", "X509 CRL").encode()


@pytest.fixture(scope="module", params=["DER", "PEM"])
def words_of(request, tmp_path_factory):
    """Gives the words of the command for a case; each file is written once."""
    folder = tmp_path_factory.mktemp("pkits")

    def file(name):
        path = folder / name.replace("/", "-")
        if not path.exists():
            found = octets(name)
            path.write_bytes(found if request.param == "DER" else armoured(name, found))
        return str(path)

    def words(case):
        yield from ("pki", "verify", "--json", "--require-revocation", "--at", "2022-05-01T00:00:00Z")
        yield from ("--trust", file(f"certs/{ROOT}.crt"))
        for name in case["above"]:
            yield from ("--untrusted", file(f"certs/{name}.crt"))
        for name in ("TrustAnchorRootCRL", *case["lists"]):
            yield from ("--crl", file(f"crls/{name}.crl"))
        for policy in case.get("policies", []):
            yield from ("--policy", policy)
        for flag, word in FLAGS.items():
            if case.get(flag):
                yield word
        yield file(f"certs/{case['certificate']}.crt")

    return words


FLAGS = {
    "explicit": "--explicit-policy",
    "inhibit_any": "--inhibit-any",
    "inhibit_mapping": "--inhibit-mapping",
}


def test_every_case(words_of, capsys):
    wrong = []
    for case in CASES:
        status = ended(list(words_of(case)))
        found = json.loads(capsys.readouterr().out)
        assert found.keys() >= {"accepted", "reason", "rule", "path", "policies"}
        legacy = any("SP 800-131A" in note for note in found.get("notes", ()))
        assert legacy == (case["case"] in DSA)
        if not found["accepted"] == case["accepted"] == (status == 0):
            wrong.append((case["case"], status, found))
    assert not wrong


def test_every_notice(words_of, capsys):
    for case in NOTICES:
        words = list(words_of(case))
        assert ended(words) == 0
        (notice,) = json.loads(capsys.readouterr().out)["notices"]
        assert (notice.get("text"), notice.get("statement")) == (case.get("notice"), case.get("statement"))
        words.remove("--json")
        assert ended(words) == 0
        assert (case.get("notice") or case["statement"]) in capsys.readouterr().out


@pytest.mark.parametrize("number", sorted(DSA))
def test_what_is_old_is_refused_for_any_use(words_of, capsys, number):
    (case,) = (one for one in CASES if one["case"] == number)
    words = list(words_of(case))
    words[2:2] = ["--purpose", "email"]
    assert ended(words) == 1
    assert json.loads(capsys.readouterr().out)["rule"] == "bad-certificate"
