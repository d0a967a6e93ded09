"""How fast CMS goes through a file, over the bare pass through the same file by the library's own calls.

The bare pass reads by one buffer used again, puts each piece through SHA-256 or AES-256-GCM, and writes the
result to a file without a name where ours does; nothing else.  Figures are the processor's seconds of the
bare pass over ours, so 1 is as fast as bare.  How ours compares with a pass that writes nothing stands in the
detail as ``over_alone``.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bench.crypto import AT, _Authority
from bench.figure import Figure
from e2s.crypto import oids
from e2s.crypto.cms import streaming
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener

SIZE = 64 * 1024 * 1024
BUFFER = 256 * 1024
LEAST = 0.8
ROUNDS = 7


def rounds() -> list[Figure]:
    """The figures of this area."""
    authority, key = _Authority(), ec.generate_private_key(ec.SECP256R1())
    certificate = authority.certify("one", key)
    signer, opener = KeySigner(certificate, authority.chain, key), KeyOpener(certificate, key)
    with tempfile.TemporaryDirectory() as name:
        desk = _Desk(Path(name))
        block = secrets.token_bytes(1024 * 1024)
        desk.write("content", block * (SIZE // len(block)))
        acts: dict[str, Callable[[], object]] = {
            "sign": lambda: desk.through("content", "signed", _sign(signer, detached=False)),
            "sign-detached": lambda: desk.through("content", "apart", _sign(signer, detached=True)),
            "verify": lambda: desk.through("signed", None, streaming.verify),
            "verify-out": lambda: desk.through("signed", "out", streaming.verify),
            "envelope": lambda: desk.through(
                "content",
                "sealed",
                lambda source, out: streaming.seal(
                    source, out, oids.DATA, [certificate], secrets.token_bytes
                ),
            ),
            "open": lambda: desk.through(
                "sealed", "out", lambda source, out: streaming.open_sealed(source, out, opener)
            ),
        }
        for act in ("sign", "envelope"):
            acts[act]()
            desk.keep()
        writes = {"sign", "verify-out", "envelope", "open"}
        return [_figure(desk, name, act, writes=name in writes) for name, act in acts.items()]


def _sign(signer: KeySigner, *, detached: bool) -> Callable[[BinaryIO, BinaryIO], object]:
    return lambda source, out: streaming.sign(source, out, oids.DATA, signer, AT, detached=detached)


def _figure(desk: _Desk, name: str, act: Callable[[], object], *, writes: bool) -> Figure:
    """Bare seconds of the processor over ours, each in turn."""
    measure = _sealing if name in {"envelope", "open"} else _hashing

    def bare() -> None:
        desk.through("content", "bare" if writes else None, measure)

    def alone() -> None:
        desk.through("content", None, measure)

    taken: dict[Callable[[], object], list[float]] = {act: [], bare: [], alone: []}
    for turn in range(ROUNDS + 1):
        for each, found in taken.items():
            seconds = _seconds(each)
            desk.drop()
            if turn:  # the first time warms up
                found.append(seconds)
    ours = taken[act]
    value, over_alone = (
        median(base / own for base, own in zip(taken[other], ours, strict=True)) for other in (bare, alone)
    )
    detail = {
        "measured_us": round(1e6 * median(ours)),
        "base_us": round(1e6 * median(taken[bare])),
        "bytes": SIZE,
        "rounds": ROUNDS,
        "over_alone": round(over_alone, 3),
    }
    return Figure(
        name=f"streaming.{name}", value=round(value, 3), limit=LEAST, better="higher", detail=detail
    )


def _seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


class _Desk:
    """Files in one folder; what is written has no name until it is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: tuple[str, BinaryIO] | None = None

    def write(self, name: str, octets: bytes) -> None:
        (self._folder / name).write_bytes(octets)

    def through(self, source: str, out: str | None, act: Callable[[BinaryIO, Any], object]) -> None:
        """One pass of ``act`` from a file to a new one, or to none."""
        with (self._folder / source).open("rb", buffering=0) as file:
            if out is None:
                act(file, None)
                return
            made = streaming.open_unnamed(self._folder)
            self._last = (out, made)
            act(file, made)

    def keep(self) -> None:
        """Give what was written last its name."""
        if self._last is not None:
            streaming.place(self._last[1], self._folder / self._last[0], mode=0o600)
        self.drop()

    def drop(self) -> None:
        """Let go of what was written last, which takes its time."""
        if self._last is not None:
            self._last[1].close()
            self._last = None


def _hashing(source: BinaryIO, out: BinaryIO | None) -> None:
    """The bare pass of SHA-256."""
    buffer, digest = memoryview(bytearray(BUFFER)), hashlib.sha256()
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        digest.update(buffer[:count])
        if out is not None:
            out.write(buffer[:count])
    digest.digest()


def _sealing(source: BinaryIO, out: BinaryIO | None) -> None:
    """The bare pass of AES-256-GCM."""
    buffer, sealed = memoryview(bytearray(BUFFER)), memoryview(bytearray(BUFFER + 16))
    encryptor = Cipher(algorithms.AES(bytes(32)), modes.GCM(bytes(12))).encryptor()
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        done = encryptor.update_into(buffer[:count], sealed)
        if out is not None:
            out.write(sealed[:done])
    encryptor.finalize()
