"""``e2s cms`` with signatures side by side, receipts and compressed content."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_cms import CONTENT, SIGN, Desk, pki  # noqa: F401 - a fixture

BESIDE = ("--beside-cert", "anna-pq.crt", "--beside-key", "anna-pq.key")
VERIFY = ("verify", "--trust", "root.pem", "--in", "msg")


@pytest.fixture
def desk(tmp_path, pki, capsys):  # noqa: F811 - the fixture
    desk = Desk(tmp_path, pki, capsys)
    desk.person("anna", "buyer")
    desk.person("anna-pq", "buyer", suite="ml-dsa-65")
    desk.person("bert", "merchant")
    return desk


@pytest.mark.parametrize("detached", [(), ("--detached",)])
def test_two_keys_sign_side_by_side(desk, detached):
    assert desk.run(*SIGN, *BESIDE, *detached) == (0, "", "")
    content = ("--content", "in") if detached else ("--out", "out")
    status, shown, _ = desk.run(*VERIFY, *content, "--json")
    told = json.loads(shown)
    assert status == 0
    assert {told["suite"], *(one["suite"] for one in told["beside"])} == {"p256-sha256", "ml-dsa-65"}
    assert told["detached"] == bool(detached)
    assert detached or desk.get("out") == CONTENT
    status, shown, _ = desk.run(*VERIFY, *content)
    assert status == 0
    assert "side by side with urn:e2s:market:anna" in shown


def test_one_of_two_cannot_be_taken_away(desk):
    desk.run(*SIGN, *BESIDE)
    whole = desk.get("msg")
    altered = whole.replace(CONTENT, CONTENT[:-2] + b"!\n")
    desk.put("msg", altered)
    status, _, error = desk.run(*VERIFY, "--out", "out")
    assert (status, desk.has("out")) == (1, False)
    assert "altered-content" in error


def test_a_suite_asked_for_is_asked_of_both(desk):
    desk.run(*SIGN, *BESIDE)
    assert desk.run(*VERIFY, "--suite", "p256-sha256", "--suite", "ml-dsa-65")[0] == 0
    assert desk.run(*VERIFY, "--suite", "p256-sha256")[0] == 1


def test_side_by_side_misused(desk):
    assert desk.run(*SIGN, "--beside-cert", "anna-pq.crt")[0] == 2
    assert desk.run(*SIGN, "--beside-cert", "anna.crt", "--beside-key", "anna.key")[0] == 2
    assert desk.run(*SIGN, *BESIDE, "--ask-receipt", "anna@alpha")[0] == 2
    assert not desk.has("msg")


RECEIPT = (
    "receipt",
    "--trust",
    "root.pem",
    "--cert",
    "bert.crt",
    "--key",
    "bert.key",
    "--in",
    "msg",
    "--out",
    "out",
)
CHECK = ("check-receipt", "--trust", "root.pem", "--of", "msg", "--in", "out")


def test_a_receipt(desk):
    assert desk.run(*SIGN, "--ask-receipt", "anna@alpha")[0] == 0
    status, shown, _ = desk.run(*RECEIPT)
    assert (status, shown) == (0, "send it to: anna@alpha\n")
    assert desk.run(*CHECK)[:2] == (0, "good: received by urn:e2s:market:bert\n")
    assert json.loads(desk.run(*CHECK, "--json")[1]) == {"outcome": "good", "signer": "urn:e2s:market:bert"}


def test_receipts_refused(desk):
    desk.run(*SIGN)
    status, _, error = desk.run(*RECEIPT)
    assert (status, desk.has("out")) == (1, False)
    assert "cms-no-receipt-wanted" in error
    desk.run(*SIGN, "--ask-receipt", "anna@alpha")
    desk.run(*RECEIPT)
    desk.run(*SIGN, "--ask-receipt", "anna@alpha")
    status, _, error = desk.run(*CHECK)
    assert status == 1
    assert "wrong-receipt" in error
    desk.put("msg", desk.get("msg").replace(CONTENT, CONTENT[:-2] + b"!\n"))
    desk.run(*SIGN[:-1], "wrong")
    status, _, error = desk.run(*RECEIPT[:-1], "wrong")
    assert status == 1
    assert "altered-content" in error


def test_compressed_content(desk):
    desk.put("in", CONTENT * 1000)
    assert desk.run("compress", "--in", "in", "--out", "msg") == (0, "", "")
    assert len(desk.get("msg")) < 1000
    assert desk.run("expand", "--in", "msg", "--out", "out") == (0, "", "")
    assert desk.get("out") == CONTENT * 1000
    status, _, error = desk.run("expand", "--in", "msg", "--out", "wrong", "--max-bytes", "1000")
    assert (status, desk.has("wrong")) == (1, False)
    assert "too-large" in error


@pytest.mark.parametrize("command", ["compress", "expand", "receipt", "check-receipt"])
def test_help_has_an_example(desk, command):
    status, shown, _ = desk.run(command, "--help")
    assert status == 0
    assert f"Example: e2s cms {command}" in shown
