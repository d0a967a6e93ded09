"""``e2s enrol``: from the invitation to the certificate, a request that waits, and what is taken back."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2s.cli.main import main
from e2s.crypto.certificates import read_certificates

OLGA, OSKAR = (f"urn:e2s:market:authority:{name}" for name in ("olga", "oskar"))
ANNA = "urn:e2s:market:alpha:anna"


class Desk:
    """A root, a CA and two officers in one folder, and the CA's doors served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.capsys: pytest.CaptureFixture[str] | None = None
        self.origin = ""

    def __call__(self, line: str, *more: str, status: int = 0):
        """Run a command; its output, read as JSON where it is that."""
        code = 0
        try:
            main([*line.format(f=self.folder, o=self.origin).split(), *more])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self.capsys.readouterr() if self.capsys else ("", "")
        assert code == status, out + err
        told = out if status == 0 or out else err
        with contextlib.suppress(ValueError):
            return json.loads(told)
        return told

    def founded(self) -> None:
        phrase = "--phrase-file {f}/ca.phrase"
        self("ca root {f}/root --name market --officer urn:e2s:market:authority:petra " + phrase)
        self("ca create {f}/ca --root {f}/root --root-phrase-file {f}/ca.phrase " + phrase)
        for name, rights in (("olga", "register"), ("oskar", "register approve")):
            officer = f"urn:e2s:market:authority:{name}"
            self(f"ra officer {{f}}/{name} --name {officer} --phrase-file {{f}}/{name}.phrase")
            request = f"--request {{f}}/{name}/request.pem --out {{f}}/{name}.pem"
            self(f"ca issue {{f}}/ca --profile officer --name {officer} {request} " + phrase)
            self(f"ra officer {{f}}/{name} --certificate {{f}}/{name}.pem --phrase-file {{f}}/{name}.phrase")
            given = " ".join(f"--right {right}" for right in rights.split())
            self(f"ca officers {{f}}/root --give {officer} {given} --at ca --tell {{f}}/ca --yes " + phrase)

    @contextlib.contextmanager
    def served(self):
        line = f"enrol serve {self.folder}/ca --door enrol --phrase-file {self.folder}/ca.phrase"
        command = [sys.executable, "-m", "e2s.cli.main", *line.split()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith("serving http://127.0.0.1:"), said
            self.origin = said.split()[1].rstrip(":")
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0

    def invited(self, name: str, profile: str = "person", who: str = ANNA) -> dict:
        line = (
            f"enrol invite {{f}}/ca --profile {profile} --name {who} --officer {OLGA} --out {{f}}/{name}.code"
        )
        return self(f"{line} --phrase-file {{f}}/ca.phrase --json")


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("enrol"))
    desk.founded()
    with desk.served():
        yield desk


@pytest.fixture
def desk(founded, capsys):
    founded.capsys = capsys
    capsys.readouterr()
    yield founded
    founded.capsys = None


@pytest.mark.processes
def test_who_was_invited_enrols(desk):
    told = desk.invited("anna")
    code = desk.folder / "anna.code"
    assert told["file"] == str(code)
    assert code.stat().st_mode & 0o077 == 0
    secret = code.read_text().partition(".")[2].strip()
    assert secret not in json.dumps(desk("enrol invitations {f}/ca --json"))
    out = "--out {f}/anna.pem --code-file {f}/anna.code"
    made = desk("enrol request {o} --name " + ANNA + f" {out} --json")
    certificate, issuer = read_certificates((desk.folder / "anna.pem").read_bytes())
    assert (certificate.names, made["serial"]) == ((ANNA,), f"{certificate.serial:x}")
    assert issuer == read_certificates((desk.folder / "ca" / "ca.pem").read_bytes())[0]
    assert (desk.folder / "anna.key").stat().st_mode & 0o077 == 0
    # the same request again: the same certificate; another one: the code was used
    again = "enrol request {o} --request {f}/anna.p10 --out {f}/again.pem --code-file {f}/anna.code --json"
    assert desk(again)["serial"] == made["serial"]
    line = "enrol request {o} --name " + ANNA + " --out {f}/b.pem --code-file {f}/anna.code --json"
    assert desk(line, status=1)["rule"] == "invitation-used"
    kinds = [event["kind"] for event in desk("enrol events {f}/ca --json")]
    assert kinds[:3] == ["invitation.made", "enrolment.asked", "enrolment.issued"]
    assert "refused" in desk("enrol events {f}/ca --last 1")
    assert secret not in desk("enrol events {f}/ca")
    (row,) = [one for one in desk("enrol invitations {f}/ca --json") if one["reference"] == told["reference"]]
    assert (row["used"], row["state"], row["officer"]) == ("1/1", "good", OLGA)


