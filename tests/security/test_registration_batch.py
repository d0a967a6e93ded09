"""Many at once: every row is judged, a row is registered once, and no spreadsheet is believed or fooled."""

from __future__ import annotations

import csv
import io
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.keys.generation import generate
from e2s.security.registration import applicants, batch, sheets, store
from e2s.security.registration.sheets import COLUMNS, REQUIRED, read_rows, safe_cell
from tests.worlds.pki import make_pki
from tests.worlds.registration import HEADER, OLGA, World, a_row, csr_pem, sheet


@pytest.fixture(scope="module")
def pki():
    return make_pki()


@pytest.fixture
def world(tmp_path, pki):
    made = World(tmp_path, pki)
    yield made
    made.office.database.close()


PEM = csr_pem()


def judged(world, file, folder=None):
    ident = batch.batch_id(file, world.office)
    return [one for one, _ in applicants.judge_rows(world.office, file, folder or world.folder, OLGA, ident)]


def registered(world, file, signer=None):
    ident = batch.batch_id(file, world.office)
    return batch.register(world.office, file, world.folder, signer or world.olga, ident)


def results(world, file):
    out = io.StringIO()
    batch.write_results(world.office, batch.batch_id(file, world.office), out)
    return list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))


# ---------------------------------------------------------------- the way of a batch
def test_a_batch_is_judged_registered_approved_and_certified(world):
    file = sheet([a_row(n) for n in range(1, 31)])
    said = judged(world, file)
    assert [one.result for one in said] == ["ok"] * 30
    assert said[0].name == "urn:e2s:market:alpha:person-b"
    assert world.events() == []
    file.seek(0)
    tally = registered(world, file)
    assert (tally.ok, tally.refused) == (30, 0)
    assert world.submit().certified == 30
    rows = results(world, file)
    assert [row["state"] for row in rows] == ["certified"] * 30
    for row in rows:
        assert Certificate.read(row["certificate"].encode()).name == row["name"]
    kinds = world.kinds()
    assert kinds.count("case.registered") == kinds.count("case.certified") == 30
    assert kinds.count("approval.signed") == 1


def test_the_same_batch_again_registers_nobody_again(world):
    file = sheet([a_row(n) for n in range(5)])
    registered(world, file)
    file.seek(0)
    again = registered(world, file)
    assert (again.ok, again.done) == (0, 5)
    file.seek(0)
    assert [one.result for one in judged(world, file)] == ["done"] * 5
    assert world.submit().certified == 5


def test_profiles_that_need_two_officers_are_approved_apart(world):
    file = sheet([a_row(n, profile="code-signing" if n % 2 else "person", seen="original") for n in range(6)])
    registered(world, file)
    assert (world.count("approved"), world.count("countersign")) == (3, 3)
    assert world.submit().certified == 3
    with world.office.database.reading() as connection:
        (waiting,) = store.approvals(connection, "once")
    world.second(waiting.n)
    assert world.submit().certified == 3


def test_an_officer_without_the_right_registers_nobody(world):
    with pytest.raises(Refusal, match="not-authorised"):
        registered(world, sheet([a_row(1)]), world.otto)
    assert world.count("named") == 0


def test_what_was_registered_before_a_kill_is_approved_first(world):
    """The process died between the commit of the cases and that of the signature."""
    file = sheet([a_row(n) for n in range(3)])
    ident = batch.batch_id(file, world.office)
    rows = applicants.judge_rows(world.office, file, world.folder, OLGA, ident)
    good = [one for _, one in rows if one is not None]
    with world.office.database.transaction() as connection:
        for one in good[:2]:
            name, holder = applicants.named(world.office, store.Register(connection), one, world.clock.now())
            batch._add(world.office, connection, one, name, holder, OLGA, ident, world.clock.now())
    assert world.count("named") == 2
    file.seek(0)
    tally = registered(world, file)
    assert (tally.ok, tally.done) == (1, 2)
    assert world.submit().certified == 3


