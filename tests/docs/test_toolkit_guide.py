"""docs/toolkit.md is run: its Python blocks in order, as printed, each against the output that follows it."""

from __future__ import annotations

import contextlib
import io
import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "toolkit.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FACE = re.compile(r"^\| `(e2s[a-z.]+)` \| (.*?) \|", re.MULTILINE)


def test_the_example_runs_and_prints_what_is_printed():
    names: dict[str, object] = {"__name__": "guide"}
    said, blocks = "", 0
    for match in BLOCK.finditer(PAGE):
        kind, body = match.groups()
        line = PAGE.count("\n", 0, match.start()) + 2
        if kind == "text":
            assert said == body, f"line {line}"
            said = ""
            continue
        assert not said, f"what the block before line {line} prints is not shown"
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("\n" * (line - 1) + body, "docs/toolkit.md", "exec"), names)
        said = out.getvalue()
        blocks += 1
    assert not said
    assert blocks > 10


def test_the_example_uses_public_names_only():
    code = "".join(body for kind, body in BLOCK.findall(PAGE) if kind == "python")
    assert re.findall(r"\b_[a-z]\w*", code.replace("_,", "").replace("_ ", "")) == []
    for module, imported in re.findall(r"^from (e2s[\w.]+) import (.*)$", code, re.MULTILINE):
        for name in imported.split(", "):
            if not hasattr(import_module(module), name):
                import_module(f"{module}.{name}")  # a room, or there is no such name


@pytest.mark.parametrize(("module", "named"), FACE.findall(PAGE))
def test_each_face_gives_what_is_said_of_it(module, named):
    face = import_module(module)
    rooms = [face, *(import_module(f"{module}.{room}") for room in ROOMS.get(module, ()))]
    for name in re.findall(r"`([A-Za-z_]+)`", named):
        assert any(hasattr(room, name) for room in rooms), name


#: Where the names of a floor stand that has no face of its own.
ROOMS = {
    "e2s.security.keys": ("generation", "software"),
    "e2s.security": ("certificates.certify", "verification.trust", "verification.verifier"),
}
