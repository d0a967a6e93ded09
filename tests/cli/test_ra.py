"""``e2s ra``: from an officer's key to a certificate in the holder's hand, each step by command."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import subprocess
import sys

import pytest

from e2s.cli.main import main
from e2s.crypto.certificates import Certificate
from tests.worlds.registration import a_row, csr_pem, sheet

OLGA = "urn:e2s:market:authority:olga"


class Office:
    """A root, a CA, a registration authority and two officers in one folder."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys

    def __call__(self, line, *more, status=0):
        """Run a command; its output, read as JSON where it is that."""
        self.capsys.readouterr()
        code = 0
        try:
            main([*line.format(f=self.folder).split(), *more])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self.capsys.readouterr()
        assert code == status, out + err
        told = out if status == 0 or out else err
        with contextlib.suppress(ValueError):
            return json.loads(told)
        return told

    def founded(self):
        phrase = "--phrase-file {f}/ca.phrase"
        self("ca root {f}/root --name market --officer urn:e2s:market:authority:petra " + phrase)
        self("ca create {f}/ca --root {f}/root --root-phrase-file {f}/ca.phrase " + phrase)
        for name, rights in (("olga", "register approve revoke"), ("oskar", "register approve")):
            officer = f"urn:e2s:market:authority:{name}"
            self(f"ra officer {{f}}/{name} --name {officer} --phrase-file {{f}}/{name}.phrase")
            request = f"--request {{f}}/{name}/request.pem --out {{f}}/{name}.pem"
            self(f"ca issue {{f}}/ca --profile officer --name {officer} {request} " + phrase)
            self(f"ra officer {{f}}/{name} --certificate {{f}}/{name}.pem --phrase-file {{f}}/{name}.phrase")
            given = " ".join(f"--right {right}" for right in rights.split())
            self(f"ca officers {{f}}/root --give {officer} {given} --at ca --tell {{f}}/ca --yes " + phrase)
        self("ra init {f}/ra --from {f}/ca --spool {f}/spool --json")
        self.answer()
        return self

    def answer(self):
        self("ca answer {f}/ca {f}/spool --once --phrase-file {f}/ca.phrase")

    def ra(self, line, *more, by="olga", status=0):
        return self(
            f"ra {line} --home {{f}}/ra --officer {{f}}/{by} --phrase-file {{f}}/{by}.phrase",
            *more,
            status=status,
        )

    def named(self, profile="person", number="C01X00T47"):
        (self.folder / "anna.csr").write_text(csr_pem())
        (self.folder / "number").write_text(number)
        (self.folder / "number").chmod(0o600)
        opened = self.ra(
            f"open --profile {profile} --party alpha --request {{f}}/anna.csr --json", "--title", "Anna Berg"
        )
        case = opened["case"]
        seen = f"evidence {case} --kind passport --issuer Utopia --expires 2090-01-01 --place desk"
        assert self.ra(f"{seen} --number-file {{f}}/number --json")["state"] == "recorded"
        assert self.ra(f"name {case} --json")["state"] == "named"
        return case


class Silent:
    """Where output goes that nobody looks at."""

    @staticmethod
    def readouterr():
        return "", ""


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    """Founded once: each test works on a copy."""
    folder = tmp_path_factory.mktemp("office")
    with contextlib.redirect_stdout(io.StringIO()):
        Office(folder, Silent()).founded()
    return folder


@pytest.fixture
def office(founded, tmp_path, capsys):
    shutil.copytree(founded, tmp_path, dirs_exist_ok=True)
    settings = tmp_path / "ra" / "ra.toml"
    settings.write_text(settings.read_text().replace(str(founded), str(tmp_path)))
    return Office(tmp_path, capsys)


def test_a_case_from_request_to_delivery_and_withdrawal(office):
    case = office.named()
    assert office.ra(f"approve {case} --dry-run --json")["orders"][0]["case"] == case
    assert office("ra cases --home {f}/ra --json")[0]["state"] == "named"
    assert office.ra(f"approve {case} --yes --json")[0]["state"] == "ready"
    assert office("ra submit --home {f}/ra --json", status=1)["waiting"] == 1
    office.answer()
    assert office("ra submit --home {f}/ra --json")["certified"] == 1
    assert office.ra(f"deliver {case} --out {{f}}/anna.pem --json")["state"] == "delivered"
    own, issuer = (office.folder / "anna.pem").read_bytes().split(b"-----END CERTIFICATE-----\n")[:2]
    assert Certificate.read(own + b"-----END CERTIFICATE-----\n").name == "urn:e2s:market:alpha:anna-berg"
    assert issuer
    for act, state in ((f"hold {case}", "waiting"), (f"release {case}", "waiting")):
        assert office.ra(f"{act} --yes --json")["state"] == state
        office.answer()
        office("ra serve --once --home {f}/ra")
    assert office.ra(f"withdraw {case} --reason superseded --dry-run --json")["state"] == "would be asked"
    office.ra(f"withdraw {case} --reason superseded --yes")
    office.answer()
    office("ra serve --once --home {f}/ra")
    shown = office(f"ra show {case} --home {{f}}/ra --json")
    assert (shown["state"], shown["evidence"][0]["kind"], shown["eyes"]) == ("withdrawn", "passport", 1)
    assert "C01X00T47" not in json.dumps(shown)


