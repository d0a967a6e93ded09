"""The gate of a page on loopback: other sites, other names and other programs get nothing through."""

from __future__ import annotations

import re
import secrets
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.http import Request, Response
from e2s.client.wallet.page import WalletPage
from e2s.client.wallet.templating import page
from e2s.network.sessions.gate import Gate, redirect
from tests.client.parties import PHRASE

PORT = 8123
HOST = f"127.0.0.1:{PORT}"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def gate():
    seen = []

    def inner(asked):
        seen.append(asked)
        return Response(200, asked.token.encode())

    made = Gate(inner, port=PORT, random=secrets.token_bytes)
    made.seen = seen  # type: ignore[attr-defined]
    return made


def get(gate, path="/", **headers):
    return gate.handle(Request("GET", path, b"", {"host": HOST, **headers}))


def post(gate, fields, path="/", **headers):
    body = urlencode(fields).encode()
    return gate.handle(Request("POST", path, body, {"host": HOST, "content-type": FORM, **headers}))


def opened(gate) -> str:
    answer = get(gate, gate.start_path)
    assert answer.status == 303
    return answer.headers["set-cookie"].partition(";")[0]


def test_start_link_sets_a_strict_cookie_once(gate):
    answer = get(gate, gate.start_path)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    assert get(gate, gate.start_path).status == 403


def test_wrong_start_token(gate):
    for token in ("", "x", secrets.token_urlsafe(32), "é"):
        assert get(gate, f"/start?token={token}").status == 403
    assert get(gate, gate.start_path).status == 303


def test_nothing_without_the_cookie(gate):
    opened(gate)
    assert get(gate).status == 403
    assert get(gate, cookie="e2s-8123=guessed").status == 403
    assert gate.seen == []


def test_no_cookie_counts_before_the_start(gate):
    assert get(gate, cookie=f"e2s-{PORT}=").status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "127.0.0.1:81", "", "127.0.0.1"])
def test_dns_rebinding(gate, host):
    cookie = opened(gate)
    assert get(gate, cookie=cookie, host=host).status == 421
    assert gate.seen == []


def test_own_pages_pass(gate):
    cookie = opened(gate)
    token = get(gate, cookie=cookie).body.decode()
    answer = post(gate, {"token": token, "a": "1"}, cookie=cookie, origin=f"http://{HOST}")
    assert answer.status == 200
    assert dict(gate.seen[-1].fields) == {"a": "1"}


def test_cross_site_form(gate):
    cookie = opened(gate)
    token = get(gate, cookie=cookie).body.decode()
    assert post(gate, {"a": "1"}, cookie=cookie).status == 403
    assert post(gate, {"token": "guessed"}, cookie=cookie).status == 403
    assert post(gate, {"token": token}, cookie=cookie, origin="http://evil.example").status == 403
    assert post(gate, {"token": token}, cookie=cookie, origin="null").status == 403
    assert post(gate, {"token": token}, cookie=cookie, **{"sec-fetch-site": "cross-site"}).status == 403
    assert len(gate.seen) == 1


def test_other_content_and_methods(gate):
    cookie = opened(gate)
    token = get(gate, cookie=cookie).body.decode()
    assert post(gate, {"token": token}, cookie=cookie, **{"content-type": "application/json"}).status == 403
    assert gate.handle(Request("DELETE", "/", b"", {"host": HOST, "cookie": cookie})).status == 405
    assert post(gate, {"token": token, "a": "x" * 70_000}, cookie=cookie).status == 403


@given(body=st.binary(max_size=300))
def test_garbage_is_an_answer(body):
    made = Gate(lambda _: Response(200), port=PORT, random=secrets.token_bytes)
    cookie = opened(made)
    answer = made.handle(Request("POST", "/", body, {"host": HOST, "cookie": cookie, "content-type": FORM}))
    assert answer.status in {400, 403}


def test_pages_allow_no_script_and_no_frame():
    policy = page("error.html", alert="x").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy


def test_values_are_escaped():
    body = page("error.html", alert="<script>alert(1)</script>").body
    assert b"<script>" not in body
    assert b"&lt;script&gt;" in body


def test_redirects_stay_here():
    assert redirect("/basket").headers == {"location": "/basket"}


def test_pass_phrase_stands_in_no_answer_and_no_file(scene, caplog):
    """Typed wrong and typed right: it is in no page, no header, no log and no file."""
    trade = scene.offered()
    door = WalletPage(scene.wallet, port=PORT, random=secrets.token_bytes)
    cookie = get(door, door.start_path).headers["set-cookie"].partition(";")[0]
    shown = get(door, f"/trade/{trade}", cookie=cookie).body.decode()
    found = re.search(r'name="token" value="([^"]+)"', shown)
    assert found is not None
    answers = [
        post(door, {"token": found[1], "phrase": typed}, f"/trade/{trade}/accept", cookie=cookie)
        for typed in ("a wrong pass phrase", PHRASE)
    ]
    assert [answer.status for answer in answers] == [409, 303]
    assert scene.state(trade) == "contract"
    for secret in ("a wrong pass phrase", PHRASE):
        assert secret not in caplog.text
        for answer in answers:
            assert secret.encode() not in answer.body + str(answer.headers).encode()
        for path in scene.home.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
