"""A community's own rows of suites: named in its file, judged by its rules, obeyed by its shops and wallets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from e2s.base.errors import Misuse, Refusal
from e2s.base.http import Request
from e2s.client.wallet.session import ShopLine
from e2s.community.conformance import findings
from e2s.community.file import load_community, read_community
from e2s.network.sessions.calls import PAGE_PATH
from e2s.network.sessions.pages import read_page_answer
from tests.community.samples import EXAMPLE
from tests.worlds.whole import LINES, Whole

AT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
HYBRID = "p384-ml-kem-1024-hkdf-sha384-aes256gcm"
NAMED = EXAMPLE.replace("[community]\n", '[community]\nsuites = "suites.toml"\n', 1)


def rows(*forbidden: str) -> str:
    lines = "".join(
        f'  {{ use = ["confidentiality"], mechanism = "{one}", status = "forbidden", clause = "3" }},\n'
        for one in forbidden
    )
    return f'[[document]]\nname = "Rules"\nedition = "1"\nlocations = ["DE"]\nrow = [\n{lines}]\n'


def written(folder: Path, table: str | None) -> Path:
    file = folder / "community.toml"
    file.write_text(NAMED)
    if table is not None:
        (folder / "suites.toml").write_text(table)
    return file


def test_own_rows_are_read_beside_the_community_file(tmp_path):
    community = load_community(written(tmp_path, rows("ecdh+ml-kem")))
    assert community.policy is not None
    assert findings(community, at=AT) == ()
    assert read_community(EXAMPLE.encode()).policy is None


def test_own_rows_that_leave_nothing_do_not_conform(tmp_path):
    found = findings(load_community(written(tmp_path, rows("aes-gcm"))), at=AT)
    assert {one.rule.name for one in found} == {"common-suite"}
    assert "aes-gcm-256 for confidentiality at DE: forbidden (Rules, 1: 3)" in found[0].what


def test_bad_or_missing_own_rows_stop_everything(tmp_path):
    with pytest.raises(Misuse, match="no-suite-table"):
        load_community(written(tmp_path, None))
    with pytest.raises(Refusal, match="bad-suite-table"):
        load_community(written(tmp_path, "row = 1"))


@pytest.mark.parametrize(
    "name", ["../suites.toml", "/etc/suites.toml", "suites", ".toml", "a/b.toml", "é.toml"]
)
def test_own_rows_stand_beside_the_community_file_and_nowhere_else(name):
    with pytest.raises(Refusal, match=r"community\.suites: is the name of a \.toml file"):
        read_community(NAMED.replace("suites.toml", name, 1).encode())


def test_own_rows_are_obeyed_by_shop_and_wallet(tmp_path):
    whole = Whole(tmp_path / "market", rows=rows("ecdh+ml-kem"))
    try:
        shop = whole.community.component("volt-shop").origin
        page, _ = read_page_answer(whole.exchange.send(shop, Request("GET", PAGE_PATH)).body)
        assert page.offer.location == "DE"
        assert HYBRID not in page.offer.suites
        wallet = whole.wallet().wallet
        line = wallet.line(wallet.desk.shops[0].name)
        assert isinstance(line, ShopLine)
        assert line._choice.offer(whole.clock.now()) == page.offer
        whole.load()
        assert wallet.basket(wallet.desk.shops[0].name, LINES).sums
        line.close()
    finally:
        whole.close()
