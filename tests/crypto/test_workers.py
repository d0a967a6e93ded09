"""Signing by worker processes: the same signatures, no key where it does not belong, and nothing left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, oids, suites
from e2s.crypto.openers import KeyOpener
from e2s.crypto.opening_workers import OpeningWorkers
from e2s.crypto.workers import SigningWorkers
from tests.judges.parties import peer
from tests.worlds.crypto import AT

DATA = b"octets to be signed"


def workers(kind: str = "p256", **more) -> SigningWorkers:
    one = peer(kind)
    return SigningWorkers(one.certificate, (one.issuer,), one.key, **more)


@pytest.fixture(scope="module")
def pool():
    with workers() as found:
        yield found


def is_good(signer: SigningWorkers, signature: bytes, data: bytes = DATA) -> bool:
    return signer.suite.verified(signer.certificate.public_key, signature, data)


def gone(pid: int) -> bool:
    """Whether no process, not even a zombie, has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def ended(pid: int) -> bool:
    """Whether the process ends within seconds; its parent, not we, may have to bury it."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("kind", ["rsa", "ml-dsa-65"])
def test_workers_are_a_signer(kind):
    with workers(kind, count=1) as signer:
        with meter.measured() as spent:
            octets = cms.sign(DATA, oids.ACT, signer, AT)
        assert spent == {"sign": 1}
        cms.check_signature(cms.read_signed(octets))
        assert signer.suite is suites.signature_suite_of(peer(kind).key)


def test_a_suite_by_name():
    old = suites.signature_suite("rsa3072-pkcs1-sha256")
    with workers("rsa", count=1, suite=old) as signer:
        assert is_good(signer, signer.sign(DATA))
    with pytest.raises(Misuse, match="wrong-suite"):
        workers("p256", suite=old)


@pytest.mark.parametrize("size", [0, 1, 65_531, 65_532, 65_533, 3_000_000])
def test_any_size(pool, size):
    data = bytes(size)
    assert is_good(pool, pool.sign(data), data)


def test_threads_share_the_workers(pool):
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda n: (n, pool.sign(b"%d" % n)), range(120)))
    assert all(is_good(pool, signature, b"%d" % n) for n, signature in found)


def test_the_key_is_where_it_belongs(pool):
    """Not in the arguments, the environment or a file: each worker holds its socket and nothing else."""
    octets = peer("p256").key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    key: Any = peer("p256").key
    number = key.private_numbers().private_value.to_bytes(32, "big")
    for pid in pool.pids:
        place = Path(f"/proc/{pid}")
        for shown in ("cmdline", "environ"):
            text = (place / shown).read_bytes()
            assert octets not in text
            assert number not in text
            assert number.hex().encode() not in text.lower()
        assert b"e2s.crypto.workers" in (place / "cmdline").read_bytes()
        held = {str(one.readlink()) for one in (place / "fd").iterdir()}
        assert {one.partition(":")[0] for one in held} == {"socket", "/dev/null"}
        assert "0" in (place / "limits").read_text().partition("Max core file size")[2].split()[:2]


def test_a_dead_worker_is_a_refusal_and_is_replaced():
    with workers(count=1) as signer:
        (first,) = signer.pids
        os.kill(first, signal.SIGKILL)
        with pytest.raises(Refusal, match="worker-died"):
            signer.sign(DATA)
        (second,) = signer.pids
        assert second not in {0, first}
        assert gone(first)
        assert is_good(signer, signer.sign(DATA))


def test_a_worker_that_hangs_is_replaced():
    with workers(count=1, timeout_seconds=1) as signer:
        (first,) = signer.pids
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(Refusal, match="worker-died"):
            signer.sign(DATA)
        assert gone(first)
        assert is_good(signer, signer.sign(DATA))


def test_a_death_does_not_touch_the_others():
    with workers(count=2) as signer:
        os.kill(signer.pids[0], signal.SIGKILL)
        refused = 0
        for n in range(4):
            try:
                assert is_good(signer, signer.sign(b"%d" % n), b"%d" % n)
            except Refusal:
                refused += 1
        assert refused == 1
        assert 0 not in signer.pids


def test_an_answer_that_nobody_heard_is_not_given_to_another(monkeypatch):
    """Interrupted between asking and hearing, the next who asks gets a refusal and no other's signature."""

    def interrupted(_held):
        raise KeyboardInterrupt

    with workers(count=1) as signer:
        with monkeypatch.context() as broken:
            broken.setattr("e2s.crypto.workers._received", interrupted)
            with pytest.raises(KeyboardInterrupt):
                signer.sign(b"the first")
        assert signer.pids == (0,)
        with pytest.raises(Refusal, match="worker-died"):
            signer.sign(DATA)
        assert is_good(signer, signer.sign(DATA))


