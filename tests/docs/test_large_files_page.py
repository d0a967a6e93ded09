"""The page on large files: its code runs as it stands, in turn, and the bounds that it names are those."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from e2s.crypto import der, oids
from e2s.crypto.cms.streaming import MAX_GCM_BYTES
from e2s.crypto.cms.streaming.walk import MAX_ELEMENTS, MAX_STRUCTURE
from tests.worlds.crypto import AT, party

PAGE = (Path(__file__).parents[2] / "docs" / "large-files.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_code_of_the_page_runs(tmp_path):
    content = secrets.token_bytes(600_000)
    (tmp_path / "plans.tar").write_bytes(content)
    names: dict[str, Any] = {
        "folder": tmp_path,
        "oids": oids,
        "anna": party("p256", "anna"),
        "bert": party("p384", "bert"),
        "random": secrets.token_bytes,
        "at": AT,
    }
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/large-files.md", "exec"), names)
    assert (tmp_path / "plans.out").read_bytes() == content
    assert names["opened"].authenticated
    assert names["verified"].size == len(content)
    assert {one.name for one in tmp_path.iterdir()} == {"plans.tar", "plans.enc", "plans.out", "plans.signed"}


def test_the_bounds_are_those():
    assert "64 GiB less 32 octets" in PAGE
    assert MAX_GCM_BYTES == 64 * 2**30 - 32
    assert f"| {MAX_STRUCTURE // 2**20} MiB |" in PAGE
    assert f"| {MAX_ELEMENTS:,}, " in PAGE
    assert f"| {der.MAX_DEPTH} |" in PAGE
