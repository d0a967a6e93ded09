"""docs/verification.md names every rule by which the verifier refuses, each option of the command, and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from e2s.cli.main import main

HERE = Path(__file__).parents[2]
PAGE = (HERE / "docs" / "verification.md").read_text(encoding="utf-8")
ROOM = HERE / "src" / "e2s" / "security" / "verification"


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> set[str]:
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])}


def given(path: Path, what: str) -> set[str]:
    """The rules that a module gives: the first arguments of ``what``, constants of the room among them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == what:
            rule = node.args[0]
            found.add(str(rule.value if isinstance(rule, ast.Constant) else constants[ast.unparse(rule)]))
    return found


def test_every_rule_of_the_verifier():
    rules = set().union(*(given(path, "Fault") for path in sorted(ROOM.glob("*.py"))))
    assert first_cells(section("Rules of refusal")) == rules
    assert len(rules) > 15


def test_every_rule_of_attribute_certificates():
    rules = given(ROOM / "attribute_certificates.py", "Refusal")
    assert first_cells(section("Attribute certificates")) == rules


def test_every_option(capsys):
    for words in (["pki", "verify", "--help"], ["pki", "attributes", "--help"]):
        try:
            main(words)
        except SystemExit as ended:
            assert ended.code == 0
        said = capsys.readouterr().out
        assert "Example: e2s pki" in said
        if words[1] == "verify":
            options = set(re.findall(r"^ +(--[a-z-]+)", said, re.MULTILINE)) - {"--help"}
            assert options == set(re.findall(r"`(--[a-z-]+)", section("The command").split("| option")[1]))
