"""``e2s pki attributes``: what attribute certificates give, told to people and to programs."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from e2s.crypto import der
from tests.cli.test_pki import AT, ended
from tests.security.forge import Node, ca, leaf, root
from tests.security.graphs import scope
from tests.security.test_attribute_certificates import ROLE, SHOP, attributes_of, targets
from tests.worlds.pki import START

BAD_ROLE = der.sequence(der.oid("2.5.4.72"), der.tlv(der.SET, der.integer(7)))
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A holder, who gives attributes, their CA and lists, as files."""
    folder = tmp_path_factory.mktemp("attributes")
    top = root()
    middle = ca(top)
    holder, other = leaf(middle), leaf(middle, unit="other")
    giver = Node("attributes", issuer=middle, usage="")
    revoking = Node("ac 7", serial=7)
    for name, node in (("root", top), ("ca", middle), ("holder", holder), ("giver", giver), ("other", other)):
        (folder / f"{name}.pem").write_bytes(node.certificate.pem)
    for name, octets in {
        "root.crl": top.crl(),
        "ca.crl": middle.crl(),
        "no-holder.crl": middle.crl((holder, START - HOUR)),
        "role.ac": attributes_of(holder, giver),
        "aimed.ac": attributes_of(holder, giver, extensions=(targets(SHOP),)),
        "other.ac": attributes_of(other, giver),
        "old.ac": attributes_of(holder, giver, until=START - HOUR),
        "revocable.ac": attributes_of(holder, giver, extensions=()),
        "bad-role.ac": attributes_of(holder, giver, attributes=[BAD_ROLE]),
        "garbage.ac": b"\x30\x03\x02\x01\x01",
        "giver.crl": giver.crl(),
        "withdrawn.crl": giver.crl((revoking, START - HOUR)),
        "later.crl": giver.crl((revoking, START + HOUR)),
        "old.crl": giver.crl(at=START - 48 * HOUR),
        "forged.crl": giver.crl(sign_as=root()),
        "attributes.crl": giver.crl(extra=((scope(attributes=True), True),)),
        "users.crl": giver.crl(extra=((scope(users=True), True),)),
    }.items():
        (folder / name).write_bytes(octets)
    return folder


@pytest.fixture
def run(world, capsys, monkeypatch):
    monkeypatch.chdir(world)

    def run(*words):
        given = ("--trust", "root.pem", "--untrusted", "ca.pem", "--giver", "giver.pem", "--at", AT)
        return ended(["pki", "attributes", *given, *words]), capsys.readouterr().out

    return run


LISTS = ("--crl", "root.crl", "--crl", "ca.crl")


def test_given(run):
    status, said = run(*LISTS, "holder.pem", "role.ac")
    assert (status, said.splitlines()[1]) == (0, f"  role {ROLE}")
    assert said.startswith("accepted: role.ac, until ")
    for name in ("giver.crl", "later.crl", "attributes.crl"):
        assert run(*LISTS, "--crl", name, "holder.pem", "revocable.ac")[0] == 0
    status, said = run("--json", "holder.pem", "role.ac")
    found = json.loads(said)
    assert status == 0
    assert (found["accepted"], found["rule"]) == (True, "")
    assert found["attributes"][0]["roles"] == [ROLE]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("holder.pem", "other.ac"), "wrong-holder"),
        (("holder.pem", "old.ac"), "expired"),
        (("holder.pem", "garbage.ac"), "bad-attribute-certificate"),
        (("holder.pem", "bad-role.ac"), "bad-attribute-certificate"),
        (("holder.pem", "revocable.ac"), "revocation-unknown"),
        ((*LISTS, "holder.pem", "revocable.ac"), "revocation-unknown"),
        ((*LISTS, "--crl", "withdrawn.crl", "holder.pem", "revocable.ac"), "revoked"),
        ((*LISTS, "--crl", "old.crl", "holder.pem", "revocable.ac"), "revocation-unknown"),
        ((*LISTS, "--crl", "forged.crl", "holder.pem", "revocable.ac"), "revocation-unknown"),
        ((*LISTS, "--crl", "users.crl", "holder.pem", "revocable.ac"), "revocation-unknown"),
        (("--for", "urn:e2s:market:zest", "holder.pem", "aimed.ac"), "wrong-target"),
        (("--giver", "ca.pem", "holder.pem", "role.ac"), "wrong-giver"),
        (("--crl", "root.crl", "--crl", "no-holder.crl", "holder.pem", "role.ac"), "revoked"),
        (("--crl", "root.crl", "holder.pem", "role.ac"), "revocation-unknown"),
        (("--at", "2036-01-01T00:00:00Z", "holder.pem", "role.ac"), "expired"),
    ],
)
def test_refused(run, words, rule):
    status, said = run(*words)
    assert status == 1
    assert said.startswith(f"refused ({rule}): ")
    status, said = run("--json", *words)
    found = json.loads(said)
    assert (status, found["accepted"], found["rule"]) == (1, False, rule)


def test_one_that_is_refused_refuses_all(run):
    status, said = run("--json", "holder.pem", "role.ac", "old.ac")
    found = json.loads(said)
    assert (status, found["rule"]) == (1, "expired")
    assert [one["accepted"] for one in found["attributes"]] == [True, False]


def test_misused(run):
    assert run("holder.pem")[0] == 2
    assert run("holder.pem", "missing.ac")[0] == 2
