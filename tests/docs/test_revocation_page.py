"""The page about revocation: its code runs, and its tables are the code's."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from e2s.security.status.responder import Answering
from e2s.security.verification.crls import CrlIndex
from tests.security.test_queries import HOSTILE
from tests.worlds.pki import make_pki

PAGE = (Path(__file__).parents[2] / "docs" / "revocation.md").read_text(encoding="utf-8")


def rows(heading):
    table = PAGE.split(heading, 1)[1].split("\n\n", 1)[0]
    return [
        re.findall(r"`([a-z_-]+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("|")
    ]


def test_the_code_of_the_page_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    pki = make_pki()
    scope: dict[str, Any] = {"serial": 77, "ca": pki.operating_ca.signer}
    exec(code, scope)
    complete, delta = (CrlIndex.read(scope[name]) for name in ("complete", "delta"))
    assert complete.revoked[77].reason == "keyCompromise"
    assert (delta.base, delta.revoked[77].reason) == (complete.number, "removeFromCRL")
    assert complete.scope == delta.scope
    assert complete.signed_by(pki.operating)
    assert delta.signed_by(pki.operating)


def test_every_setting_is_described():
    named = [name for names in rows("| setting (`Answering`)") for name in names]
    assert named == [field.name for field in fields(Answering)]


def test_every_rule_of_queries_is_described():
    named = {name for names in rows("| rule | status | refused |") for name in names}
    assert {rule for rule, _ in HOSTILE.values()} | {"unknown-issuer", "status-stale"} <= named
