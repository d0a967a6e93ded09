"""``e2s wallet`` and ``e2s manager`` as processes, over sockets, killed and taken up again."""

from __future__ import annotations

import json
import re
import secrets
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2s.base.http import Handler, Request, Response
from e2s.base.instants import SystemClock
from e2s.client.wallet.card import seal_card
from e2s.client.wallet.home import toml
from e2s.network.sessions.server import Served
from e2s.security.repository.files import Repository
from tests.client.parties import ALBERT, ALPHA, ANNA, BANK, PAN, PHRASE, VOLT, Keys, Parties, card_record
from tests.worlds.pki import make_pki
from tests.worlds.proxy import Proxy

pytestmark = pytest.mark.processes
#: Ends the process the hard way at the n-th commit.
DRILL = """
import os, signal, sys
from e2s.base import meter
from e2s.cli.main import main
n, seen = int(sys.argv.pop(1)), []
def watcher(what, _):
    if what == "commit":
        seen.append(1)
        if len(seen) == n:
            os.kill(os.getpid(), signal.SIGKILL)
meter.watch(watcher)
main()
"""


@dataclass
class World:
    """The homes of Anna and Albert, and everybody else behind sockets."""

    folder: Path
    parties: Parties

    @property
    def wallet(self) -> Path:
        return self.folder / "wallet"

    @property
    def manager(self) -> Path:
        return self.folder / "manager"

    def run(self, *arguments: str, drill: int = 0, home: str = "wallet") -> subprocess.CompletedProcess[str]:
        group, command, *rest = arguments
        given = [
            group,
            command,
            *rest,
            "--home",
            str(self.folder / home),
            "--phrase-file",
            str(self.folder / "phrase"),
        ]
        start = ["-c", DRILL, str(drill)] if drill else ["-m", "e2s.cli.main"]
        return subprocess.run(
            [sys.executable, *start, *given], capture_output=True, text=True, timeout=120, check=False
        )

    def told(self, *arguments: str, home: str = "wallet", code: int = 0) -> Any:
        done = self.run(*arguments, "--json", home=home)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


def _later(doors: dict[str, Handler], name: str) -> Handler:
    def handle(request: Request) -> Response:
        return doors[name](request)

    return handle


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("market")
    doors: dict[str, Handler] = {}
    with ExitStack() as stack:
        origins = {
            name: stack.enter_context(Served(_later(doors, name))).origin
            for name in ("shop", "bank", "clock", "authority")
        }
        clock = SystemClock()
        pki = make_pki("market", at=clock.now())
        keys = Keys(pki, shop=origins["shop"], banking=origins["bank"])
        parties = Parties(keys, clock)
        repository = Repository(folder / "repository")
        lists = zip((pki.root, pki.operating, pki.card_ca), pki.crls(clock.now()), strict=True)
        for issuer, crl in lists:
            repository.publish_crl(issuer, crl)
        doors |= {
            "shop": parties.doors[keys.shop],
            "bank": parties.bank_door,
            "clock": parties.stamp_door,
            "authority": repository.handle,
        }
        made = World(folder, parties)
        _homes(made, keys, origins)
        yield made


def _homes(world: World, keys: Keys, origins: dict[str, str]) -> None:
    phrase = world.folder / "phrase"
    phrase.write_text(PHRASE + "\n")
    phrase.chmod(0o600)
    pki = keys.pki
    for name, certificate in (("root", pki.root), ("ca", pki.operating), ("card-ca", pki.card_ca)):
        (world.folder / f"{name}.pem").write_bytes(certificate.pem)
    holder = keys.buyer["card"][0]
    (world.folder / "card.pem").write_bytes(holder.pem)
    bank = keys.bank()
    (world.folder / "bank.pem").write_bytes(bank.signing.pem + b"".join(c.pem for c in bank.chain))
    (world.folder / "bank-agreement.pem").write_bytes(bank.agreement.pem)
    common = {
        "organisation": ALPHA,
        "title": "Alpha Instruments",
        "anchors": "../root.pem",
        "revocation": [
            {"origin": origins["authority"], "issuer": f"../{name}.pem"} for name in ("root", "ca", "card-ca")
        ],
    }
    world.wallet.mkdir()
    keys.pse(world.wallet / "pse", keys.buyer).close()
    sealed = seal_card(card_record(keys), keys.buyer["agreement"][0], secrets.token_bytes)
    (world.wallet / "card.cms").write_bytes(sealed)
    shop = {"name": VOLT, "origin": origins["shop"], "title": "Volt Components", "plain": True}
    settings = {
        "person": ANNA,
        "deliver_to": "Alpha, 1 Street, Berlin",
        "cost_centre": "4711",
        "time_stamps": [origins["clock"]],
        "shop": [shop],
        **common,
    }
    (world.wallet / "wallet.toml").write_text(toml(settings))
    world.manager.mkdir()
    keys.pse(world.manager / "pse", keys.manager).close()
    issuer = {
        "name": BANK,
        "origin": origins["bank"],
        "signing": "../bank.pem",
        "agreement": "../bank-agreement.pem",
    }
    settings = {
        "person": ALBERT,
        "currency": "EUR",
        "wallets": ["../wallet"],
        "issuer": [issuer],
        "holder": [{"title": "Anna", "certificate": "../card.pem"}],
        **common,
    }
    (world.manager / "manager.toml").write_text(toml(settings))


