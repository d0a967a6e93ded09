"""The outside carries what it cannot read and shows what is public; broken into, it gains nothing."""

from __future__ import annotations

import pytest

from e2s.base import wire
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request
from e2s.base.wire import b64u
from e2s.network.sessions.calls import LOGIN_PATH, PAGE_PATH, RECORD_PATH
from e2s.network.sessions.link import Link
from tests.worlds.shop import LINES, ShopWorld


@pytest.fixture
def shop(tmp_path):
    world = ShopWorld(tmp_path)
    world.load()
    return world


def get(shop, path, method="GET", body=b""):
    return shop.outside.handle(Request(method, path, body))


def test_the_public_page_says_how_to_come_in(shop):
    page = get(shop, "/")
    assert page.status == 200
    for part in (b"Volt", shop.name.encode(), shop.origin.encode(), b"Made up for the tests."):
        assert part in page.body
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert b"<script" not in page.body
    assert get(shop, "/shop.css").headers["content-type"] == "text/css"
    assert get(shop, "/", "HEAD").body == b""


def test_the_page_shows_words_not_markup(tmp_path):
    shop = ShopWorld(tmp_path)
    shop.publisher._title = "<script>alert(1)</script>"
    shop.load()
    assert b"<script>" not in get(shop, "/").body


@pytest.mark.parametrize(
    "path",
    ["/index.html", "/../keys.db", "/%2e%2e/keys.db", "/public/index.html", "/catalogue", "//", "/publish/x"],
)
def test_other_paths_are_nothing(shop, path):
    assert get(shop, path).status == 404


@pytest.mark.parametrize("path", ["/", "/catalogue.cms", "/shop.css", "/publish"])
def test_public_files_cannot_be_written(shop, path):
    before = get(shop, "/").body
    assert get(shop, path, "PUT", b"x").status == 405
    assert get(shop, path, "DELETE").status == 405
    assert get(shop, "/").body == before


def test_only_the_catalogue_component_publishes(shop):
    body = wire.encode(
        {"files": {name: b64u(b"x") for name in ("index.html", "catalogue.cms", "catalogue.bin")}}
    )
    before = get(shop, "/").body
    for peer in ("purchasing", "outside"):
        link = Link(peer, "outside", b"k" * 32, shop.exchange, "link:outside", shop.clock, lambda n: b"r" * n)
        with pytest.raises(Unreachable):
            link.ask("/publish", body)
    assert get(shop, "/").body == before
    assert wire.decode(shop.link("catalogue", "outside").ask("/publish", body)) == {"files": 3}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"index.html": "eA"},
        {"index.html": "eA", "catalogue.cms": "eA", "catalogue.bin": "eA", "evil.html": "eA"},
        {"index.html": "eA", "catalogue.cms": "eA", "../keys.db": "eA"},
        {"index.html": 1, "catalogue.cms": "eA", "catalogue.bin": "eA"},
        {"index.html": "!", "catalogue.cms": "eA", "catalogue.bin": "eA"},
        [],
    ],
)
def test_a_publication_holds_exactly_the_public_files(shop, files):
    before = get(shop, "/").body
    with pytest.raises(Refusal):
        shop.link("catalogue", "outside").ask("/publish", wire.encode({"files": files}))
    assert get(shop, "/").body == before
    assert sorted(path.name for path in (shop.folder / "public").iterdir()) == [
        "catalogue.bin",
        "catalogue.cms",
        "index.html",
    ]


@pytest.mark.parametrize(
    ("path", "size"), [(PAGE_PATH, 1), (LOGIN_PATH, 64 * 1024 + 1), (RECORD_PATH, 2**20 + 1)]
)
def test_what_is_carried_is_bounded(shop, path, size):
    assert get(shop, path, "POST", b"x" * size).status in (405, 413)


def test_a_broken_outside_gains_nothing(shop):
    """It holds no key of the merchant, cannot use inside doors, and sees neither prices nor lines."""
    seen: list[bytes] = []
    carry = shop.exchange.send

    def watched(origin, request):
        response = carry(origin, request)
        if origin == shop.origin:
            seen.extend((request.body, response.body))
        return response

    shop.exchange.send = watched
    anna = shop.person()
    visit = shop.visit(anna)
    visit.ask("basket", {"lines": LINES})
    shop.exchange.send = carry
    everything = b"".join(seen)
    for secret in (b"R:10K", b"15.00", b"Framework", b"alpha:anna"):
        assert secret not in everything
    outside = shop.link("outside", "keys")
    for path, body in (("/sign", {"key": "merchant", "document": "", "over": []}), ("/certificates", {})):
        with pytest.raises(Refusal, match="key-handler-wrong-component"):
            outside.ask(path, wire.encode(body))
    with pytest.raises(Unreachable):
        shop.link("outside", "payment").ask("/reverse", b"{}")


def test_a_silent_inside_is_unreachable_and_public_pages_stay(shop):
    del shop.exchange.doors["link:purchasing"]
    with pytest.raises(Unreachable):
        get(shop, PAGE_PATH)
    assert get(shop, "/").status == 200
