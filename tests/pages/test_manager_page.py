"""The manager's page, driven by keyboard: limits signed and sent, the statement against the wallets' trades."""

from __future__ import annotations

import pytest

from tests.client.parties import phrase
from tests.pages.keyboard import enter, tab_to, type_phrase

pytestmark = pytest.mark.browser


def test_limits_by_keyboard(manager_site, tab, shot):
    tab.goto(manager_site.start)
    tab_to(tab, "Limits")
    enter(tab)
    assert "Nothing set yet" in tab.inner_text("main")
    tab_to(tab, "purchase-1")
    tab.keyboard.type("500.00")
    tab_to(tab, "period-1")
    tab.keyboard.type("2000.00")
    type_phrase(tab)
    assert "Version 1 in force" in tab.inner_text("main")
    assert tab.input_value("#purchase-1") == "500.00"
    shot("manager-limits")


def test_wrong_amount_keeps_what_was_typed(manager_site, tab):
    tab.goto(manager_site.start)
    tab.goto(manager_site.origin + "/limits")
    tab_to(tab, "purchase-1")
    tab.keyboard.type("500")
    tab_to(tab, "period-1")
    tab.keyboard.type("2000.00")
    type_phrase(tab)
    assert "bad-amount" in tab.get_by_role("alert").inner_text()
    assert tab.input_value("#purchase-1") == "500"
    assert tab.input_value("#phrase") == ""


def test_statement_by_keyboard(manager_site, tab, shot):
    scene = manager_site.scene
    for lines in ([("R-10K", "1000"), ("BOOK-7", "2")], [("C-100N", "400")]):
        trade = scene.offered(lines)
        scene.wallet.accept(trade, phrase())
        scene.wallet.pay(trade, phrase())
        scene.wallet.poll(trade)
    tab.goto(manager_site.start)
    assert "No statement yet" in tab.inner_text("main")
    type_phrase(tab)
    assert tab.inner_text("h1") == "Statement 1"
    assert "2 of 2" in tab.inner_text("main")
    assert tab.get_by_text("matched", exact=True).count() == 2
    shot("manager-statement")


def test_charge_that_no_wallet_knows(manager_site, tab, shot):
    scene = manager_site.scene
    scene.received()
    other = {"cid": "sha-256:" + "A" * 43}
    scene.parties.change["statement"] = lambda document: document["entries"][0].update(other)
    tab.goto(manager_site.start)
    type_phrase(tab)
    assert "other contract" in tab.inner_text("main")
    assert tab.get_by_text("differs", exact=True).count() == 1


def test_statement_with_false_sums_is_refused(manager_site, tab):
    manager_site.scene.received()
    manager_site.scene.parties.change["statement"] = lambda document: document.update(total="1.00")
    tab.goto(manager_site.start)
    type_phrase(tab)
    assert "false-total" in tab.get_by_role("alert").inner_text()
    assert "No statement yet" in tab.inner_text("main")