def test_browse(world):
    assert world.told("wallet", "login")["shop"] == VOLT
    assert world.told("wallet", "search", "0603")["total"] == 2
    assert world.told("wallet", "basket", "R-10K=1000")["total"] == "3.69"
    shown = world.run("wallet", "search", "data")
    assert "BOOK-7" in shown.stdout


def test_buy_close_and_reconcile(world):
    bought = world.told("wallet", "buy", "R-10K=1000", "BOOK-7=2", "--at-most", "50.00")
    assert (bought["state"], bought["settled"]) == ("received", True)
    assert Path(bought["bundle"]).is_file()
    limits = ("--per-purchase", "500.00", "--per-period", "2000.00")
    assert world.told("manager", "limits", *limits, home="manager")["taken"]
    out = world.folder / "statement.cms"
    found = world.told("manager", "statement", "--fetch", "--out", str(out), home="manager")
    assert [one["verdict"] for one in found["findings"]] == ["matched"]
    closed = world.told("wallet", "close", str(out))
    assert [one["state"] for one in closed] == ["closed"]
    verified = subprocess.run(
        [sys.executable, "-m", "e2s.cli.main", "evidence", "verify", bought["bundle"], "--trust", str(world.folder / "root.pem")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout


def test_purchase_through_a_proxy(world):
    """The proxy carries all of it and reads nothing of the order or the card."""
    settings = world.wallet / "wallet.toml"
    direct = settings.read_text()
    with Proxy() as proxy:
        settings.write_text(f'proxy = "{proxy.origin}"\n' + direct)
        try:
            bought = world.told("wallet", "buy", "BOOK-7=1", "--at-most", "50.00")
        finally:
            settings.write_text(direct)
    assert bought["state"] == "received"
    assert world.parties.keys.shop in proxy.targets
    for secret in (PAN, "BOOK-7", "Data book", "18.69", "4711"):
        assert secret.encode() not in proxy.seen


@pytest.mark.parametrize("commit", [1, 3, 5, 7, 9])
def test_kill_of_the_wallet(world, commit):
    world.parties.acts.clear()
    killed = world.run("wallet", "buy", "C-100N=250", "--at-most", "50.00", drill=commit)
    assert killed.returncode == -signal.SIGKILL
    world.told("wallet", "resume")
    newest = world.told("wallet", "history")[0]
    assert (newest["state"], newest["settled"]) == ("received", True)
    assert len(world.parties.acts) == 1


def test_over_the_allowance(world):
    done = world.run("wallet", "buy", "BOOK-7=9", "--at-most", "1.00", "--json")
    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])["rule"] == "over-allowance"


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("wallet", "buy", "R-10K=1"), "nobody-asked"),
        (("wallet", "buy", "R-10K", "--at-most", "1.00"), "bad-line"),
        (("wallet", "close", "/nowhere"), "no-statement"),
    ],
    ids=["nobody asked", "line", "statement"],
)
def test_misuse_is_status_2(world, arguments, rule):
    done = world.run(*arguments)
    assert (done.returncode, rule in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_exposed_phrase_file(world):
    phrase = world.folder / "phrase"
    phrase.chmod(0o644)
    try:
        done = world.run("wallet", "history")
    finally:
        phrase.chmod(0o600)
    assert (done.returncode, "phrase-file-exposed" in done.stderr) == (1, True)


def test_no_home(world):
    done = world.run("wallet", "history", home="nowhere")
    assert (done.returncode, "no-home" in done.stderr) == (2, True)


@pytest.mark.parametrize("group", ["wallet", "manager"])
def test_serve_shows_its_start_link(world, group):
    command = [sys.executable, "-m", "e2s.cli.main", group, "serve", "--home", str(world.folder / group)]
    command += ["--phrase-file", str(world.folder / "phrase")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        link = re.search(r"http://127\.0\.0\.1:\d+/start\?token=\S+", process.stdout.readline())
        assert link is not None
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(link[0], timeout=20) as answer:
            assert answer.status == 200
            assert b"<h1>" in answer.read()
        process.terminate()
        assert process.wait(20) == 0


def test_help_has_an_example():
    for group, commands in (
        ("wallet", "login search basket buy resume history show accept pay receipt decline close serve"),
        ("manager", "limits statement serve"),
    ):
        from e2s.cli import manager, wallet

        app = {"wallet": wallet, "manager": manager}[group].app
        named = {(command.name or command.callback.__name__): command for command in app.registered_commands}
        assert sorted(named) == sorted(commands.split())
        assert all((command.epilog or "").startswith("Example: e2s ") for command in named.values())
