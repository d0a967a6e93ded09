"""The officers' console, driven by keyboard and mouse: log-in, approval, revocation after a dry run, reports."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2s.base.http import Handler, Request, Response
from e2s.crypto.ports import Signer
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.server import Served
from e2s.security.administration.console import Console
from e2s.security.administration.remote import Remote
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse
from e2s.security.registration.withdrawing import send_withdrawals
from tests.pages.keyboard import enter, focused, tab_to, type_phrase
from tests.worlds.administration import AUDREY, PAULA, PETER, PHRASE, TESSA, Administration, Interface
from tests.worlds.pki import make_pki
from tests.worlds.registration import OLGA, OSKAR

pytestmark = pytest.mark.browser


@dataclass
class Desk:
    """A console of one officer as served, and the link that opens it."""

    origin: str
    start: str


@pytest.fixture
def interface(tmp_path) -> Iterator[Interface]:
    world = Administration(tmp_path, make_pki())
    with Interface(world) as served:
        yield served
    world.close()


@pytest.fixture
def console(interface) -> Iterator[Callable[[str], Desk]]:
    """Serves the console of an officer on her own machine."""
    with contextlib.ExitStack() as stack:

        def serve(name: str) -> Desk:
            folder = interface.world.officers_folder(name)

            @contextlib.contextmanager
            def opening(phrase: Phrase) -> Iterator[Signer]:
                pse = SoftwarePse.open(folder / "pse", phrase)
                try:
                    yield pse.signer("officer")
                finally:
                    pse.close()

            pages: list[Console] = []

            def first(request: Request) -> Response:
                answer: Response = pages[0].handle(request)
                return answer

            handler: Handler = first
            served = stack.enter_context(Served(handler))
            remote = Remote(HttpExchange(timeout_seconds=20), interface.origin)
            pages.append(Console(remote, opening, port=served.port, random=secrets.token_bytes))
            return Desk(served.origin, served.origin + pages[0].start_path)

        yield serve


def log_in(tab: Any, desk: Desk) -> None:
    tab.goto(desk.start)
    tab.fill("#phrase", PHRASE)
    tab.get_by_role("button", name="Log in").click()


def sign(tab: Any, phrase: str = PHRASE) -> None:
    tab.fill("#phrase", phrase)
    tab.get_by_role("button", name="Sign and send").click()


def heading(tab: Any) -> str:
    return str(tab.inner_text("h1"))


def test_log_in_and_approve_by_keyboard(interface, console, tab, shot):
    world = interface.world
    case = world.named()
    world.named("C01X00T48", title="Bea Kern")
    tab.goto(console(OLGA).start)
    assert heading(tab) == "Log in"
    type_phrase(tab, "other words")
    assert "wrong-pass-phrase" in tab.get_by_role("alert").inner_text()
    type_phrase(tab, PHRASE)
    assert heading(tab) == "What waits"
    shot("console-waiting")
    tab_to(tab, f"case-{case}")
    tab.keyboard.press("Space")
    tab_to(tab, "Look before you sign")
    enter(tab)
    assert heading(tab) == "Approve"
    assert "Nothing was done yet" in tab.inner_text("main")
    assert "urn:e2s:market:alpha:anna-berg" in tab.inner_text("table")
    assert world.state(case) == "named"
    type_phrase(tab, PHRASE)
    assert "approved" in tab.get_by_role("status").inner_text()
    assert world.state(case) == "approved"
    assert focused(tab) != ""


def test_revoke_after_a_look(interface, console, tab):
    world = interface.world
    serial = f"{world.issue('person', 'urn:e2s:market:alpha:anna'):x}"
    world.issue("person", "urn:e2s:market:beta:bruno")
    desk = console(OLGA)
    log_in(tab, desk)
    tab.get_by_role("link", name="Certificates").click()
    tab.fill("#name", "urn:e2s:market:alpha")
    tab.get_by_role("button", name="Find").click()
    assert "alpha:anna" in tab.inner_text("table")
    assert "bruno" not in tab.inner_text("table")
    tab.get_by_role("link", name=f"Certificate {serial}").click()
    tab.select_option("#reason", "keyCompromise")
    tab.get_by_role("button", name="Look before you revoke").click()
    assert "cannot be taken back" in tab.inner_text("main")
    assert "urn:e2s:market:alpha:anna, person, good" in tab.inner_text("main")
    tab.get_by_role("link", name="Leave it").click()
    assert send_withdrawals(world.office, world.ca.ask).done == 0
    tab.select_option("#reason", "keyCompromise")
    tab.get_by_role("button", name="Look before you revoke").click()
    sign(tab, "other words")
    assert "wrong-pass-phrase" in tab.get_by_role("alert").inner_text()
    assert send_withdrawals(world.office, world.ca.ask).done == 0
    sign(tab)
    assert "waits" in tab.get_by_role("status").inner_text()
    assert send_withdrawals(world.office, world.ca.ask).done == 1
    tab.reload()
    assert "keyCompromise" in tab.inner_text("main")


def test_a_policy_by_two_officers(interface, console, tab, shot):
    world = interface.world
    case = world.open()
    world.evidence(case, seen=world.seen(seen="video"))
    log_in(tab, console(PAULA))
    tab.get_by_role("link", name="Policies").click()
    tab.get_by_role("link", name="registration").click()
    text = tab.input_value("#content")
    assert text.encode() == world.desk.subject("registration").octets()
    tab.fill("#content", text.replace('video = "substantial"', 'video = "low"'))
    tab.fill("#why", "pictures can be made up")
    tab.get_by_role("button", name="Look what it would change").click()
    assert '+video = "low"' in tab.inner_text("main")
    assert f"case {case} (recorded): substantial -> low" in tab.inner_text("main")
    sign(tab)
    assert "waits" in tab.get_by_role("status").inner_text()
    tab.get_by_role("link", name="Proposal 1").click()
    assert "Another officer approves it" in tab.inner_text("main")
    log_in(tab, console(PETER))
    tab.get_by_role("link", name="Proposal 1: registration").click()
    assert "evidence.passport.video" in tab.inner_text("table")
    shot("console-proposal")
    tab.get_by_role("button", name="Look before you approve").click()
    sign(tab)
    assert "approved" in tab.get_by_role("status").inner_text()
    assert world.desk.office.policy.level("passport", "video") == "low"
    tab.get_by_role("link", name="registration").click()
    tab.get_by_role("link", name="Version 1").click()
    tab.fill("#why", "by agreement")
    tab.get_by_role("button", name="Look what it would change").click()
    assert '-video = "low"' in tab.inner_text("main")


def test_who_agrees_is_another_officer_and_sees_what_the_first_signed(interface, console, tab):
    world = interface.world
    case = world.named(profile="officer")
    number = world.first([case])["approval"]
    log_in(tab, console(OSKAR))
    tab.get_by_role("button", name="Look before you agree").click()
    assert "anna-berg" in tab.inner_text("table")
    sign(tab)
    assert world.state(case) == "approved"
    assert number == 1


def test_reports_officers_and_ceremonies_are_read(interface, console, tab):
    world = interface.world
    for name in ("anna", "bea"):
        world.issue("person", f"urn:e2s:market:alpha:{name}")
    desk = console(AUDREY)
    log_in(tab, desk)
    assert "Nothing waits for you" in tab.inner_text("main")
    tab.get_by_role("link", name="Reports").click()
    tab.get_by_role("link", name="weak").click()
    tab.fill("#by", "2036-01-01")
    tab.get_by_role("button", name="Report").click()
    assert tab.get_by_text("key no-place").count() == 2
    with tab.expect_download() as found:
        tab.get_by_role("link", name="Save as CSV").click()
    assert len(Path(found.value.path()).read_text().splitlines()) == 3
    tab.get_by_role("link", name="Officers").click()
    assert "registration" in tab.inner_text("table")
    tab.get_by_role("link", name="Ceremonies").click()
    assert "founding" in tab.inner_text("table")
    reads = [event["facts"] for event in world.events() if event["kind"] == "admin.read"]
    assert {"officer": AUDREY, "what": "report", "which": "weak"} in reads


def test_a_session_that_ended_asks_to_log_in_again_and_log_out_ends_it(interface, console, tab):
    desk = console(AUDREY)
    log_in(tab, desk)
    interface.world.clock.forward(minutes=20)
    tab.get_by_role("link", name="Reports").click()
    assert heading(tab) == "Log in"
    tab.fill("#phrase", PHRASE)
    tab.get_by_role("button", name="Log in").click()
    tab.get_by_role("button", name="Log out").click()
    assert heading(tab) == "Log in"
    assert tab.goto(desk.origin + "/reports").ok
    assert heading(tab) == "Log in"


def test_what_an_officer_may_not_do_is_said(interface, console, tab):
    desk = console(AUDREY)
    log_in(tab, desk)
    tab.goto(desk.origin + "/case?case=c-nothing")
    assert "no-such-case" in tab.get_by_role("alert").inner_text()
    assert tab.goto(desk.origin + "/nowhere").status == 404


def test_narrow_and_dark(interface, console, browser, tmp_path):
    """A narrow window shows every page without sideways scrolling."""
    folder = Path(os.environ.get("E2S_NARROW", tmp_path))
    interface.world.named()
    interface.world.issue("person", "urn:e2s:market:alpha:somebody-with-a-long-name")
    context = browser.new_context(viewport={"width": 400, "height": 800}, color_scheme="dark")
    page = context.new_page()
    desk = console(TESSA)
    log_in(page, desk)
    paths = (
        "",
        "certificates",
        "reports",
        "report?kind=weak",
        "policies",
        "policy?name=registration",
        "officers",
    )
    for path in paths:
        page.goto(f"{desk.origin}/{path}")
        page.screenshot(path=folder / f"narrow-{path.partition('?')[0]}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, path
    context.close()
