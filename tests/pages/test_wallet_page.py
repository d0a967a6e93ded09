"""The buyer's page, driven by keyboard alone: a whole purchase, and what the page shows when things go wrong."""

from __future__ import annotations

import pytest

from e2s.base.errors import Refusal
from tests.pages.keyboard import enter, tab_to, type_phrase

pytestmark = pytest.mark.browser


def test_whole_purchase_by_keyboard(wallet_site, tab, shot):
    tab.goto(wallet_site.start)
    assert tab.title().startswith("Catalogue")
    tab.keyboard.type("0603")  # the search field has the focus
    enter(tab)
    tab.wait_for_url("**q=0603**")
    tab_to(tab, "qty-R-10K")
    tab.keyboard.type("1000")
    tab_to(tab, "qty-C-100N")
    tab.keyboard.type("250")
    shot("wallet-catalogue")
    enter(tab)
    tab.wait_for_url("**/basket")
    assert "6.10" in tab.inner_text("main")
    shot("wallet-basket")
    tab_to(tab, "Get the offer")
    enter(tab)
    tab.wait_for_url("**/trade/**")
    assert '"type":"e2s/1/offer"' in tab.inner_text("pre")
    shot("wallet-offer")
    type_phrase(tab)
    assert tab.inner_text("h1") == "Contract to pay"
    type_phrase(tab)
    assert tab.inner_text("h1") == "Paid, waiting for goods"
    shot("wallet-paid")
    tab_to(tab, "Look for news")
    enter(tab)
    assert tab.inner_text("h1") == "Goods delivered"
    type_phrase(tab)
    assert tab.inner_text("h1") == "Delivered and receipted"
    assert "Verified" in tab.inner_text("main")
    tab_to(tab, "Orders")
    enter(tab)
    tab.wait_for_url("**/trades")
    assert "Verified" in tab.inner_text("main")
    shot("wallet-orders")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download the evidence").click()
    (trade,) = wallet_site.scene.parties.acts
    assert download.value.suggested_filename == f"{trade}.tar"


def offered(site, tab) -> str:
    trade = site.scene.offered()
    tab.goto(site.start)
    tab.goto(f"{site.origin}/trade/{trade}")
    return trade


def test_wrong_pass_phrase_signs_nothing(wallet_site, tab, shot):
    trade = offered(wallet_site, tab)
    type_phrase(tab, "wrong")
    assert "wrong-pass-phrase" in tab.get_by_role("alert").inner_text()
    assert wallet_site.scene.state(trade) == "offered"
    assert tab.input_value("#phrase") == ""
    shot("wallet-refused")


def test_lying_shop_is_told_to_its_buyer(wallet_site, tab):
    wallet_site.scene.parties.change["offer"] = lambda document: document.update(total="0.01")
    tab.goto(wallet_site.start)
    tab.goto(f"{wallet_site.origin}/?q=data")
    tab_to(tab, "qty-BOOK-7")
    tab.keyboard.type("1")
    enter(tab)
    tab.wait_for_url("**/basket")
    tab_to(tab, "Get the offer")
    enter(tab)
    assert "false-total" in tab.get_by_role("alert").inner_text()


def test_unreachable_shop_is_told(wallet_site, tab):
    wallet_site.scene.parties.exchange.doors.clear()
    tab.goto(wallet_site.start)
    assert "did not answer" in tab.get_by_role("alert").inner_text()


def test_declined_payment_can_be_given_up(wallet_site, tab):
    wallet_site.scene.parties.result = "declined"
    trade = offered(wallet_site, tab)
    type_phrase(tab)
    type_phrase(tab)
    assert tab.inner_text("h1") == "Payment declined"
    assert "over-purchase-limit" in tab.inner_text("main")
    tab_to(tab, "Give up the order")
    enter(tab)
    assert wallet_site.scene.state(trade) == "void"


def test_page_works_at_the_width_of_a_telephone_and_in_the_dark(wallet_site, browser):
    trade = wallet_site.scene.offered()
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.goto(wallet_site.start)
    page.goto(f"{wallet_site.origin}/trade/{trade}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_page_needs_no_script(wallet_site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(wallet_site.start)
    assert page.get_by_role("heading", level=1).inner_text().startswith("Catalogue")
    context.close()


def test_every_field_has_a_label(wallet_site, tab):
    trade = offered(wallet_site, tab)
    for path in ("/", "/basket", "/trades", f"/trade/{trade}"):
        tab.goto(wallet_site.origin + path)
        unlabelled = tab.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]),textarea')]"
            ".filter(e => !e.labels.length && !e.getAttribute('aria-label')).map(e => e.name)"
        )
        assert unlabelled == [], path


def test_unknown_trade_is_no_traceback(wallet_site, tab):
    tab.goto(wallet_site.start)
    got = tab.goto(f"{wallet_site.origin}/trade/{'A' * 22}")
    assert got.status == 404
    assert "unknown-trade" in tab.inner_text("main")


def test_refusal_rule_reaches_the_page(wallet_site, tab):
    wallet_site.scene.parties.refuse["search"] = Refusal(
        "no-price-list", "your organisation has no contract here"
    )
    tab.goto(wallet_site.start)
    assert "no-price-list" in tab.get_by_role("alert").inner_text()