def test_two_officers_where_the_profile_asks_for_them(office):
    case = office.named("code-signing")
    assert office.ra(f"approve {case} --yes --json")[0]["state"] == "once"
    assert "for a second officer" in office.ra("approve")
    assert office.ra("approve --approval 1 --yes --json", status=1)["rule"] == "same-officer"
    assert office.ra("approve --approval 1 --yes --json", by="oskar")[0]["state"] == "ready"
    office("ra submit --home {f}/ra", status=1)
    office.answer()
    assert office("ra submit --home {f}/ra --json")["certified"] == 1


def test_a_cas_own_profiles_are_registered_for(office):
    own = 'name = "notary"\nissued_by = ["operating-ca"]\nuse = "sign"\ndays = 365\nfour_eyes = true\nconfidence = "high"\n'
    (office.folder / "ca" / "profiles.toml").write_text(f"[[profile]]\n{own}")
    assert office("ra init {f}/ra --from {f}/ca --update --json")["records"] == 4
    case = office.named("notary")
    assert office.ra(f"approve {case} --yes --json")[0]["state"] == "once"


def test_who_says_no_signs_nothing(office, monkeypatch):
    case = office.named()
    monkeypatch.setattr("typer.confirm", lambda *_args, **_given: False)
    office.ra(f"approve {case}", status=1)
    office.ra(f"refuse {case} --why no", status=1)
    assert office(f"ra show {case} --home {{f}}/ra --json")["state"] == "named"
    assert office.ra(f"withdraw {case} --why wrong --yes --json")["state"] == "withdrawn"


def test_an_officer_without_a_right_is_refused_by_its_rule(office):
    case = office.named()
    office.ra(f"approve {case} --yes")
    office("ra submit --home {f}/ra", status=1)
    office.answer()
    office("ra submit --home {f}/ra")
    told = office.ra(f"withdraw {case} --reason superseded --yes --json", by="oskar", status=1)
    assert (told["outcome"], told["rule"]) == ("refused", "not-authorised")


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("no-home", "ra cases --home {f} --json"),
        ("home-exists", "ra init {f}/ra --from {f}/ca --spool {f}/spool --json"),
        ("no-way-to-ca", "ra init {f}/new --from {f}/ca --json"),
        ("no-ca", "ra init {f}/new --from {f}/spool --spool {f}/spool --json"),
        ("what-for", "ra officer {f}/new --json"),
        ("what-for", "ra hold 00112233 --home {f}/ra --json"),
        ("what-for", "ra withdraw 00112233 --home {f}/ra --json"),
    ],
    ids=["no-home", "twice", "no-way", "no-ca", "officer", "hold", "withdraw"],
)
def test_misuse_is_told_by_its_rule(office, rule, line):
    assert office(line, status=2)["rule"] == rule


def test_an_officer_has_no_say_before_her_certificate(office):
    office(f"ra officer {{f}}/otto --name {OLGA} --phrase-file {{f}}/otto.phrase")
    told = office.ra("bulk {f}/none.csv --json", by="otto", status=2)
    assert told["rule"] == "not-certified"


# ---------------------------------------------------------------- bulk
def test_a_batch_by_command(office):
    file = office.folder / "staff.csv"
    file.write_bytes(sheet([a_row(n, expires="2090-01-01") for n in range(4)]).getvalue())
    bulk = "bulk {f}/staff.csv --report {f}/report.csv --out {f}/out.csv --json"
    said = office.ra(f"{bulk} --dry-run")
    assert (said["ok"], said["states"]) == (4, {})
    with (office.folder / "report.csv").open(newline="") as report:
        assert [row["result"] for row in csv.DictReader(report)] == ["ok"] * 4
    assert office.ra(f"{bulk} --yes")["states"] == {"approved": 4}
    assert office.ra(f"{bulk} --yes", status=2)["rule"] == "batch-known"
    office("ra submit --home {f}/ra", status=1)
    office.answer()
    done = office.ra(f"{bulk} --yes --resume --submit")
    assert (done["done"], done["states"]) == (4, {"certified": 4})
    with (office.folder / "out.csv").open(newline="") as out:
        rows = list(csv.DictReader(out))
    assert [row["state"] for row in rows] == ["certified"] * 4
    assert (office.folder / "out.csv").stat().st_mode & 0o077 == 0


def test_a_batch_with_a_bad_row_is_not_begun_unless_that_is_meant(office):
    file = office.folder / "staff.csv"
    rows = [a_row(1, expires="2090-01-01"), a_row(2, expires="2090-01-01", seen="rumour")]
    file.write_bytes(sheet(rows).getvalue())
    told = office.ra("bulk {f}/staff.csv --yes", status=1)
    assert "column seen: evidence-seen: " in told
    assert office("ra cases --home {f}/ra --json") == []
    told = office.ra("bulk {f}/staff.csv --yes --skip-refused --json", status=1)
    assert (told["ok"], told["refused"], told["first"]["column"]) == (1, 1, "seen")
    assert told["states"] == {"approved": 1}


def test_the_process_serves_until_it_is_ended(office):
    command = [sys.executable, "-m", "e2s.cli.main", "ra", "serve", "--home", str(office.folder / "ra")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "registration serves ca\n"
        process.terminate()
        assert process.wait(20) == 0
