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


HEADER = ("order", "text", "price of one", "state")


def test_cells_are_wrapped_between_words(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    report.table(HEADER, [*ROWS, ("u", "a very long description " * 6, "1.00 EUR", "received")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert ROWS[0][0] in lines[1]
    assert sum(line.count("description") for line in lines) == 6


def test_words_are_never_broken(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    report.table(HEADER, [*ROWS, ("q" * 60, "y" * 40, "z", "received")])
    lines = capsys.readouterr().out.splitlines()
    assert "order:         " + "q" * 60 in lines
    assert lines[4] == ""
    assert len(lines) == 13


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


@given(
    columns=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=8),
    room=st.integers(1, 200),
)
def test_widths_are_narrowed_no_further_than_needed(columns, room):
    widths, least = [max(pair) for pair in columns], [min(pair) for pair in columns]
    found = report.narrowed(widths, least, room)
    assert all(small <= now <= width for small, now, width in zip(least, found, widths, strict=True))
    if sum(widths) <= room:
        assert found == widths
    else:
        assert sum(found) == max(room, sum(least))