@pytest.mark.processes
def test_what_waits_is_approved_by_another_officers_signature(desk):
    desk.invited("code", "code-signing")
    out = "--out {f}/code.pem --code-file {f}/code.code"
    said = desk("enrol request {o} --name " + ANNA + f" {out}", status=1)
    assert "an officer has to agree" in said
    (row,) = desk("enrol requests {f}/ca --json")
    assert (row["profile"], row["names"], row["invited-by"]) == ("code-signing", [ANNA], OLGA)
    by = "--officer {f}/%s --phrase-file {f}/%s.phrase --yes"
    line = f"enrol approve {{f}}/ca {row['request']} "
    assert desk(line + by % ("olga", "olga") + " --json", status=1)["rule"] == "same-officer"
    assert "is approved" in desk(line + by % ("oskar", "oskar"))
    made = desk("enrol request {o} --request {f}/code.p10 --wait 20 " + out + " --json")
    assert made["names"] == [ANNA]
    assert desk("enrol requests {f}/ca --json") == []


@pytest.mark.processes
def test_what_is_declined_is_told(desk):
    desk.invited("no", "code-signing")
    out = "--out {f}/no.pem --code-file {f}/no.code"
    desk("enrol request {o} --name " + ANNA + f" {out}", status=1)
    (row,) = desk("enrol requests {f}/ca --json")
    by = "--officer {f}/oskar --phrase-file {f}/oskar.phrase --yes --why strangers"
    assert "is declined" in desk(f"enrol decline {{f}}/ca {row['request']} {by}")
    again = desk("enrol request {o} --request {f}/no.p10 --json " + out, status=1)
    assert (again["rule"], again["message"]) == ("declined", "strangers")


@pytest.mark.processes
def test_an_invitation_is_taken_back(desk):
    told = desk.invited("gone")
    line = f"enrol withdraw {{f}}/ca {told['reference']} --officer {OLGA} --phrase-file {{f}}/ca.phrase --yes"
    assert "is taken back" in desk(line)
    line = "enrol request {o} --name " + ANNA + " --out {f}/gone.pem --code-file {f}/gone.code --json"
    assert desk(line, status=1)["rule"] == "invitation-withdrawn"


@pytest.mark.processes
def test_who_may_not_invite_is_told(desk):
    line = "enrol invite {f}/ca --profile person --name " + ANNA + " --phrase-file {f}/ca.phrase --json"
    assert desk(line, status=1)["rule"] == "not-authorised"
    assert desk(line + f" --officer {OLGA} --confidence high", status=1)["rule"] == "confidence"
    assert desk("enrol request {o} --json", status=2)["rule"] == "what-for"
    assert desk("enrol serve {f}/ca --tls-cert x --json", status=2)
    assert desk("enrol serve {f}/root --phrase-file {f}/ca.phrase", status=2)


@pytest.mark.processes
def test_a_request_that_waits_becomes_a_case_of_registration(desk):
    desk("ra init {f}/ra --from {f}/ca --spool {f}/spool --json")
    answer = "ca answer {f}/ca {f}/spool --once --phrase-file {f}/ca.phrase"
    desk(answer)
    desk.invited("case", "code-signing")
    desk("enrol request {o} --name " + ANNA + " --out {f}/case.pem --code-file {f}/case.code", status=1)
    (row,) = desk("enrol requests {f}/ca --json")
    by = " --home {f}/ra --officer {f}/%s --phrase-file {f}/%s.phrase"
    olga, oskar = by % ("olga", "olga"), by % ("oskar", "oskar")
    opened = desk(f"enrol case {{f}}/ca {row['request']} --json {olga}", "--title", "Anna Berg")
    (desk.folder / "number").write_text("C01X00T47")
    (desk.folder / "number").chmod(0o600)
    seen = "--kind passport --issuer Utopia --expires 2090-01-01 --place desk --number-file {f}/number"
    desk(f"ra evidence {opened['case']} {seen} {olga}")
    assert desk(f"ra name {opened['case']} anna --json {olga}")["name"] == ANNA
    desk(f"ra approve {opened['case']} --yes {olga}")
    desk(f"ra approve --approval 1 --yes {oskar}")
    desk("ra submit --home {f}/ra", status=1)
    desk(answer)
    assert desk("ra submit --home {f}/ra --json")["certified"] == 1
    made = desk(
        "enrol request {o} --request {f}/case.p10 --out {f}/case.pem --code-file {f}/case.code --json"
    )
    assert made["names"] == [ANNA]
    assert desk("enrol requests {f}/ca --json") == []
    assert desk(f"enrol case {{f}}/ca {row['request']} --json {olga}", "--title", "A", status=2)["rule"] == (
        "no-such-request"
    )


@pytest.mark.processes
def test_a_buying_organisations_manager_invites_her_own_people(desk, tmp_path):
    albert = "urn:e2s:market:alpha:albert"
    line = "ca buying {f}/alpha --issuer {f}/ca --issuer-phrase-file {f}/ca.phrase --party alpha"
    desk(f"{line} --manager {albert} --phrase-file {{f}}/alpha.phrase")
    invite = (
        f"enrol invite {{f}}/alpha --profile buyer --officer {albert} --phrase-file {{f}}/alpha.phrase --json"
    )
    assert desk(f"{invite} --name {ANNA} --out {tmp_path}/anna.code")["profile"] == "buyer"
    assert desk(f"{invite} --name {albert}", status=1)["rule"] == "own-case"
    (row,) = desk("enrol invitations {f}/alpha --json")
    assert (row["names"], row["officer"]) == ([ANNA], albert)
