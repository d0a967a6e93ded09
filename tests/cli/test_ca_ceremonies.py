"""``e2s ca`` where it is dangerous: officers, lost keys, other communities, and what it gives to others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from e2s.base.http import Request
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.network.sessions.client import HttpExchange
from e2s.security.verification.fetching import certificate_path, crl_path
from tests.cli.test_ca import OPEN, OPEN_ROOT, SHOP, centre, desk, founded, openssl  # noqa: F401 - fixtures
from tests.security.test_recovery import snapshot
from tests.worlds.token import LABEL, MODULE, PIN, tokens  # noqa: F401 - fixture

ROOT_PHRASE = ("--phrase-file", "root.phrase")
OLGA = "urn:e2s:market:authority:olga"


def by_officer(who, *right):
    return (
        "officers",
        "root",
        "--give",
        who,
        *(part for one in right for part in ("--right", one)),
        *ROOT_PHRASE,
    )


def test_an_officer_is_named_and_acts_and_is_withdrawn(centre):  # noqa: F811
    as_olga = (*SHOP, "--officer", OLGA)
    assert centre.refused(*as_olga) == "not-authorised"
    centre.run(*by_officer(OLGA, "certify"), "--at", "ca", "--tell", "ca", "--yes")
    assert centre.told(*as_olga)["names"] == ["shop.example"]
    rights = [(one["officer"], one["at"]) for one in centre.told("officers", "ca")]
    assert (OLGA, "ca") in rights
    centre.run(
        "officers", "root", "--withdraw", OLGA, "--at", "ca", "--yes", "--present", "Ada Jones", *ROOT_PHRASE
    )
    # the CA was not told yet
    assert (OLGA, "ca") in [(one["officer"], one["at"]) for one in centre.told("officers", "ca")]
    centre.run("record", "ca", "--update-from", "root")
    assert centre.refused(*as_olga, "--out", "again.pem") == "not-authorised"
    assert [one["act"] for one in centre.told("record", "ca")][2:] == ["officers", "officers"]


@pytest.mark.parametrize(
    ("arguments", "rule", "status"),
    [
        ((*by_officer(OLGA, "name"), "--officer", OLGA, "--yes"), "not-authorised", 1),
        ((*by_officer(OLGA), "--yes"), "no-right", 2),
        ((*by_officer(OLGA, "name"), "--withdraw", OLGA, "--yes"), "two-acts", 2),
        (("officers", "ca", "--give", OLGA, "--right", "certify", "--yes", *OPEN), "not-the-root", 2),
    ],
    ids=["not-hers", "none", "both", "not-at-a-ca"],
)
def test_who_names_no_officers(centre, arguments, rule, status):  # noqa: F811
    assert centre.refused(*arguments, status=status) == rule
    assert len(centre.told("record", "root")) == 2


def test_a_dry_run_of_each_dangerous_act_changes_nothing(centre, tmp_path):  # noqa: F811
    centre.run(*SHOP)
    before = snapshot(tmp_path)
    centre.run(*by_officer(OLGA, "certify"), "--dry-run")
    centre.run("revoke", "root", "ca/ca.pem", "--dry-run", *ROOT_PHRASE)
    centre.run("replace", "new", "--old", "ca", "--root", "root", "--dry-run", *OPEN_ROOT)
    centre.run("recover-root", "root-2", "--old", "root", "--ca", "ca", "--dry-run")
    unchanged = {
        path: one for path, one in snapshot(tmp_path).items() if not path.name.startswith("register")
    }
    assert unchanged == {path: one for path, one in before.items() if not path.name.startswith("register")}


def test_a_ca_is_replaced(centre):  # noqa: F811
    old = centre.told(*SHOP)
    done = centre.told(
        "replace", "new", "--old", "ca", "--root", "root", "--yes", *OPEN_ROOT, "--phrase-file", "new.phrase"
    )
    assert (done["certified"], done["not"]) == (1, [])
    (listed,) = centre.told("list", "new")
    assert listed["names"] == old["names"]
    assert centre.told("show", "root", "ca/ca.pem")["state"] == "revoked"


def test_a_lost_root_is_rehearsed_and_recovered(centre, tmp_path):  # noqa: F811
    centre.run(*SHOP)
    phrases = ("--ca", "ca", "--ca-phrase-file", "ca.phrase")
    centre.run("recover-root", "drill", "--old", "root", *phrases, "--rehearse")
    wrong = ("--ca", "ca", "--ca-phrase-file", "root.phrase")
    told = json.loads(
        centre.run("recover-root", "drill-2", "--old", "root", *wrong, "--rehearse", "--json", status=1)
    )
    assert told["closed"] == {"ca": "wrong-pass-phrase"}
    done = centre.told(
        "recover-root", "root-2", "--old", "root", *phrases, "--yes", "--phrase-file", "new.phrase"
    )
    assert done["certified"] == 1
    new = [one["serial"] for one in centre.told("list", "ca")][-1]
    centre.run("export", "ca", "www", *OPEN)
    found = [Certificate.read(path.read_bytes()) for path in (tmp_path / "www" / "certs").iterdir()]
    (leaf,) = [one for one in found if f"{one.serial:x}" == new]
    Path("leaf.pem").write_bytes(leaf.pem)
    assert openssl("verify", "-CAfile", "root-2/root.pem", "-untrusted", "ca/ca.pem", "leaf.pem").endswith(
        "OK\n"
    )


def test_a_root_that_never_meets_its_ca(desk, tmp_path):  # noqa: F811
    """A request goes there, public files come back; nothing secret travels."""
    digest = desk.told("root", "root", "--name", "market", *ROOT_PHRASE)["digest"]
    desk.run("prepare", "ca", "--out", "ca.p10", *OPEN)
    certify = ("certify", "root", "--request", "ca.p10", "--component", "ca", "--out", "back", *ROOT_PHRASE)
    made = desk.told(*certify)
    assert made["root"] == digest
    assert desk.told(*certify)["serial"] == made["serial"]
    brought = sorted(path.name for path in (tmp_path / "back").rglob("*") if path.is_file())
    assert brought == ["0001.cms", "0002.cms", "ca.pem", "root.crl", "root.pem"]
    install = ("install", "ca", "--from", "back", *OPEN, "--root-digest")
    assert desk.refused(*install, "sha-256:other") == "other-root"
    assert desk.refused(*SHOP, status=2) in {"no-ca", "not-certified"}
    for _ in range(2):
        assert desk.told(*install, digest)["serial"] == made["serial"]
    desk.run(*SHOP)
    trust = ("-CAfile", "root/root.pem", "-untrusted", "ca/ca.pem")
    assert openssl("verify", *trust, "shop.example.pem").endswith("OK\n")
    # before its end it is renewed, for the same key
    renewed = desk.told("certify", "root", "--renew", "ca/ca.pem", "--out", "newer", *ROOT_PHRASE)
    newer = ("install", "ca", "--from", "newer", *OPEN, "--root-digest", digest)
    for _ in range(2):
        assert desk.told(*newer)["serial"] == renewed["serial"] != made["serial"]
    desk.run(*SHOP, "--out", "second.pem")
    assert openssl("verify", *trust, "shop.example.pem", "second.pem").count("OK") == 2
    assert [one["act"] for one in desk.told("record", "ca")] == ["founding", "certifying", "renewing"]
    both = ("certify", "root", "--renew", "ca/ca.pem", "--component", "ca", "--out", "x", *ROOT_PHRASE)
    assert desk.refused(*both, status=2) == "one-of-two"
    # another key that waits is not the one that was certified
    desk.run("prepare", "other", "--out", "other.p10", *OPEN)
    wrong = ("install", "other", "--from", "back", *OPEN, "--root-digest", digest)
    assert desk.refused(*wrong, status=2) == "key-mismatch"


def test_another_community_is_cross_certified(centre):  # noqa: F811
    centre.run("root", "fair", "--name", "fair", "--phrase-file", "fair.phrase")
    limits = ("--permit", "dir:O=fair", "--map", f"high={oids.CONFIDENCE['low']}", "--path-length", "0")
    made = centre.told("cross", "root", "--cert", "fair/root.pem", *limits, "--out", "x.pem", *ROOT_PHRASE)
    assert made["subject"] == "CN=root,O=fair"
    text = openssl("x509", "-in", "x.pem", "-noout", "-text")
    for said in (
        "pathlen:0",
        f"{oids.CONFIDENCE['high']}:{oids.CONFIDENCE['low']}",
        "DirName:O = fair",
        "O = market",
    ):
        assert said in text
    centre.run("cross", "fair", "--ask", "ours.p10", "--phrase-file", "fair.phrase")
    assert "verify OK" in openssl("req", "-in", "ours.p10", "-verify", "-noout")
    asked = ("cross", "root", "--request", "ours.p10", "--out", "y.pem", *ROOT_PHRASE)
    assert centre.refused(*asked, status=2) == "unconfined"
    assert centre.told(*asked, "--any-name")["subject"] == "CN=root,O=fair"
    assert centre.refused("cross", "root", "--permit", "dir:O=fair", *ROOT_PHRASE, status=2) == "one-of-three"
    assert centre.refused(*asked, "--map", "high", status=2) == "bad-mapping"


def test_a_buying_organisations_own_ca(centre):  # noqa: F811
    alpha = ("--phrase-file", "alpha.phrase")
    issuer = ("--issuer", "ca", "--issuer-phrase-file", "ca.phrase")
    made = centre.told("buying", "alpha-ca", *issuer, "--party", "alpha", "--manager", "albert", *alpha)
    assert made["officer"] == "urn:e2s:market:alpha:albert"
    buyer = ("issue", "alpha-ca", "--profile", "buyer", *alpha)
    centre.run(*buyer, "--name", "urn:e2s:market:alpha:anna")
    trust = ("-CAfile", "root/root.pem", "-untrusted", "anna.pem")
    assert openssl("verify", *trust, "anna.pem").endswith("OK\n")
    assert centre.refused(*buyer, "--name", "urn:e2s:market:beta:bruno") == "foreign-name"
    assert centre.refused(*buyer, "--name", "urn:e2s:market:alpha:a", "--officer", OLGA) == "not-authorised"
    assert centre.told("record", "alpha-ca")[0]["officer"] == "urn:e2s:market:alpha:albert"


def test_the_manager_names_officers_of_her_own(centre):  # noqa: F811
    alpha = ("--phrase-file", "alpha.phrase")
    issuer = ("--issuer", "ca", "--issuer-phrase-file", "ca.phrase")
    centre.run("buying", "alpha-ca", *issuer, "--party", "alpha", "--manager", "albert", *alpha)
    berta, name = "urn:e2s:market:alpha:berta", "urn:e2s:market:alpha:anna"
    buyer = ("issue", "alpha-ca", "--profile", "buyer", "--name", name, "--officer", berta, *alpha)
    assert centre.refused(*buyer) == "not-authorised"
    give = ("officers", "alpha-ca", "--give", berta, "--right", "certify", "--yes", *alpha)
    assert centre.refused(*give, "--officer", berta) == "not-authorised"
    assert centre.refused(*give, "--at", "ca") == "foreign-right"
    assert centre.told(*give)["record"] == 2
    centre.run(*buyer)
    albert = ("officers", "alpha-ca", "--withdraw", "urn:e2s:market:alpha:albert", "--yes", *alpha)
    assert centre.refused(*albert) == "last-officer"
    # and what she signs says nothing at the CA above
    assert all(one["at"] != "alpha-ca" for one in centre.told("officers", "ca"))


def test_a_buying_organisations_ca_goes_on_under_a_new_ca(centre, tmp_path):  # noqa: F811
    alpha = ("--phrase-file", "alpha.phrase")
    issuer = ("--issuer", "ca", "--issuer-phrase-file", "ca.phrase")
    centre.run("buying", "alpha-ca", *issuer, "--party", "alpha", "--manager", "albert", *alpha)
    new = ("--phrase-file", "new.phrase")
    centre.run("replace", "new", "--old", "ca", "--root", "root", "--yes", *OPEN_ROOT, *new)
    (listed,) = centre.told("list", "new", "--profile", "buying-ca")
    centre.run("export", "new", "www", *new)
    found = [Certificate.read(path.read_bytes()) for path in (tmp_path / "www" / "certs").iterdir()]
    (own,) = [one for one in found if f"{one.serial:x}" == listed["serial"]]
    Path("newer.pem").write_bytes(own.pem + Path("new/ca.pem").read_bytes())
    adopt = ("adopt", "alpha-ca", "--root-cert", "root/root.pem", *alpha, "--cert")
    assert centre.refused(*adopt, "new/ca.pem") == "key-mismatch"
    for _ in range(2):
        centre.run(*adopt, "newer.pem")
    assert [one["act"] for one in centre.told("record", "alpha-ca")] == ["founding", "renewing"]
    centre.run("issue", "alpha-ca", "--profile", "buyer", "--name", "urn:e2s:market:alpha:anna", *alpha)
    assert openssl("verify", "-CAfile", "root/root.pem", "-untrusted", "anna.pem", "anna.pem").endswith(
        "OK\n"
    )


def test_it_serves_lists_and_answers(centre, tmp_path):  # noqa: F811
    centre.run(*SHOP)
    command = [str(Path(sys.executable).parent / "e2s"), "ca", "serve", "ca", *OPEN]
    served = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        origin = served.stdout.readline().split()[1]
        exchange = HttpExchange(timeout_seconds=20)
        ca = Certificate.read(Path("ca/ca.pem").read_bytes())
        root = Certificate.read(Path("root/root.pem").read_bytes())
        for path in (crl_path(ca), crl_path(root), certificate_path(ca.digest), "/anchor.pem"):
            assert exchange.send(origin, Request("GET", path)).status == 200, path
        asked = ("-issuer", "ca/ca.pem", "-cert", "shop.example.pem", "-CAfile", "root/root.pem")
        said = openssl("ocsp", *asked, "-verify_other", "ca/ca.pem", "-url", f"{origin}/ocsp")
        assert "shop.example.pem: good" in said
        assert "Response verify OK" in said
    finally:
        served.terminate()
        assert served.wait(30) == 0
        assert served.stdout is not None
        served.stdout.close()


def test_the_roots_list_is_brought_to_a_ca_and_to_static_files(centre, tmp_path):  # noqa: F811
    centre.run("revoke", "root", "ca/ca.pem", "--yes", *ROOT_PHRASE)
    centre.run("crl", "root", "--tell", "ca", "--publish", "www", *ROOT_PHRASE)
    root = Certificate.read(Path("root/root.pem").read_bytes())
    octets = (tmp_path / "ca" / "root.crl").read_bytes()
    assert (tmp_path / "www" / crl_path(root)[1:]).read_bytes() == octets
    assert "Revoked Certificates" in openssl("crl", "-inform", "DER", "-in", "ca/root.crl", "-noout", "-text")
    assert centre.refused("crl", "ca", "--tell", "ca", *OPEN, status=2) == "not-the-root"


def test_an_empty_spool_is_answered_with_lists(centre, tmp_path):  # noqa: F811
    (tmp_path / "spool").mkdir()
    centre.run("answer", "ca", "spool", "--once", *OPEN)
    assert [path.name for path in (tmp_path / "spool" / "lists").iterdir()] == ["ca.crl"]


def test_keys_in_a_token(desk, tokens, tmp_path):  # noqa: F811
    """The root's and the CA's keys live in SoftHSM; the PIN is all that the commands need."""
    (tmp_path / "pin").touch(mode=0o600)
    (tmp_path / "pin").write_text(PIN)
    place = ("--module", str(MODULE), "--token", LABEL)
    desk.run("root", "root", "--name", "market", *place, "--phrase-file", "pin")
    desk.run("create", "ca", "--root", "root", *place, "--phrase-file", "pin", "--root-phrase-file", "pin")
    desk.run(*SHOP[:-1], "pin")
    assert desk.told("key", "root") == {
        "kind": "token",
        "module": str(MODULE),
        "token": LABEL,
        "label": "market root",
    }
    assert openssl(
        "verify", "-CAfile", "root/root.pem", "-untrusted", "ca/ca.pem", "shop.example.pem"
    ).endswith("OK\n")
    assert not list(tmp_path.rglob("*.pse"))
