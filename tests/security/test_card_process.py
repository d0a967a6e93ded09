"""The card's process: who may speak to it, what a kill leaves, and what others' programs make of it in a reader."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from e2s.base.errors import Misuse, Refusal
from e2s.security.smartcard import apdu, codes, folder, making, piv, running, tlv
from e2s.security.smartcard.session import Kept
from tests.worlds.card import MANAGEMENT, PIN, PUK, Host
from tests.worlds.card_process import Wire, start

pytestmark = pytest.mark.processes

KILLS = 1000 if os.environ.get("E2S_SOAK") else 12
JUDGES = Path(__file__).with_name("card_judges.sh")


class Remote(Host):
    """A host at a card's socket."""

    def __init__(self, path):
        self.applet = Wire(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.applet.close()


@pytest.fixture
def home(tmp_path):
    # sockets have short names
    made = Path("/dev/shm") / f"card-{secrets.token_hex(6)}"
    made.mkdir(mode=0o700)
    yield made
    shutil.rmtree(made)


def test_one_process_is_the_card_and_its_socket_is_its_users_alone(home):
    started = start(home)
    try:
        with Remote(home / folder.SOCKET) as host, Remote(home / folder.SOCKET) as other:
            assert host.applet.told.startswith(b"\x3b")
            assert host.verify() == apdu.OK
            assert other.tries() == apdu.TRIES | 3
        assert (home / folder.SOCKET).stat().st_mode & 0o777 == 0o600
        assert (home / folder.SECRET).stat().st_mode & 0o777 == 0o600
        with pytest.raises(Misuse, match="card-in-use"):
            folder.CardFolder(home, secrets.token_bytes)
    finally:
        started.kill()
        started.communicate()


def test_a_stranger_is_not_answered(home, monkeypatch):
    """Another user, who got past the folder and the socket's mode, is hung up on."""
    memory = making.blank(secrets.token_bytes(16), pin=PIN, puk=PUK, management=MANAGEMENT)
    card, ready = running.Card(Kept(memory, lambda _memory: None), secrets.token_bytes), threading.Event()
    monkeypatch.setattr(os, "getuid", lambda: 65534)  # the user whose card it is
    serving = threading.Thread(target=card.serve, args=(home / folder.SOCKET, ready.set))
    serving.start()
    assert ready.wait(10)
    with socket.socket(socket.AF_UNIX) as held:
        held.connect(str(home / folder.SOCKET))
        assert held.recv(1) == b""
    card.close()
    serving.join(10)
    assert not serving.is_alive()
    assert not (home / folder.SOCKET).exists()


def test_a_card_is_not_made_twice_and_not_made_badly(home):
    memory = making.blank(secrets.token_bytes(16), pin=PIN, puk=PUK, management=MANAGEMENT)
    folder.make(home, memory, secrets.token_bytes)
    with pytest.raises(Misuse, match="card-exists"):
        folder.make(home, memory, secrets.token_bytes)
    good: dict[str, Any] = {"pin": PIN, "puk": PUK, "management": MANAGEMENT}
    bads: list[dict[str, Any]] = [
        {"pin": b"12345"},
        {"pin": b"12345678901"},
        {"puk": b"1234"},
        {"management": b"x"},
    ]
    for bad in bads:
        with pytest.raises(Misuse, match="bad-card-codes"):
            making.blank(secrets.token_bytes(16), **{**good, **bad})
    (home / folder.SECRET).write_bytes(bytes(32))
    with pytest.raises(Refusal, match="altered-card"):
        folder.CardFolder(home, secrets.token_bytes)
    with pytest.raises(Misuse, match="no-card"):
        folder.CardFolder(home / "none", secrets.token_bytes)


def test_killed_at_any_command_a_card_is_as_before_or_after_it(home):
    """Tries never grow by a kill, and a key that was answered is there."""
    seed = secrets.token_hex(4)
    chance = random.Random(seed)
    known = {"tries": 3, "stored": 0}
    for kill in range(KILLS):
        started = start(home)
        try:
            with Remote(home / folder.SOCKET) as host:
                found = {"tries": host.tries() & 0xF, "stored": _stored(host)}
                # one command may have been carried out and not answered
                assert known["tries"] - 1 <= found["tries"] <= 3, f"seed {seed}, kill {kill}"
                assert known["stored"] <= found["stored"] <= known["stored"] + 1, f"seed {seed}, kill {kill}"
                known = found
                assert host.verify() == apdu.OK
                assert host.manage() == apdu.OK
                known["tries"] = 3
                command = ["sh", "-c", f"sleep {chance.random() * 0.02}; kill -9 {started.pid}"]
                killer = subprocess.Popen(command)
                with contextlib.suppress(EOFError, OSError):
                    while True:
                        assert host.put(_OBJECT, b"%d" % (known["stored"] + 1)) == apdu.OK
                        known["stored"] += 1
                        assert host.verify(b"000001") == apdu.TRIES | 2
                        known["tries"] = 2
                        assert host.verify() == apdu.OK
                        known["tries"] = 3
                killer.wait()
        finally:
            started.kill()
            started.communicate()
        assert started.returncode == -signal.SIGKILL


_OBJECT = piv.SLOTS[0x9A].certificate


def _stored(host):
    status, answer = host.get(_OBJECT)
    return int(tlv.inside(answer, 0x53)) if status == apdu.OK else 0


@pytest.mark.tool
def test_others_programs_use_the_card_in_a_reader(tmp_path):
    """OpenSC, the YubiKey's tool and OpenSSL, through pcscd, in namespaces of their own."""
    apart = ["unshare", "--mount", "--net", *([] if os.getuid() == 0 else ["-r"])]
    done = subprocess.run(
        [*apart, "bash", str(JUDGES), sys.executable, str(tmp_path), PIN.decode(), PUK.decode()],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6000:]
    assert "Personal Identity Verification Card" in said
    assert said.count("No errors") == 1
    assert said.count("Verified OK") == 3
    assert "Successful ECDSA verification" in said
    assert "Successful RSA verification" in said
    assert "Successfully performed RSA decryption" in said
    assert "2 tries left before pin is blocked" in said
    assert "Successfully unblocked the pin code" in said
    assert "agreed: the same secret" in said
    assert "signed and opened by PC/SC" in said
    assert "signed by python-pkcs11" in said
    assert "drawn: card-removed" in said
    assert codes.padded(PIN) not in (tmp_path / "card" / folder.MEMORY).read_bytes()
