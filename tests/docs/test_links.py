"""What the pages point at exists: files, folders, rooms of the tree and their tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
PAGES = [*sorted(HERE.glob("*.md")), *sorted((HERE / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_some_pages_have_links():
    assert sum(len(LINK.findall(page.read_text(encoding="utf-8"))) for page in PAGES) > 30


def test_every_room_stands_in_the_architecture_and_every_test_folder_exists():
    said = (HERE / "docs" / "architecture.md").read_text(encoding="utf-8")
    source = HERE / "src" / "e2s"
    floors = [path.parent for path in source.glob("*/__init__.py")]
    rooms = {room.parent for floor in floors for room in floor.glob("*/__init__.py")}
    rooms |= {floor for floor in floors if not any(room.parent == floor for room in rooms)}
    assert len(rooms) >= 10
    assert [
        f"{room.relative_to(source)}/" for room in rooms if f"`{room.relative_to(source)}/`" not in said
    ] == []
    named = set(re.findall(r"`(tests/[a-z]+)", said))
    assert {
        path.name for path in (HERE / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"
    } == {name.removeprefix("tests/") for name in named}
