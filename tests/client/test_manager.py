"""The purchasing manager: limits go to the issuer under her signature, statements are believed when they fit."""

from __future__ import annotations

import secrets

import pytest

from e2s.base.database import Database
from e2s.base.errors import Refusal, Unreachable
from e2s.client.wallet import manager
from e2s.client.wallet.manager import Office
from e2s.client.wallet.purchases import purchases
from e2s.client.wallet.reconciling import reconcile, vat_report
from e2s.crypto.acts import digest_id, read_act
from e2s.network.sessions.local import drop_answer, to
from e2s.security.keys.software import SoftwarePse
from tests.client.parties import ALBERT, ALPHA, phrase


@pytest.fixture
def desk(parties, tmp_path):
    keys = parties.keys
    keys.pse(tmp_path / "manager-pse", keys.manager).close()
    office = Office(
        person=ALBERT,
        organisation=ALPHA,
        currency="EUR",
        pse=SoftwarePse.open(tmp_path / "manager-pse", phrase()),
        issuer=keys.bank(),
        database=Database.open(tmp_path / "manager.db", manager.TABLES),
        exchange=parties.exchange,
        trust=parties.trust,
        clock=parties.clock,
        random=secrets.token_bytes,
    )
    made = manager.Desk(office)
    yield made
    made.close()


def limits(keys, amount="500.00"):
    return [
        {
            "holder": keys.buyer["card"][0].id,
            "perPurchase": amount,
            "perPeriod": "2000.00",
            "periodDays": 30,
            "classes": ["*"],
            "merchants": ["*"],
        }
    ]


def test_limits_are_signed_and_taken(desk, keys):
    taken = desk.set_controls(limits(keys), phrase())
    assert taken.document["n"] == 1
    document, done = desk.controls()
    assert done
    assert document["holders"] == limits(keys)
    assert desk.set_controls(limits(keys, "1.00"), phrase()).document["n"] == 2


def test_limits_need_the_pass_phrase(desk, keys):
    with pytest.raises(Refusal, match="wrong-pass-phrase"):
        desk.set_controls(limits(keys), phrase("no"))
    assert desk.controls() is None


def test_lost_answer_is_asked_for_again_with_the_same_order(desk, parties, keys):
    parties.exchange.faults.append(drop_answer(to("/controls")))
    with pytest.raises(Unreachable):
        desk.set_controls(limits(keys), phrase())
    assert desk.controls()[1] is False
    parties.exchange.faults.clear()
    assert desk.resume()
    assert desk.controls()[1] is True
    assert not desk.resume()


def test_answer_to_other_controls(desk, parties, keys):
    parties.change["controls-taken"] = lambda d: d.update(controls=digest_id(b"another"))
    with pytest.raises(Refusal, match="other-controls"):
        desk.set_controls(limits(keys), phrase())
    assert desk.controls()[1] is False


def test_statement_matches_the_wallets_trades(desk, scene):
    trade = scene.received()
    act = desk.fetch_statement(phrase())
    found = reconcile(act.document, purchases(scene.wallet.desk.database))
    assert [(f.verdict, f.trade) for f in found] == [("matched", trade)]
    assert vat_report(act.document) == act.document["vat"]
    assert scene.wallet.receipt(trade, phrase()).settled
    assert scene.wallet.close_by(trade, act.octets).state == "closed"


def test_unknown_and_uncharged_trades_show(desk, scene):
    trade = scene.received()
    act = desk.fetch_statement(phrase())
    assert [f.verdict for f in reconcile(act.document, [])] == ["unknown"]
    empty = {**act.document, "entries": []}
    found = reconcile(empty, purchases(scene.wallet.desk.database))
    assert [(f.verdict, f.trade) for f in found] == [("not-charged", trade)]


@pytest.mark.parametrize("member", ["amount", "cid", "lines", "vat"])
def test_differing_entry_says_what_differs(desk, scene, member):
    scene.received()
    document = desk.fetch_statement(phrase()).document
    entry = document["entries"][0]
    entry[member] = {"amount": "1.00", "cid": digest_id(b"x")}.get(member, [])
    found = reconcile(document, purchases(scene.wallet.desk.database))
    assert found[0].verdict == "differs"
    assert {"cid": "contract", "vat": "VAT"}.get(member, member) in found[0].why


def test_statements_follow_each_other(desk, scene):
    scene.received()
    desk.fetch_statement(phrase())
    desk.fetch_statement(phrase())
    assert [act.document["n"] for act in desk.statements()] == [1, 2]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda d: d.update(n=3), "statement-gap"),
        (lambda d: d.update(prev=digest_id(b"x")), "statement-gap"),
        (lambda d: d.update(organisation="urn:e2s:market:beta"), "other-organisation"),
        (lambda d: d.update(to=["urn:e2s:market:beta"]), "wrong-audience"),
        (lambda d: d.update(total="1.00"), "false-total"),
        (lambda d: d["vat"][0].update(tax="1.00"), "false-total"),
        (lambda d: d["entries"][0].update(amount="1.00"), "false-total"),
    ],
    ids=["number", "previous", "organisation", "reader", "total", "vat", "entry"],
)
def test_wrong_statement_is_refused(desk, scene, change, rule):
    scene.received()
    scene.parties.change["statement"] = change
    with pytest.raises(Refusal) as caught:
        desk.fetch_statement(phrase())
    assert caught.value.rule == rule
    assert desk.statements() == []


def test_statement_by_another_key(desk, scene):
    scene.received()
    scene.parties.by["statement"] = scene.parties.keys.gateway
    with pytest.raises(Refusal, match="wrong-purpose"):
        desk.fetch_statement(phrase())


def test_same_statement_act_in_the_book(desk, scene):
    scene.received()
    act = desk.fetch_statement(phrase())
    assert read_act(desk.statements()[0].octets).id == act.id
