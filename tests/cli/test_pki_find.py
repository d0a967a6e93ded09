"""``e2s pki find`` against a served repository."""

from __future__ import annotations

import json

import pytest

from e2s.cli.main import main
from e2s.network.sessions.server import Served
from tests.security.test_lookup import ANNA, FRONT, LIST, PKI, Site


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    with Served(Site(tmp_path_factory.mktemp("site")).door.handle) as served:
        yield served.origin


def status(*words):
    with pytest.raises(SystemExit) as ended:
        main(["pki", "find", *map(str, words)])
    return ended.value.code


def test_certificates_are_found_and_written(origin, tmp_path, capsys):
    out = tmp_path / "anna.pem"
    assert status(origin, "name=anna", "--out", out, "--json") == 0
    found = json.loads(capsys.readouterr().out)["found"]
    assert [one["id"] for one in found][1] == ANNA.id
    assert out.read_bytes().count(b"BEGIN CERTIFICATE") == 2
    (tmp_path / "front.pem").write_bytes(FRONT.pem)
    for attribute in ("certHash", "iAndSHash", "sHash", "sKIDHash"):
        assert status(origin, f"{attribute}=@{tmp_path / 'front.pem'}") == 0
        assert FRONT.id in capsys.readouterr().out


def test_lists_are_found_by_their_issuer(origin, tmp_path, capsys):
    (tmp_path / "front.pem").write_bytes(FRONT.pem)
    out = tmp_path / "ca.crl"
    assert status(origin, f"iHash=@{tmp_path / 'front.pem'}", "--lists", "--out", out) == 0
    assert "complete" in capsys.readouterr().out
    assert status("--lists", origin, f"sKIDHash=@{tmp_path / 'front.pem'}") == 1
    assert "nothing found" in capsys.readouterr().out
    main_status = [
        "pki",
        "verify",
        "--trust",
        str(tmp_path / "root.pem"),
        "--untrusted",
        str(tmp_path / "o.pem"),
    ]
    (tmp_path / "root.pem").write_bytes(PKI.root.pem)
    (tmp_path / "o.pem").write_bytes(PKI.operating.pem)
    with pytest.raises(SystemExit) as ended:
        main([*main_status, "--crl", str(out), "--at", "2026-03-02T09:00:00Z", str(tmp_path / "front.pem")])
    assert ended.value.code == 0, LIST


@pytest.mark.parametrize(
    ("query", "code"), [("anna", 2), ("serial=1", 2), ("name=", 2), ("certHash=x", 1), ("name=nobody", 1)]
)
def test_what_cannot_be_asked(origin, query, code):
    assert status(origin, query) == code
