"""The page of enrolment in a browser: by keyboard, without script, with a file or pasted."""

from __future__ import annotations

import pytest

from e2s.crypto.certificates import read_certificates
from e2s.crypto.pem import armoured
from e2s.security.enrolment import deciding
from e2s.security.enrolment.invitations import code_of
from tests.pages.keyboard import enter, tab_to
from tests.worlds.enrolment import ANNA, World, csr

pytestmark = pytest.mark.browser


@pytest.fixture
def site(tmp_path):
    world = World(tmp_path)
    with world.served("enrol") as served:
        yield world, served.origin + "/enrol"
    world.close()


def test_a_pasted_request_by_keyboard(site, tab, shot):
    world, page = site
    code = code_of(*world.invite())
    tab.goto(page)
    shot("enrol-form")
    tab_to(tab, "code")
    tab.keyboard.type(code)
    tab_to(tab, "request")
    tab.keyboard.insert_text(armoured(csr(), b"CERTIFICATE REQUEST").decode())
    tab_to(tab, "Ask for the certificate")
    enter(tab)
    assert tab.inner_text("h1") == "Your certificate"
    assert ANNA in tab.inner_text("main")
    shot("enrol-certificate")
    tab_to(tab, "Download certificate")
    with tab.expect_download() as download:
        tab.keyboard.press("Enter")
    certificate, issuer = read_certificates(download.value.path().read_bytes())
    assert (certificate.names, issuer) == ((ANNA,), world.pki.operating)


def test_a_file_and_a_wrong_code(site, tab, tmp_path):
    world, page = site
    (tmp_path / "anna.p10").write_bytes(csr())
    tab.goto(page)
    tab.set_input_files("#file", tmp_path / "anna.p10")
    tab.fill("#code", "00000000." + "-".join(["0000"] * 8))
    tab.fill("#request", "what was typed <b>stays</b>")
    tab.get_by_role("button", name="Ask for the certificate").click()
    assert "wrong-code" in tab.get_by_role("alert").inner_text()
    assert tab.input_value("#request") == "what was typed <b>stays</b>"
    assert tab.input_value("#code") == ""
    tab.set_input_files("#file", tmp_path / "anna.p10")
    tab.fill("#code", code_of(*world.invite()))
    tab.get_by_role("button", name="Ask for the certificate").click()
    assert tab.inner_text("h1") == "Your certificate"


def test_who_waits_is_told_and_finds_it_later(site, tab, shot):
    world, page = site
    code, request = code_of(*world.invite("code-signing")), armoured(csr(), b"CERTIFICATE REQUEST").decode()
    for heading in ("Waiting for an officer", "Your certificate"):
        tab.goto(page)
        tab.fill("#code", code)
        tab.fill("#request", request)
        tab.get_by_role("button", name="Ask for the certificate").click()
        assert tab.inner_text("h1") == heading
        for row in deciding.waiting(world.office):
            world.decide(row.case)
