"""docs/profiles.md has the profiles as they are, each member of a file of them, each level and each rule."""

from __future__ import annotations

import re
from pathlib import Path

from e2s.crypto import oids
from e2s.security.certificates.profile_file import EKUS, MEMBERS
from e2s.security.certificates.profiles import PROFILES, Profile, read_profiles

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
NAMES = {oid: name for name, oid in EKUS.items()}
EXAMPLE = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def row(one: Profile) -> str:
    """The line of the page's table for a profile."""
    purposes = ", ".join(NAMES[oid] for oid in one.ekus)
    issuers = ", ".join(sorted(name for name, other in PROFILES.items() if one.name in other.issues))
    officers = "two" if one.four_eyes else "one"
    cells = (
        f"`{one.name}`",
        one.use.value,
        str(one.lifetime.days),
        purposes,
        one.confidence or "",
        officers,
        issuers,
    )
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def test_the_table_is_that_of_the_data():
    rows = [row(one) for one in PROFILES.values()]
    assert [line for line in PAGE.splitlines() if line in rows] == rows, "\n".join(rows)


def test_every_member_is_described():
    described = {
        name
        for line in PAGE.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert described >= set(MEMBERS)


def test_the_levels_are_those_of_the_code():
    assert all(f"| `{level}` | `{oid}` |" in PAGE for level, oid in oids.CONFIDENCE.items())


def test_the_example_is_read():
    assert EXAMPLE
    assert "laboratory" in read_profiles(EXAMPLE[1].encode(), PROFILES)["operating-ca"].issues


def test_every_rule_of_linting_is_described():
    sources = (ROOT / "src/e2s/security/certificates").glob("*.py")
    rules = {rule for file in sources for rule in re.findall(r'"(lint-[a-z-]+)"', file.read_text("utf-8"))}
    assert rules == set(re.findall(r"`(lint-[a-z-]+)`", PAGE))
