"""``e2s directory``: each command on a real CA's folder and a real slapd, and what each refuses."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from e2s.cli.main import main
from e2s.community.example import free_ports
from tests.worlds.slapd import Server, program

pytestmark = [pytest.mark.tool, pytest.mark.processes]
ANNA = "urn:e2s:market:alpha:anna"


def run(*words, status=0, capsys=None):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    out, err = capsys.readouterr() if capsys is not None else ("", "")
    assert (ended.value.code or 0) == status, out + err
    return out + err


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    """A root, a CA beneath it and one person, made once by the commands."""
    folder = tmp_path_factory.mktemp("founded")
    with contextlib.chdir(folder):
        run("ca", "root", "root", "--name", "market", "--phrase-file", "root.phrase")
        phrases = ("--phrase-file", "ca.phrase")
        run("ca", "create", "ca", "--root", "root", "--root-phrase-file", "root.phrase", *phrases)
        run("ca", "issue", "ca", "--profile", "person", "--name", ANNA, *phrases)
        run("ca", "crl", "ca", *phrases)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("slapd"), suffix="dc=example,dc=org").start()
    yield running
    running.stop()


@pytest.fixture
def desk(founded, server, tmp_path, monkeypatch, capsys):
    """The commands in a folder with the CA of its own, and an empty tree."""
    shutil.copytree(founded, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    yield lambda *words, status=0: run("directory", *words, status=status, capsys=capsys)
    delete = [program("ldapdelete"), "-x", "-r", "-H", server.uri, "-D", server.slapd.publisher]
    found = server.search("-b", server.suffix, "-s", "one", "(!(uid=*))", "dn")
    for line in found.splitlines():
        if line.startswith("dn: "):
            command = [*delete, "-y", str(server.password_file), line[4:]]
            subprocess.run(command, check=True)


@pytest.fixture
def to(server):
    return ("--to", server.uri, "--password-file", server.password_file)


def told(text):
    return json.loads(text.splitlines()[-1])


def test_a_ca_is_published_looked_up_checked_and_repaired(desk, to, server, founded):
    assert told(desk("publish", "ca", *to, "--json")) == {"standing": 5, "gone": 0, "refused": 0}
    assert told(desk("publish", "ca", *to, "--json")) == {"standing": 0, "gone": 0, "refused": 0}
    (entry,) = told(desk("look-up", ANNA, "--in", server.uri, "--json"))["found"]
    assert entry["dn"] == f"uid=anna,ou=alpha,{server.suffix}"
    assert [one["name"] for one in entry["certificates"]] == [ANNA]
    desk("look-up", "ca", "--in", server.uri, "--lists", "--out", "found.crl")
    said = subprocess.run(["openssl", "crl", "-in", "found.crl", "-noout", "-CAfile", "ca/ca.pem"], check=True, capture_output=True)  # fmt: skip
    assert b"verify OK" in said.stderr
    seen = told(desk("status", "ca", "--json"))
    assert (seen["suffix"], seen["waiting"], seen["refused"]) == (server.suffix, 0, {})
    assert told(desk("check", "ca", *to, "--json"))["differences"] == []
    delete = [program("ldapdelete"), "-x", "-H", server.uri, "-D", server.slapd.publisher]
    subprocess.run([*delete, "-y", str(server.password_file), entry["dn"]], check=True)
    lacking = [{"key": "uid=anna,ou=alpha", "kind": "lacking", "attributes": []}]
    assert told(desk("check", "ca", *to, "--json", status=1))["differences"] == lacking
    assert told(desk("check", "ca", *to, "--json", "--repair"))["repaired"] == 1
    assert "0 entries differ" in desk("check", "ca", *to)
    assert "nothing found" in desk("look-up", "nobody", "--in", server.uri, status=1)


def test_serving_keeps_up_until_it_is_told_to_end(desk, to, server, capsys):
    command = [
        sys.executable,
        "-m",
        "e2s.cli.main",
        "directory",
        "serve",
        "ca",
        *map(str, to),
        "--every",
        "0.1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline() == f"publishing ca in {server.suffix} of {server.uri}\n"
        assert "sent" in serving.stdout.readline()
        more = ("--name", "urn:e2s:market:alpha:bert", "--phrase-file", "ca.phrase")
        run("ca", "issue", "ca", "--profile", "person", *more, capsys=capsys)
        for _ in range(200):
            if server.search("-b", server.suffix, "(uid=bert)", "dn"):
                break
            time.sleep(0.1)
        else:
            raise AssertionError("what was issued is not in the directory")
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == 0


def test_what_was_set_up_is_there_for_good(desk, tmp_path):
    desk("setup", "slapd", "--suffix", "o=market")
    for name in ("base.ldif", "publisher.password"):
        assert (tmp_path / "slapd" / name).stat().st_mode & 0o77 == 0
    password = (tmp_path / "slapd" / "publisher.password").read_text()
    assert password not in (tmp_path / "slapd" / "base.ldif").read_text()
    assert "rootpw" not in (tmp_path / "slapd" / "slapd.conf").read_text().replace("there is no rootpw", "")
    assert "file-exists" in desk("setup", "slapd", "--suffix", "o=other", status=2)


def test_a_setup_with_tls_is_one_that_slapd_takes(desk, tmp_path, founded):
    files = ("--cert", "ca/ca.pem", "--key", "x.key", "--trust", "root/root.pem", "--writer", "anna.pem")
    told_all = told(desk("setup", "tls", *files, "--uri", "ldap://directory.example", "--json"))
    assert told_all["publisher"] == "uid=publisher,o=market"
    conf = (tmp_path / "tls" / "slapd.conf").read_text()
    assert 'authz-regexp "^cn=anna,ou=alpha,o=market$" "uid=publisher,o=market"' in conf
    assert "simple_bind=128" in conf
    done = subprocess.run([program("slaptest"), "-u", "-f", "tls/slapd.conf"], capture_output=True, text=True, check=False)  # fmt: skip
    # the key is not there, and nothing else is wrong
    assert "bad configuration" not in done.stderr or "TLS" in done.stderr, done.stderr
    assert 'trust = "' in (tmp_path / "tls" / "directory.toml").read_text()


@pytest.mark.parametrize(
    ("words", "rule", "status"),
    [
        (("setup", "x", "--suffix", "nonsense"), "bad-dn", 1),
        (("setup", "x", "--suffix", "cn=x"), "bad-dn", 1),
        (("setup", "x", "--cert", "c.pem"), "no-key", 2),
        (("setup", "x", "--uri", "ldap://directory.example"), "plain-directory", 2),
        (("setup", "x", "--modules", "/nowhere", "--schemas", "/nowhere", "--uri", "x"), "bad-server", 2),
        (("status", "ca"), "never-published", 2),
        (("publish", "ca", "--to", "ldap://directory.example", "--suffix", "o=x"), "plain-directory", 2),
        (("publish", "ca", "--to", "nothing.toml"), "bad-directory-file", 1),
        (("publish", "ca", "--to", "nothing.toml", "--suffix", "o=x"), "file-says-it", 2),
        (("publish", "nowhere", "--to", "ldap://127.0.0.1", "--suffix", "o=x"), "no-ca", 2),
        (("look-up", "x", "--in", "http://127.0.0.1"), "bad-server", 2),
    ],
)
def test_each_refusal_names_its_rule(desk, words, rule, status):
    assert told(desk(*words, "--json", status=status))["rule"] == rule


def test_a_directory_that_is_away_is_told_and_nothing_lost(desk, server, tmp_path):
    (port,) = free_ports(1)
    away = ("--to", f"ldap://127.0.0.1:{port}", "--suffix", server.suffix, "--password-file")
    words = ("publish", "ca", *away, server.password_file)
    assert told(desk(*words, "--json", status=1))["rule"] == "unreachable"
    assert told(desk("status", "ca", "--json", status=1))["waiting"] > 0
    to = ("--to", server.uri, "--password-file", server.password_file)
    assert told(desk("publish", "ca", *to, "--json"))["standing"] == 5


def test_find_asks_a_directory_too(desk, to, server, capsys):
    desk("publish", "ca", *to)
    found = run("pki", "find", server.uri, "name=anna", "--json", capsys=capsys)
    assert [one["name"] for one in told(found)["found"]] == [ANNA]
    assert "unknown-attribute" in run(
        "pki", "find", server.uri, "certHash=@anna.pem", status=1, capsys=capsys
    )
