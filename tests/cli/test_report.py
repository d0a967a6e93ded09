"""Tables fit the terminal; a pipe gets whole lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.cli import report

ROWS = [
    (
        "urn:e2s:market:trade:9f3a77aa-0d11-4b5e",
        "Ceramic capacitor 100 nF 50 V X7R 0603",
        "12.3400 EUR",
        "paid",
    ),
    ("t", "", "0.01 EUR", "void"),
]


def test_a_terminal_of_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    report.table(("order", "text", "price of one", "state"), [*ROWS, ("q" * 120, "y" * 90, "z", "received")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("q") for line in lines) == 120  # nothing is cut away


def test_a_pipe_has_one_line_a_row(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    report.table(("order", "text", "price of one", "state"), ROWS * 3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert lines[1].split()[-1] == "paid"


@pytest.mark.parametrize("said", ["", "0", "wide", "-3"])
def test_columns_that_say_nothing(monkeypatch, said):
    monkeypatch.setenv("COLUMNS", said)
    assert report.terminal_columns() > 1000


@given(widths=st.lists(st.integers(1, 300), min_size=1, max_size=8), room=st.integers(1, 200))
def test_widths_are_narrowed_no_further_than_needed(widths, room):
    found = report.narrowed(widths, room)
    assert all(narrow <= width for narrow, width in zip(found, widths, strict=True))
    if sum(widths) <= room:
        assert found == widths
    elif sum(found) > room:
        assert max(found) <= 8
    else:
        assert sum(found) == room
