"""docs/community.md lists every rule of conformance and every kind of component."""

from __future__ import annotations

from pathlib import Path

from e2s.community.conformance import RULES
from e2s.community.kinds import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "community.md").read_text(encoding="utf-8")


def test_the_page_has_every_rule_in_its_order():
    rows = [f"| {r.number} | `{r.name}` | {r.clause} | {r.reason} |" for r in RULES]
    assert [line for line in PAGE.splitlines() if line in rows] == rows


def test_the_page_names_every_kind_of_component_and_each_setting():
    for kind in KINDS.values():
        assert all(f"`{name}`" in PAGE for name in (kind.name, *kind.settings)), kind.name