# ---------------------------------------------------------------- rows
@pytest.mark.parametrize(
    ("rule", "column", "cells"),
    [
        ("no-such-profile", "profile", {"profile": "emperor"}),
        ("wrong-profile", "profile", {"profile": "operating-ca"}),
        ("bad-name", "party", {"party": "Alpha"}),
        ("formula", "name", {"name": "=HYPERLINK(1)"}),
        ("mixed-scripts", "name", {"name": "Anna Bеrg"}),
        ("bad-name", "person", {"person": "Anna"}),
        ("evidence-kind", "evidence", {"evidence": "library-card"}),
        ("evidence-seen", "seen", {"seen": "rumour"}),
        ("document-number", "number", {"number": "1.23457E+11"}),
        ("document-number", "number", {"number": "?"}),
        ("bad-date", "expires", {"expires": "31.12.2030"}),
        ("evidence-expired", "expires", {"expires": "2020-01-01"}),
        ("bad-date", "expires", {"expires": ""}),
        ("bad-request", "request", {"request": "-----BEGIN CERTIFICATE-----"}),
        ("bad-file", "request", {"request": "/etc/passwd"}),
        ("bad-file", "request", {"request": "../../secret"}),
        ("bad-file", "request", {"request": "none.pem"}),
        ("empty-cell", "place", {"place": " "}),
        ("bad-cell", "issuer", {"issuer": "Uto\x00pia"}),
        ("bad-cell", "issuer", {"issuer": "x" * 30_000}),
        ("no-label", "name", {"name": "Анна"}),
        ("own-case", "person", {"party": "authority", "person": "olga"}),
    ],
    ids=lambda value: "-".join(f"{k}-{v[:12]!r}" for k, v in value.items()) if isinstance(value, dict) else value,
)  # fmt: skip
def test_a_row_is_refused_by_rule_and_column_and_the_others_stand(world, rule, column, cells):
    (bad, good) = judged(world, sheet([a_row(1, **{"request": PEM, **cells}), a_row(2)]))
    assert (bad.result, bad.rule, bad.column, bad.line) == ("refused", rule, column, 2)
    assert (good.result, good.line > 2) == ("ok", True)


def test_a_key_or_name_stands_in_one_row(world):
    pem = csr_pem()
    rows = [
        a_row(1, pem=pem),
        a_row(2, pem=pem),
        a_row(3, person="anna"),
        a_row(4, person="anna"),
        a_row(5, person="an-na"),
        a_row(6, number="P000003"),
        a_row(7, number="P000003", person="bea"),
    ]
    said = judged(world, sheet(rows))
    assert [one.rule for one in said] == [
        "",
        "key-twice",
        "",
        "name-given",
        "name-confusable",
        "",
        "known-person",
    ]
    assert said[5].name == "urn:e2s:market:alpha:anna"


def test_people_of_one_name_get_numbers(world):
    file = sheet([a_row(n, name="Anna Berg") for n in range(12)])
    assert [one.name.rpartition(":")[2] for one in judged(world, file)][::11] == ["anna-berg", "anna-berg-12"]
    file.seek(0)
    registered(world, file)
    assert [row["name"].rpartition(":")[2] for row in results(world, file)][::11] == [
        "anna-berg",
        "anna-berg-12",
    ]


def test_a_request_may_be_a_file_beside_the_sheet_but_no_other(world):
    (world.folder / "requests").mkdir()
    (world.folder / "requests" / "anna.pem").write_text(csr_pem())
    (world.folder / "requests" / "out.pem").symlink_to("/etc/passwd")
    said = judged(world, sheet([a_row(1, pem="requests/anna.pem"), a_row(2, pem="requests/out.pem")]))
    assert [one.rule for one in said] == ["", "bad-file"]


def test_a_row_of_another_width_is_refused_alone(world):
    file = sheet([a_row(1), a_row(2)[:-1], a_row(3)])
    assert [one.rule for one in judged(world, file)] == ["", "bad-row", ""]