def test_closing_leaves_nothing():
    signer = workers(count=2)
    pids = signer.pids
    signer.close()
    signer.close()
    assert all(map(gone, pids))
    assert signer.pids == (0, 0)
    with pytest.raises(Refusal, match="workers-closed"):
        signer.sign(DATA)


def test_closing_ends_who_waits():
    """One waits for an answer that does not come, another for a worker: both are refused."""
    signer = workers(count=1)
    (pid,) = signer.pids
    os.kill(pid, signal.SIGSTOP)
    rules: list[str] = []

    def ask() -> None:
        try:
            signer.sign(DATA)
        except Refusal as refusal:
            rules.append(refusal.rule)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while signer._idle.qsize():
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    signer.close()
    for thread in threads:
        thread.join(10)
    assert rules == ["workers-closed"] * 3 or set(rules) <= {"workers-closed", "worker-died"}
    assert len(rules) == 3
    assert gone(pid)


def test_workers_end_with_their_parent():
    """Killed without a chance to close anything, it leaves no process behind."""
    script = (
        "import os, signal, sys\n"
        "from tests.crypto.test_workers import workers\n"
        "signer = workers()\n"
        "print(*signer.pids, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
    pids = [int(one) for one in done.stdout.split()]
    assert (done.returncode, len(pids)) == (-signal.SIGKILL, 2)
    assert all(map(ended, pids))


def test_what_is_no_signer():
    one = peer("p256")
    for count in (0, 1000):
        with pytest.raises(Misuse, match="worker-count"):
            workers(count=count)
    with pytest.raises(Misuse, match="wrong-key"):
        SigningWorkers(one.certificate, (), peer("p256", "bert").key)
    with pytest.raises(Refusal, match="suite-unknown"):
        workers("x25519")


def test_no_process_can_be_started(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    with pytest.raises(Refusal, match="worker-died"):
        workers()
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(Refusal, match="worker-died"):
        workers()


def test_an_rsa_key_opens_in_processes_of_its_own_as_it_does_in_this_one():
    one = peer("rsa")
    certificate, private = one.certificate, one.key
    with OpeningWorkers(private) as workers:
        opener = workers.under(certificate)
        for suites_named in ((), ("rsa-pkcs1-aes256cbc",)):
            sealed = cms.seal(DATA, oids.DATA, [certificate], os.urandom, suites=suites_named)
            assert cms.open_sealed(sealed, opener, allow_legacy=True) == (oids.DATA, DATA)
        junk = bytes(private.key_size // 8)
        # a stand-in that only the holder can compute, and always the same
        assert opener.unwrap_old(junk, 32) == KeyOpener(certificate, private).unwrap_old(junk, 32)
        with pytest.raises(Refusal, match="bad-envelope"):
            opener.unwrap(junk)
        with pytest.raises(Refusal, match="wrong-key"):
            opener.agree(b"")
        with pytest.raises(Refusal, match="wrong-key"):
            opener.decapsulate(b"")
        pids = workers.pids
    assert all(map(ended, pids))
    with pytest.raises(Refusal, match="workers-closed"):
        opener.unwrap_old(junk, 32)
    with pytest.raises(Misuse, match="wrong-key"):
        OpeningWorkers(peer("p256").key)
