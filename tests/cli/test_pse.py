"""``e2s pse``: what its page does not show: a PSE of one's own, definitions, another phrase, the end."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest

from e2s.cli.main import main
from e2s.security.environments.kinds import kinds_in

ANNA = "urn:e2s:market:alpha:anna"


def running(folder, capsys):
    def do(line, status=0):
        capsys.readouterr()
        code = 0
        try:
            main(line.format(f=folder).split())
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert code == status, out + err
        told = out if status == 0 else err
        with contextlib.suppress(ValueError):
            return json.loads(told)
        return told

    return do


@pytest.fixture
def run(tmp_path, capsys):
    """Run a command in one folder; its output, read as JSON where it is that."""
    return running(tmp_path, capsys)


_KEPT = []


@pytest.fixture
def made(run, tmp_path, tmp_path_factory):
    """A PSE of one's own, with certificates from a CA; made once, and copied."""
    if not _KEPT:
        phrase = "--phrase-file {f}/ca.phrase"
        run("ca root {f}/root --name market --officer urn:e2s:market:authority:petra " + phrase)
        run("ca create {f}/ca --root {f}/root --root-phrase-file {f}/ca.phrase " + phrase)
        run("pse make {f}/anna.pse --kind person --name " + ANNA + " --phrase-file {f}/word")
        assert "(not certified)" in run("pse list {f}/anna.pse --phrase-file {f}/word")
        for label, profile in (("signature", "person"), ("agreement", "person-agreement")):
            request = f"--request {{f}}/anna.pse.{label}.p10 --out {{f}}/{label}.pem"
            run(f"ca issue {{f}}/ca --profile {profile} --name {ANNA} {request} " + phrase)
        told = run("pse install {f}/anna.pse {f}/signature.pem {f}/agreement.pem --phrase-file {f}/word")
        assert "signature  " + ANNA in told
        _KEPT.append(shutil.copytree(tmp_path, tmp_path_factory.mktemp("made") / "kept"))
    else:
        shutil.copytree(_KEPT[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_pse_of_one_s_own(run, made):
    shown = run("pse show {f}/anna.pse agreement --phrase-file {f}/word --json")
    assert shown["confidence"] == "substantial"
    assert shown["name"] == ANNA
    assert shown["suite"] == "ecdh-p256-aes256gcm"
    assert shown["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    whole = run("pse list {f}/anna.pse --phrase-file {f}/word --json")
    assert (whole["name"], whole["kept"]) == (ANNA, {"kind": "person"})


def test_a_foreign_certificate_is_put_nowhere(run, made):
    run(
        "ca issue {f}/ca --profile person --name urn:e2s:market:alpha:x --out {f}/x.pem --phrase-file {f}/ca.phrase"
    )
    assert "no-such-key" in run("pse install {f}/anna.pse {f}/x.pem --phrase-file {f}/word", status=1)


def test_another_phrase(run, made):
    run("pse phrase {f}/anna.pse --phrase-file {f}/word --new-phrase-file {f}/new")
    assert "wrong-pass-phrase" in run("pse list {f}/anna.pse --phrase-file {f}/word", status=1)
    assert ANNA in run("pse list {f}/anna.pse --phrase-file {f}/new")


def test_the_end(run, made):
    assert "no-origin" in run("pse destroy {f}/anna.pse --yes --phrase-file {f}/word", status=2)
    run("pse destroy {f}/anna.pse --erase-only --yes --phrase-file {f}/word")
    assert not (made / "anna.pse").exists()


def test_pkcs12_goes_in_beside_other_keys(run, made):
    files = "--phrase-file {f}/word --p12-phrase-file {f}/p12"
    run("pse export {f}/anna.pse signature --out {f}/a.p12 " + files)
    assert "key-there" in run("pse import {f}/anna.pse {f}/a.p12 --label mail " + files, status=2)
    assert "label-taken" in run("pse import {f}/anna.pse {f}/a.p12 " + files, status=2)
    assert "file-exists" in run("pse export {f}/anna.pse signature --out {f}/a.p12 " + files, status=2)


def test_a_kind_of_one_s_own(run, tmp_path):
    line = "pse define {f} clerk --key signature:person:ed25519 --key agreement:person-agreement:x25519-aes256gcm"
    assert "cannot show that it is held" in run(line, status=2)
    run(line + ":escrow")
    kind = kinds_in(tmp_path)["clerk"]
    assert [(key.made, key.escrow) for key in kind.keys] == [("holder", False), ("key-management", True)]
    assert "clerk" in run("pse kinds {f}")
    assert "not-by-holder" in run(
        "pse make {f}/c.pse --kind clerk --kinds {f} --phrase-file {f}/w --name " + ANNA, 2
    )
    assert "no-such-kind" in run("pse make {f}/c.pse --kind nobody --phrase-file {f}/w --name " + ANNA, 2)