# ---------------------------------------------------------------- files
@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_what_spreadsheets_write_is_read(world, delimiter, bom, end):
    file = sheet([a_row(1), a_row(2)], delimiter=delimiter)
    octets = bom + file.getvalue().replace(b"\r\n", b"\n").replace(b"\n", end)
    assert [one.result for one in judged(world, io.BytesIO(octets))] == ["ok", "ok"]


def test_a_spreadsheets_own_line_before_the_header_is_read(world):
    octets = b"sep=;\r\n" + sheet([a_row(1)], delimiter=";").getvalue()
    assert [one.result for one in judged(world, io.BytesIO(octets))] == ["ok"]


@pytest.mark.parametrize(
    ("rule", "octets"),
    [
        ("bad-header", b""),
        ("bad-header", b"a,b,c\n1,2,3\n"),
        ("bad-header", HEADER.encode() + b",salary\n"),
        ("bad-header", HEADER.encode() + b",name\n"),
        ("empty-sheet", HEADER.encode() + b"\n"),
        ("bad-encoding", HEADER.encode() + "\nJürgen".encode("latin-1") + b"\n"),
        ("bad-encoding", HEADER.encode("utf-16")),
        ("bad-csv", HEADER.encode() + b'\n"a"b,c\n'),
        ("bad-csv", HEADER.encode() + b'\n"a\n'),
        ("too-large", HEADER.encode() + b"\n" + b"x" * 200_000),
    ],
    ids=[
        "empty", "other", "unknown", "twice", "no-row", "latin-1", "utf-16", "quotes", "open-quote", "long-line",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_its_line(world, rule, octets):
    with pytest.raises(Refusal) as caught:
        judged(world, io.BytesIO(octets))
    assert caught.value.rule == rule
    assert str(caught.value.facts["line"]) >= "1"


def test_a_file_has_so_many_rows_and_no_more(monkeypatch):
    monkeypatch.setattr(sheets, "MAX_ROWS", 3)
    with pytest.raises(Refusal, match="too-large"):
        list(read_rows(sheet([["x"] * len(REQUIRED)] * 4, header=",".join(REQUIRED))))


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_garbage_is_rows_or_a_refusal(octets):
    for start in (b"", ",".join(COLUMNS).encode() + b"\n"):
        try:
            for row in read_rows(io.BytesIO(start + octets)):
                if isinstance(row, tuple):
                    assert row[1].rule
        except Refusal as refusal:
            assert refusal.rule


@given(
    st.lists(
        st.lists(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1), min_size=9, max_size=9),
        min_size=1,
        max_size=4,
    )
)
@settings(deadline=None)
def test_what_is_written_is_read(rows):
    import unicodedata

    file = sheet(rows, header=",".join(REQUIRED))
    read = [row.cells for row in read_rows(file) if not isinstance(row, tuple)]
    plain = [[unicodedata.normalize("NFC", cell).strip() for cell in row] for row in rows]
    assert [[cells[name] for name in REQUIRED] for cells in read] == [
        row for row in plain if all(row) and all(cell.isprintable() for cell in row)
    ]


# ---------------------------------------------------------------- what is written
@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"], ids=repr)
def test_no_cell_that_is_written_is_computed(cell):
    assert safe_cell(cell) == "'" + cell


def test_what_was_refused_is_shown_without_harm(world):
    (bad,) = judged(world, sheet([a_row(1, issuer="=cmd|' /C calc'!A0", person="=X", pem=PEM)]))
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in bad.cells())


def test_keys_of_every_kind_are_registered(world):
    pems = [
        csr_pem(generate(suite, secrets.token_bytes)) for suite in ("p384-sha384", "ed25519", "ml-dsa-44")
    ]
    file = sheet([a_row(n, pem=pem) for n, pem in enumerate(pems)])
    registered(world, file)
    assert world.submit().certified == len(pems)
