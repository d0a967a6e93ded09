"""``e2s ca`` from nothing to a certificate in three commands; OpenSSL judges what it makes."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess

import pytest

from e2s.cli.main import main


class Desk:
    """The command line in a folder of its own."""

    def __init__(self, capsys):
        self._capsys = capsys

    def run(self, *arguments, status=0):
        """What the command printed; its status is as expected."""
        with pytest.raises(SystemExit) as ended:
            main(["ca", *map(str, arguments)])
        found = ended.value.code or 0
        out, err = self._capsys.readouterr()
        assert found == status, out + err
        return out + err

    def told(self, *arguments):
        return json.loads(self.run(*arguments, "--json"))

    def refused(self, *arguments, status=1):
        return json.loads(self.run(*arguments, "--json", status=status))["rule"]


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    return Desk(capsys)


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    """A root and a CA beneath it, made once by the commands and copied for each test."""
    folder = tmp_path_factory.mktemp("founded")
    with contextlib.chdir(folder):
        for arguments in (
            ("root", "root", "--name", "market", "--phrase-file", "root.phrase"),
            ("create", "ca", "--root", "root", *OPEN_ROOT, *OPEN),
        ):
            with pytest.raises(SystemExit) as ended:
                main(["ca", *arguments])
            assert not ended.value.code
    return folder


@pytest.fixture
def centre(desk, founded, tmp_path):
    shutil.copytree(founded, tmp_path, dirs_exist_ok=True)
    return desk


OPEN = ("--phrase-file", "ca.phrase")
OPEN_ROOT = ("--root-phrase-file", "root.phrase")
SHOP = ("issue", "ca", "--profile", "tls-server", "--name", "shop.example", *OPEN)


def openssl(*arguments, status=0):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def verified(centre, file, *, status=0):
    """What ``openssl verify`` says with both lists, which are made anew."""
    centre.run("crl", "ca", "--pem", "--out", "ca.crl", *OPEN)
    centre.run("crl", "root", "--pem", "--out", "root.crl", "--phrase-file", "root.phrase")
    lists = ("-CRLfile", "ca.crl", "-CRLfile", "root.crl")
    trust = ("-CAfile", "root/root.pem", "-untrusted", "ca/ca.pem", *lists)
    how = ("-crl_check_all", "-x509_strict", "-purpose", "sslserver")
    return openssl("verify", *how, *trust, file, status=status)


def test_three_commands_make_a_server_certificate(centre):
    made = centre.told(*SHOP)
    assert made["names"] == ["shop.example"]
    assert verified(centre, "shop.example.pem").endswith("OK\n")
    pair = openssl("x509", "-in", "shop.example.pem", "-noout", "-pubkey")
    assert openssl("pkey", "-in", "shop.example.key", "-pubout") == pair


def test_a_request_is_certified_for_what_the_officer_says(centre):
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k.pem",
            "-out", "r.pem", "-subj", "/CN=evil.example")  # fmt: skip
    made = centre.told(*SHOP, "--request", "r.pem", "--days", "30", "--confidence", "high")
    assert (made["names"], made["key"]) == (["shop.example"], None)
    assert verified(centre, "shop.example.pem").endswith("OK\n")
    assert "evil" not in openssl("x509", "-in", "shop.example.pem", "-noout", "-text")


def test_a_made_request_is_one(desk):
    desk.run("request", "--name", "shop.example")
    assert "verify OK" in openssl("req", "-in", "shop.example.p10", "-verify", "-noout")


def test_what_is_revoked_openssl_refuses(centre):
    centre.run(*SHOP)
    told = centre.told("revoke", "ca", "shop.example.pem", "--reason", "keyCompromise", "--yes", *OPEN)
    assert told["act"] == "revoked"
    assert "certificate revoked" in verified(centre, "shop.example.pem", status=2)
    assert centre.refused("revoke", "ca", "shop.example.pem", "--yes", *OPEN) == "already-revoked"
    (listed,) = centre.told("list", "ca", "--state", "revoked")
    assert (listed["reason"], listed["profile"]) == ("keyCompromise", "tls-server")


def test_a_hold_ends(centre):
    serial = centre.told(*SHOP)["serial"]
    centre.run("hold", "ca", serial[:8], *OPEN)
    assert "certificate revoked" in verified(centre, "shop.example.pem", status=2)
    assert centre.told("show", "ca", serial[:8])["state"] == "held"
    centre.run("release", "ca", serial, *OPEN)
    assert verified(centre, "shop.example.pem").endswith("OK\n")


def test_a_revoked_ca_is_worth_nothing(centre):
    centre.run(*SHOP)
    centre.run(
        "revoke", "root", "ca/ca.pem", "--reason", "cACompromise", "--yes", "--phrase-file", "root.phrase"
    )
    assert "certificate revoked" in verified(centre, "shop.example.pem", status=2)


def test_a_dry_run_and_a_no_change_nothing(centre, monkeypatch):
    centre.run(*SHOP)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    centre.run("revoke", "ca", "shop.example.pem", "--dry-run", *OPEN)
    centre.run("revoke", "ca", "shop.example.pem", *OPEN, status=1)  # nobody answers
    assert [one["state"] for one in centre.told("list", "ca")] == ["good"]


def test_renewed_for_the_same_key(centre):
    old = centre.told(*SHOP)
    new = centre.told("renew", "ca", "shop.example.pem", "--out", "new.pem", *OPEN)
    assert (new["names"], new["serial"] != old["serial"]) == (old["names"], True)
    assert verified(centre, "new.pem").endswith("OK\n")
    assert openssl("x509", "-in", "new.pem", "-noout", "-pubkey") == openssl(
        "x509", "-in", "shop.example.pem", "-noout", "-pubkey"
    )
    centre.run("revoke", "ca", "new.pem", "--yes", *OPEN)
    assert centre.refused("renew", "ca", "new.pem", *OPEN) == "revoked"


@pytest.mark.parametrize(
    ("arguments", "rule", "status"),
    [
        (
            ("issue", "ca", "--profile", "operating-ca", "--name", "urn:e2s:market:b", *OPEN),
            "wrong-profile",
            1,
        ),
        (("issue", "ca", "--profile", "nosuch", "--name", "a.example", *OPEN), "no-such-profile", 2),
        ((*SHOP, "--officer", "urn:e2s:market:eve"), "not-authorised", 1),
        ((*SHOP, "--days", "3", "--until", "2030-01-01T00:00:00Z"), "two-ends", 2),
        ((*SHOP, "--until", "soon"), "bad-instant", 2),
        (("issue", "ca", "--profile", "merchant", "--name", "urn:e2s:other:volt", *OPEN), "foreign-name", 1),
        (("revoke", "ca", "abcdef", "--yes", *OPEN), "no-such-certificate", 2),
        (("hold", "root", "abcdef", "--phrase-file", "root.phrase"), "root-offline", 2),
        (("create", "ca", "--root", "root", *OPEN_ROOT, *OPEN), "ca-exists", 2),
        (("create", "ca2", "--root", "ca", "--root-phrase-file", "ca.phrase", *OPEN), "not-the-root", 2),
        (("root", "root", "--name", "other", "--phrase-file", "root.phrase"), "root-exists", 2),
        (("create", "t", "--root", "root", "--token", "x", *OPEN_ROOT, *OPEN), "half-a-token", 2),
        (("list", "nowhere"), "no-ca", 2),
        (("crl", "ca", "--delta", *OPEN), "no-such-list", 2),
        (("record", "root", "9"), "no-such-record", 2),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_refused(centre, tmp_path, arguments, rule, status):
    assert centre.refused(*arguments, status=status) == rule
    assert not list(tmp_path.glob("*.key"))


def test_a_wrong_pass_phrase_opens_nothing(centre, tmp_path):
    (tmp_path / "guess").touch(mode=0o600)
    (tmp_path / "guess").write_text("guess\n")
    assert centre.refused(*SHOP[:-1], "guess") == "wrong-pass-phrase"


def test_no_file_is_overwritten(centre, tmp_path):
    (tmp_path / "shop.example.key").write_text("precious")
    assert centre.refused(*SHOP, status=2) == "file-exists"
    assert (tmp_path / "shop.example.key").read_text() == "precious"


def test_the_record_fits_a_screen(centre):
    printed = centre.run("record", "root")
    assert all(len(line) <= 80 for line in printed.splitlines())
    records = centre.told("record", "root")
    assert [one["act"] for one in records] == ["founding", "certifying"]
    assert records[1]["previous"] == records[0]["digest"]
    assert records[1]["software"].startswith("e2s ")
    assert centre.told("record", "ca") == records


def test_profiles_and_key_are_told(centre):
    assert {"tls-server", "officer", "root"} <= {one["name"] for one in centre.told("profiles")}
    assert "tls-server" in centre.run("profiles")
    assert centre.told("key", "ca")["kind"] == "sealed-file"
    shown = centre.told("show", "ca")
    assert (shown["kind"], shown["component"], shown["record"]) == ("operating-ca", "ca", 2)


def test_lint_judges_files(centre):
    centre.run(*SHOP)
    assert centre.told("lint", "shop.example.pem", "--profile", "tls-server", "--issuer", "ca/ca.pem")["good"]
    assert "lint-profile" in centre.run("lint", "shop.example.pem", "--profile", "merchant", status=1)
    openssl(
        "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "k.pem", "-out", "w.pem", "-subj", "/CN=w"
    )
    findings = json.loads(centre.run("lint", "w.pem", "--json", status=1))["findings"]
    assert any("key" in one["rule"] for one in findings)
