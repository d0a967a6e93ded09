"""``e2s suites``: what is permitted where and why, for people on 80 columns and for programs."""

from __future__ import annotations

import json

import pytest

from e2s.cli.main import main
from e2s.crypto import suites

AT = ("--at", "2026-11-24T12:00:00Z")
OWN_ROWS = """
[[document]]
name = "Our bank's rules"
edition = "2026"
locations = ["DE"]
row = [
  { use = ["confidentiality"], mechanism = "ecdh+ml-kem", status = "forbidden", clause = "7" },
]
"""


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(("suites", *arguments))
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def test_without_a_place_the_documents_are_named(capsys):
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    assert "BSI TR-02102-1, 2026-01 (23 January 2026)\n    DE\n" in out
    assert "    everywhere else\n" in out
    status, out, _ = run(capsys, "--json")
    assert status == 0
    named = json.loads(out)["documents"]
    assert {"name": "CNSSP 15 (CNSA 1.0)", "edition": "October 2016", "locations": ["US-NSS"]} in named


def test_one_place(capsys):
    status, out, err = run(capsys, "--location", "DE", *AT)
    assert (status, err) == (0, "")
    assert out.startswith("DE\nas of 2026-11-24T12:00:00Z, strongest first\n")
    assert "  p384-hkdf-sha384-aes256gcm             permitted   2031-12-31 2,3,4\n" in out
    assert "  not named by any document for DE: x25519+ml-kem-768, x25519\n" in out
    assert "  RSA keys have at least 3072 bits\n" in out
    assert "[3] BSI TR-02102-1, 2026-01 (23 January 2026): 2.1 (the end of 2031); 2.3\n" in out


def test_two_places_and_what_is_taken(capsys):
    status, out, _ = run(capsys, "--location", "DE", "--with", "US-NSS", *AT)
    assert status == 0
    assert [line.split()[1] for line in out.splitlines() if line.startswith("> ")] == [
        "p384-sha384",
        "ecdh-p384-aes256gcm",
        "p384-ml-kem-1024-hkdf-sha384-aes256gcm",
    ]
    assert "  not ecdh-256 for confidentiality at US-NSS: at least 384 (CNSSP 15" in out


def test_one_document_says_the_same_to_a_program(capsys):
    status, out, _ = run(capsys, "--location", "FR", "--with", "US", *AT, "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["location"], found["with"], found["at"]) == ("FR", "US", "2026-11-24T12:00:00Z")
    assert found["rsa-bits"] == {"signature": 3072, "sealing": 3072, "session": 3072}
    session = found["session"]
    assert session["taken"] == session["permitted"][0]["suite"] == "p384-ml-kem-1024-hkdf-sha384-aes256gcm"
    p384 = next(one for one in session["permitted"] if one["suite"] == "p384-hkdf-sha384-aes256gcm")
    assert p384["until"] == "2035-12-31"
    assert len(p384["sources"]) == 6
    assert {one["suite"] for one in session["barred"]} == {"x25519-hkdf-sha256-aes256gcm"}
    assert found["signature"]["by-name"] == ["rsa3072-pkcs1-sha256"]


def test_places_that_agree_on_nothing_end_with_1_and_the_reason(capsys):
    later = ("--location", "DE", "--with", "US-NSS", "--at", "2033-01-01T00:00:00Z")
    status, out, err = run(capsys, *later)
    assert status == 1
    assert out.count("  none\n") == 2
    assert err.startswith(
        "refused: suite-not-permitted: no signature suite is permitted at DE and US-NSS: ecdsa"
    )
    assert "not after 2031-12-31 (CNSSP 15" in err
    status, out, err = run(capsys, *later, "--json")
    assert status == 1
    assert json.loads(out)["signature"]["taken"] is None
    assert json.loads(out)["rsa-bits"]["sealing"] is None
    assert json.loads(err)["facts"] == {"kind": "signature", "here": "DE", "there": "US-NSS"}


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--location", "Germany"), "bad-location"),
        (("--with", "d"), "bad-location"),
        (("--location", "DE", "--at", "tomorrow"), "bad-instant"),
        (("--location", "DE", "--rows", "nosuch.toml"), "no-suite-table"),
    ],
)
def test_what_is_mistyped_is_misuse(capsys, arguments, rule):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"misused: {rule}: ")


def test_a_communitys_own_rows(capsys, tmp_path):
    file = tmp_path / "suites.toml"
    file.write_text(OWN_ROWS)
    status, out, _ = run(capsys, "--location", "DE", *AT, "--rows", str(file))
    assert status == 0
    assert "  not ecdh+ml-kem-1024 for confidentiality at DE: forbidden (Our bank's rules," in out
    file.write_text("nonsense")
    status, out, err = run(capsys, "--location", "DE", "--rows", str(file))
    assert (status, out) == (1, "")
    assert err.startswith("refused: bad-suite-table: ")


@pytest.mark.parametrize("there", ["FR", "IT", "US", "US-NSS", "JP"])
def test_every_answer_fits_in_80_columns(capsys, there):
    assert there == "JP" or there in suites.table().locations
    for here in ("DE", "US"):
        _, out, _ = run(capsys, "--location", here, "--with", there, *AT)
        assert max(len(line) for line in out.splitlines()) <= 80
