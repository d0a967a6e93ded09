"""A file without a name gets one when it is good; what dies leaves nothing; memory stays as it is."""

from __future__ import annotations

import filecmp
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from e2s.crypto.certificates import read_certificates
from e2s.crypto.cms import streaming
from tests.worlds.pki import make_pki

CONTENT = secrets.token_bytes(700_000)
BIG = (1024 if os.environ.get("E2S_SOAK") else 256) * 1024 * 1024
MOST = 64 * 1024  # KiB over the base
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["named last", "without such files", "without links"])
def files(request, monkeypatch):
    if request.param == "without such files":
        monkeypatch.delattr(os, "O_TMPFILE")
    if request.param != "named last":
        monkeypatch.setattr(os, "link", _no_link)


def _no_link(*_arguments, **_more):
    raise PermissionError(1, "not here")


@pytest.mark.usefixtures("files")
def test_a_name_at_the_end(tmp_path):
    path = tmp_path / "out"
    for octets in (CONTENT, b"anew"):
        with streaming.open_unnamed(tmp_path) as file:
            file.write(octets)
            assert [one.name for one in tmp_path.iterdir()] == ([] if octets is CONTENT else ["out"])
            streaming.place(file, path, mode=0o640)
        assert path.read_bytes() == octets
        assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    (tmp_path / "folder").mkdir()
    with streaming.open_unnamed(tmp_path) as file, pytest.raises(OSError, match="folder"):
        streaming.place(file, tmp_path / "folder", mode=0o600)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "out"]


def test_spooled_within_bounds(tmp_path):
    path = tmp_path / "in"
    path.write_bytes(CONTENT)
    with (
        path.open("rb", buffering=0) as source,
        streaming.spooled(source, tmp_path, max_bytes=1 << 20) as held,
    ):
        assert held.read() == CONTENT
    with path.open("rb", buffering=0) as source, pytest.raises(Refusal, match="too-large"):
        streaming.spooled(source, tmp_path, max_bytes=len(CONTENT) - 1)
    assert [one.name for one in tmp_path.iterdir()] == ["in"]


# By the commands, in processes of their own

KILLED = """
import os, sys
if "unlinked" in sys.argv:
    del os.O_TMPFILE
from e2s.cli import streams
from e2s.cli.main import main

def told(self, octets):
    self.seen = getattr(self, "seen", 0) + octets
    if self.seen > 400_000:
        os.kill(os.getpid(), 9)

streams.Progress.told = told
main(sys.argv[2:])
"""

MEASURED = """
import os, sys
from e2s.cli.main import main

SIGN = ["sign", "--cert", "anna.crt", "--key", "anna.key"]
VERIFY = ["verify", "--trust", "root.pem"]

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1])

def run(*words):
    try:
        main(["cms", *words])
    except SystemExit as ended:
        assert not ended.code, words

def all_of_it(name):
    run(*SIGN, "--in", name, "--out", "signed")
    run(*VERIFY, "--in", "signed", "--out", "out")
    os.unlink("signed")
    run(*SIGN, "--in", name, "--out", "apart", "--detached")
    run(*VERIFY, "--in", "apart", "--content", name)
    run("encrypt", "--to", "bert.crt", "--in", name, "--out", "sealed")
    run("decrypt", "--cert", "bert.crt", "--key", "bert.key", "--in", "sealed", "--out", "out")
    os.unlink("sealed")

all_of_it("small")
base = peak()
all_of_it("big")
print(base, peak())
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder with two people's keys; certificates are good now."""
    folder, pki = tmp_path_factory.mktemp("keys"), make_pki(at=datetime.now(UTC).replace(microsecond=0))
    (folder / "root.pem").write_bytes(pki.root.pem)
    for name, kind in (("anna", "merchant"), ("bert", "merchant-agreement")):
        certificate, chain, key = pki.issue(kind, f"urn:e2s:market:{name}")
        (folder / f"{name}.crt").write_bytes(b"".join(one.pem for one in (certificate, *chain)))
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(plain)
    return folder


def process(folder, script, *words):
    command = [sys.executable, "-c", script, *words]
    given = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, check=False, timeout=600)


@pytest.mark.parametrize("files", ["nameless", "unlinked"])
def test_killed_midway_nothing_is_left(keys, tmp_path, files):
    certificate = read_certificates((keys / "bert.crt").read_bytes())[0]
    (tmp_path / "sealed").write_bytes(cms.seal(CONTENT, oids.DATA, [certificate], secrets.token_bytes))
    mine = ("--cert", str(keys / "bert.crt"), "--key", str(keys / "bert.key"))
    words = ("cms", "decrypt", *mine, "--in", "sealed", "--out", "out")
    assert process(tmp_path, KILLED, files, *words).returncode == -9
    assert [one.name for one in tmp_path.iterdir()] == ["sealed"]


def test_memory_does_not_grow_with_the_file(keys):
    """256 MiB, or 1 GiB in the long run: signed, verified, enveloped and opened in 64 MiB over the base."""
    (keys / "small").write_bytes(CONTENT[:1000])
    with (keys / "big").open("wb") as big:
        big.write(CONTENT)
        big.truncate(BIG - len(CONTENT))
        big.seek(0, os.SEEK_END)
        big.write(CONTENT)
    try:
        done = process(keys, MEASURED)
        assert done.returncode == 0, done.stderr.decode()
        base, peak = map(int, done.stdout.split()[-2:])
        assert filecmp.cmp(keys / "big", keys / "out", shallow=False)
        assert peak - base < MOST, (base, peak)
    finally:
        for name in ("big", "out"):
            (keys / name).unlink(missing_ok=True)
