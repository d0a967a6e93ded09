"""Wallet and manager served on loopback to Debian's Chromium, among the parties of the wallet's own tests."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2s.base.database import Database
from e2s.base.http import Handler, Request, Response
from e2s.client.wallet import manager
from e2s.client.wallet.home import BOOK, Holder, HomeLock, ManagerHome
from e2s.client.wallet.manager_page import ManagerPage
from e2s.client.wallet.page import WalletPage
from e2s.network.sessions.server import Served
from e2s.security.keys.software import SoftwarePse
from tests.client.parties import ALBERT, ALPHA, Keys, Parties, Scene, make_keys, phrase
from tests.worlds.pki import SetClock

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
IMAGES = Path(__file__).parents[2] / "docs" / "images"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all; a machine without it skips here, CI never does (tests/conftest.py)."""
    if not Path(CHROMIUM).exists():
        pytest.skip("chromium is not installed (debian-packages.txt)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def tab(browser) -> Iterator[Any]:
    """A fresh profile that refuses to leave loopback."""
    context = browser.new_context(viewport={"width": 1180, "height": 900}, color_scheme="light")
    context.set_default_timeout(10_000)
    made = context.new_page()
    outside: list[str] = []
    made.on("request", lambda r: None if r.url.startswith("http://127.0.0.1:") else outside.append(r.url))
    yield made
    context.close()
    assert outside == []


@pytest.fixture
def shot(tab, tmp_path) -> Callable[[str], None]:
    """Keeps a picture: in the docs when E2S_SCREENSHOTS=1, else where it is forgotten."""
    folder = IMAGES if os.environ.get("E2S_SCREENSHOTS") == "1" else tmp_path
    folder.mkdir(parents=True, exist_ok=True)

    def take(name: str) -> None:
        tab.screenshot(path=folder / f"{name}.png", full_page=True)

    return take


@pytest.fixture(scope="session")
def keys() -> Keys:
    return make_keys()


@dataclass
class Site:
    """A page as served: where it is, the link that opens it, and what stands behind it."""

    origin: str
    start: str
    scene: Scene


@pytest.fixture
def scene(keys, tmp_path) -> Iterator[Scene]:
    made = Scene(Parties(keys, SetClock()), tmp_path / "wallet")
    yield made
    made.wallet.close()


def _first(pages: list[Any]) -> Handler:
    """The page knows its port only once it is served, so it comes second."""

    def handle(request: Request) -> Response:
        answer: Response = pages[0].handle(request)
        return answer

    return handle


@pytest.fixture
def wallet_site(scene) -> Iterator[Site]:
    pages: list[WalletPage] = []
    with Served(_first(pages)) as served:
        made = WalletPage(
            scene.wallet,
            port=served.port,
            random=secrets.token_bytes,
            deliver_to="Alpha Instruments, 1 Street, 10115 Berlin",
            cost_centre="4711",
        )
        pages.append(made)
        yield Site(served.origin, served.origin + made.start_path, scene)


@pytest.fixture
def manager_site(scene, keys, tmp_path) -> Iterator[Site]:
    keys.pse(tmp_path / "manager-pse", keys.manager).close()
    office = manager.Office(
        person=ALBERT,
        organisation=ALPHA,
        currency="EUR",
        title="Alpha Instruments",
        pse=SoftwarePse.open(tmp_path / "manager-pse", phrase()),
        issuer=keys.bank(),
        database=Database.open(tmp_path / "manager.db", manager.TABLES),
        exchange=scene.parties.exchange,
        trust=scene.parties.trust,
        clock=scene.parties.clock,
        random=secrets.token_bytes,
    )
    home = ManagerHome(
        desk=manager.Desk(office),
        lock=HomeLock(tmp_path / "acting"),
        holders=(Holder(title="Anna", certificate=keys.buyer["card"][0].id),),
        wallets=(scene.home,),
    )
    assert (scene.home / BOOK).exists()
    pages: list[ManagerPage] = []
    with Served(_first(pages)) as served:
        pages.append(ManagerPage(home, port=served.port, random=secrets.token_bytes))
        yield Site(served.origin, served.origin + pages[0].start_path, scene)
    home.desk.close()
