"""``e2s card list``, ``status``, ``change-pin``, ``unblock``, ``test``: what a holder does with her card."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from functools import partial

from e2s.base.errors import E2SError
from e2s.base.instants import format_instant
from e2s.cli.card_ways import CardFolder, NewPinFile, PinFile, PukFile, Serial, code_of, host_of, new_pin
from e2s.cli.report import Json, document, say, table
from e2s.crypto.certificates import Certificate
from e2s.security.smartcard import piv
from e2s.security.smartcard.directory import read_directory
from e2s.security.smartcard.host import CardHost


def list_cards(as_json: bool = Json) -> None:
    """List the PIV cards that are in readers."""
    from e2s.security.smartcard import readers

    found = readers.cards()
    if as_json:
        document([{"serial": one.serial, "reader": one.reader} for one in found])
        return
    if not found:
        say("no card in any reader")
        return
    table(("serial", "reader"), [(one.serial or "none", one.reader) for one in found])


def status(card: CardFolder = None, serial: Serial = "", as_json: bool = Json) -> None:
    """Say which card it is, how many tries its PIN has left, and which keys it has for whom."""
    host = host_of(card, serial)
    try:
        keys = _keys(host)
        tries = host.tries()
        told = {"serial": host.serial().hex(), "tries": tries, "keys": keys}
    finally:
        host.close()
    if as_json:
        document(told)
        return
    say(f"serial       {told['serial']}")
    say(f"PIN          {f'{tries} tries left' if tries else 'blocked'}")
    if keys:
        table(
            ("slot", "label", "name", "good until"),
            [(one["slot"], one["label"], one["name"], one["not-after"]) for one in keys],
        )
    else:
        say("keys         none")


def change_pin(
    card: CardFolder = None, serial: Serial = "", pin_file: PinFile = None, new_pin_file: NewPinFile = None
) -> None:
    """Change the PIN."""
    host = host_of(card, serial)
    try:
        host.change_pin(code_of(pin_file, "PIN"), new_pin(new_pin_file))
    finally:
        host.close()
    say("the PIN was changed")


def unblock(
    card: CardFolder = None, serial: Serial = "", puk_file: PukFile = None, new_pin_file: NewPinFile = None
) -> None:
    """Set a new PIN with the PUK, where the PIN is blocked or was forgotten."""
    host = host_of(card, serial)
    try:
        host.unblock(code_of(puk_file, "PUK"), new_pin(new_pin_file))
    finally:
        host.close()
    say("a new PIN was set")


def try_out(
    card: CardFolder = None,
    serial: Serial = "",
    pin_file: PinFile = None,
    as_json: bool = Json,
) -> None:
    """Say what a card and its reader can do: each key is used once.

    Without --pin-file only what needs no PIN is tried.
    """
    host = host_of(card, serial)
    rows: list[dict[str, str]] = []
    try:
        if pin_file is not None:
            host.verify(code_of(pin_file, "PIN"))
        _tried(rows, "random octets", lambda: host.random(32))
        for one in _keys(host):
            slot = int(one["slot"], 16)
            certificate = Certificate.read(host.certificate(slot) or b"")
            _tried(rows, f"key {one['slot']}", partial(_used, host, slot, certificate))
            _tried(rows, f"attestation {one['slot']}", partial(host.attest, slot))
    finally:
        host.close()
    if as_json:
        document(rows)
    else:
        table(("what", "result", "ms"), [(one["what"], one["result"], one["ms"]) for one in rows])


def _keys(host: CardHost) -> list[dict[str, str]]:
    found = []
    for label, slot in read_directory(host.object(piv.DIRECTORY)).slots.items():
        der = host.certificate(slot)
        if der:
            certificate = Certificate.read(der)
            until = format_instant(certificate.not_after)
            found.append(
                {"slot": f"{slot:02x}", "label": label, "name": certificate.name, "not-after": until}
            )
    return found


def _used(host: CardHost, slot: int, certificate: Certificate) -> object:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = certificate.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return host.sign(slot, piv.RSA3072 if key.key_size > 2048 else piv.RSA2048, bytes(key.key_size // 8))  # type: ignore[union-attr]
    algorithm = piv.P256 if key.curve.name == "secp256r1" else piv.P384
    if slot == piv.KEY_MANAGEMENT:
        peer = ec.generate_private_key(key.curve).public_key()
        return host.agree(slot, algorithm, peer.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    return host.sign(slot, algorithm, hashlib.sha256(secrets.token_bytes(16)).digest())


def _tried(rows: list[dict[str, str]], what: str, act: Callable[[], object]) -> None:
    begin = time.perf_counter()
    try:
        act()
        result = "good"
    except E2SError as error:
        result = error.rule
    rows.append({"what": what, "result": result, "ms": f"{1000 * (time.perf_counter() - begin):.1f}"})
