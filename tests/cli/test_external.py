"""``e2s external``: a partner's user identified at registration by her certificate, and refused where she must be."""

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import shutil

import pytest

from e2s.base.instants import SystemClock
from e2s.cli.main import main
from e2s.security.keys.key_place import InToken
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import make_key
from tests.worlds.enrolment import OPERATOR, World
from tests.worlds.registration import csr_pem
from tests.worlds.token import LABEL, PIN, place, tokens

__all__ = ["tokens"]

PHRASE = " --phrase-file {f}/word"
OLGA, PIA = (f"urn:e2s:market:authority:{name}" for name in ("olga", "pia"))


class Folder:
    """A community and a partner in one folder."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys

    def __call__(self, command, status=0):
        self.capsys.readouterr()
        code = 0
        try:
            main(shlex.split(command.format(f=self.folder)))
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self.capsys.readouterr()
        assert code == status, out + err
        told = out if status == 0 else err
        with contextlib.suppress(ValueError):
            return json.loads(told)
        return told

    def found(self):
        self("ca root {f}/root --name market --officer urn:e2s:market:authority:petra" + PHRASE)
        self("ca create {f}/ca --root {f}/root --root-phrase-file {f}/word" + PHRASE)
        for name, rights in (("olga", "--right register --right approve"), ("pia", "--right policy")):
            officer = f"urn:e2s:market:authority:{name}"
            self(f"ra officer {{f}}/{name} --name {officer}" + PHRASE)
            request = f"--request {{f}}/{name}/request.pem --out {{f}}/{name}.pem"
            self(f"ca issue {{f}}/ca --profile officer --name {officer} {request}" + PHRASE)
            self(f"ra officer {{f}}/{name} --certificate {{f}}/{name}.pem" + PHRASE)
            self(f"ca officers {{f}}/root --give {officer} {rights} --at ca --tell {{f}}/ca --yes" + PHRASE)
        self("ca crl {f}/ca --out {f}/ca.crl" + PHRASE)
        self("ra init {f}/ra --from {f}/ca --spool {f}/spool --json")
        self("ca answer {f}/ca {f}/spool --once" + PHRASE)
        self("ca root {f}/t-root --name partner" + PHRASE)
        self("ca create {f}/t-ca --root {f}/t-root --root-phrase-file {f}/word" + PHRASE)
        for name in ("anna", "anna-2"):
            mail = f"{name.replace('-2', '')}.berg@partner.example"
            self(f"ca issue {{f}}/t-ca --profile person --name {mail} --out {{f}}/{name}.pem" + PHRASE)
        self("ca crl {f}/t-ca --out {f}/t.crl" + PHRASE)
        return self

    def trust(self):
        limits = "--purpose email --permit mail:partner.example"
        self(
            f"external trust {{f}}/ca partner --root {{f}}/t-root/root.pem {limits} --officer {{f}}/pia"
            + PHRASE
        )
        self("external map {f}/ca partner mail:*@partner.example --party partner --officer {f}/pia" + PHRASE)

    def case(self):
        (self.folder / "case.csr").write_text(csr_pem())
        opened = self(
            "ra open --profile person --party partner --title 'Anna Berg' --request {f}/case.csr --json"
            " --home {f}/ra --officer {f}/olga" + PHRASE
        )
        return opened["case"]

    def evidence(self, case, certificate="anna", lists="--crl {f}/t.crl --crl {f}/t-ca/root.crl", status=0):
        return self(
            f"external evidence {{f}}/ca {case} {{f}}/{certificate}.pem --home {{f}}/ra {lists} --json"
            " --officer {f}/olga" + PHRASE,
            status=status,
        )


_KEPT = []


@pytest.fixture
def folder(tmp_path, tmp_path_factory, capsys):
    """Made once, and copied."""
    if _KEPT:
        shutil.copytree(_KEPT[0], tmp_path, dirs_exist_ok=True)
        return Folder(tmp_path, capsys)
    made = Folder(tmp_path, capsys).found()
    _KEPT.append(shutil.copytree(tmp_path, tmp_path_factory.mktemp("made") / "kept"))
    return made


def test_a_partner_s_user_is_registered_by_her_certificate(folder):
    case = folder.case()
    assert folder.evidence(case, status=1)["rule"] == "unknown-root"
    folder.trust()
    assert folder.evidence(case, lists="", status=1)["rule"] == "revocation-unknown"
    told = folder.evidence(case)
    assert (told["state"], told["provider"]) == ("recorded", "partner")
    assert told["here"] == "urn:e2s:market:partner:anna-berg"
    named = folder(f"ra name {case} anna-berg --home {{f}}/ra --officer {{f}}/olga --json" + PHRASE)
    assert (named["name"], named["confidence"]) == ("urn:e2s:market:partner:anna-berg", "substantial")
    assert folder("external users {f}/ca --json")[0]["name"] == "urn:e2s:market:partner:anna-berg"
    # the same person again, by a newer certificate of hers
    again = folder.case()
    folder.evidence(again, "anna-2")
    named = folder(f"ra name {again} --home {{f}}/ra --officer {{f}}/olga --json" + PHRASE)
    assert named["name"] == "urn:e2s:market:partner:anna-berg"
    folder("ca revoke {f}/t-ca {f}/anna.pem --reason keyCompromise --yes" + PHRASE)
    folder("ca crl {f}/t-ca --out {f}/t.crl" + PHRASE)
    assert folder.evidence(folder.case(), status=1)["rule"] == "revoked"


def test_who_may_not_say_whom_to_trust(folder):
    line = "external trust {f}/ca partner --root {f}/t-root/root.pem --purpose email --permit mail:partner.example"
    assert "not-authorised" in folder(line + " --officer {f}/olga" + PHRASE, status=1)
    assert "unconfined" not in folder(line + " --officer {f}/pia" + PHRASE)
    assert "own-purpose" in folder(line + " --purpose officer --officer {f}/pia" + PHRASE, status=2)
    records = folder("external records {f}/ca --json")
    assert [(one["act"], one["officer"]) for one in records] == [("trust", PIA)]


@pytest.mark.usefixtures("tokens")
def test_a_key_that_a_pse_keeps_in_a_token_is_found_by_its_folder(tmp_path, capsys):
    """It is certified again where it came from, once it is time."""
    world = World(tmp_path / "ca", clock=SystemClock())
    with contextlib.closing(world), world.served("cmp") as served:
        folder = tmp_path / "anna" / "signature"
        where = InToken(place=place(LABEL), label="anna-signature")
        new = make_key(
            folder, where, Phrase(PIN), "p256-sha256", label="signature", random=secrets.token_bytes
        )
        name = "urn:e2s:market:alpha:anna"
        made = world.authority.issue("person", new.public_key, (name,), officer=OPERATOR)
        new.certified(made, (world.authority.certificate,)).close()
        (tmp_path / "pin").write_text(PIN)
        (tmp_path / "pin").chmod(0o600)
        (tmp_path / "root.pem").write_bytes(world.pki.root.pem)
        line = ["external", "renew", str(folder), "--cmp", served.origin, "--ca", str(tmp_path / "root.pem")]
        with pytest.raises(SystemExit) as ended:
            main([*line, "--phrase-file", str(tmp_path / "pin")])
        assert ended.value.code == 1
        assert "too-early" in capsys.readouterr().err
        revoke = [
            "external",
            "revoke",
            str(folder),
            "--cmp",
            served.origin,
            "--ca",
            str(tmp_path / "root.pem"),
        ]
        with pytest.raises(SystemExit) as ended:
            main([*revoke, "--yes", "--phrase-file", str(tmp_path / "pin")])
        assert not ended.value.code
        assert "is revoked" in capsys.readouterr().out
        est = ["external", "renew", str(folder), "--est", "https://x", "--ca", str(tmp_path / "root.pem")]
        with pytest.raises(SystemExit) as ended:
            main([*est, "--phrase-file", str(tmp_path / "pin")])
        assert ended.value.code == 2
        assert "no-est-renewal" in capsys.readouterr().err
