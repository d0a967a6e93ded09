"""The PIV application (NIST SP 800-73-5, part 2): each command is answered once what it changed is durable.

Nothing here reads a clock, a file or a socket: the card's memory is kept through a port, its randomness comes
in.  What the standard lacks and tools expect is there too: metadata, attestation, keys that are brought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from e2s.base.errors import E2SError
from e2s.security.smartcard import apdu, attesting, codes, judging, management, messaging, piv, raw, tlv
from e2s.security.smartcard.apdu import Answer, Command
from e2s.security.smartcard.memory import CardKey, Held
from e2s.security.smartcard.session import MAX_CHAIN, Kept, Session, stop

#: That of a YubiKey 5, since tools choose what they ask by it.
ATR: Final = bytes.fromhex("3BFD1300008131FE158073C021C057597562694B657940")
_SELECTED: Final = tlv.write(
    0x61,
    tlv.write(0x4F, piv.AID[5:]) + tlv.write(0x79, tlv.write(0x4F, piv.RID)),
)
_DISCOVERY: Final = tlv.write(0x4F, piv.AID) + tlv.write(0x5F2F, b"\x40\x00")
_MAX_RANDOM: Final = 1024
#: Rules of what was refused below, as status words.
_STATUS: Final[Mapping[str, int]] = {
    "bad-apdu": apdu.WRONG_LENGTH,
    "bad-tlv": apdu.BAD_DATA,
    "bad-data": apdu.BAD_DATA,
    "bad-algorithm": apdu.BAD_DATA,
}
#: The suite of secure messaging of a key on each curve.
_MESSAGING: Final = {piv.P256: piv.CS2, piv.P384: piv.CS7}
_NEEDS: Final = {1: piv.Need.NEVER, 2: piv.Need.ONCE, 3: piv.Need.ALWAYS}


class Applet:
    """One card with power: :meth:`transmit` answers, :meth:`reset` forgets who uses it."""

    def __init__(self, kept: Kept, random: Callable[[int], bytes]) -> None:
        """``kept`` may be shared by several, each with its own user, as long as one at a time answers."""
        self._kept = kept
        self._random = random
        self._commands: Mapping[int, Callable[[Command], bytes]] = {
            0x20: self._verify,
            0x24: self._change,
            0x2C: self._unblock,
            0x87: self._authenticate,
            0xCB: self._get_data,
            0xDB: self._put_data,
            0x47: self._generate,
            0x84: self._challenge,
            0x22: self._manage_environment,
            0x2A: self._judge,
            0xF7: self._metadata,
            0xF8: self._serial,
            0xF9: self._attest,
            0xFD: self._version,
            0xFE: self._bring,
            0xFF: self._set_management,
        }
        self.reset()

    def reset(self) -> None:
        """Power on, or reset: nobody has given a PIN, and PIV is what is selected."""
        self._session = Session()
        self._channel: messaging.Channel | None = None
        self._chain: tuple[tuple[int, int, int], bytes] | None = None
        self._pending = b""

    def transmit(self, octets: bytes) -> bytes:
        """The answer to one command; never raises for what was sent."""
        try:
            command = apdu.read_command(octets)
            answer = self._answer(command)
        except E2SError as error:
            answer = Answer(status=_status(error))
        return answer.encoded()

    def _answer(self, command: Command) -> Answer:
        if command.cla & ~apdu.CHAINED & ~apdu.SECURED:
            raise stop(apdu.NO_CLASS)
        secured = command.cla & apdu.SECURED
        if secured not in {0, apdu.SECURED}:
            raise stop(apdu.NO_SECURE_MESSAGING)
        if command.ins == 0xC0 and not secured:
            return self._more(command)
        self._pending = b""
        if command.ins == 0xA4 and not secured:
            self._chain = None
            return self._select(command)
        whole = self._chained(command)
        if whole is None:
            return Answer()
        if secured:
            return self._part(self._secured(whole), command.expected)
        return self._part(self._carried_out(whole), whole.expected)

    def _carried_out(self, whole: Command) -> bytes:
        act = self._commands.get(whole.ins)
        if act is None:
            raise stop(apdu.NO_INSTRUCTION)
        fresh = self._session.fresh
        try:
            return act(whole)
        finally:
            if fresh and whole.ins != 0x20:
                self._session.fresh = False  # the PIN was for the command right behind it

    def _secured(self, whole: Command) -> bytes:
        """A command of the channel; what is wrong with it ends the channel, and what was allowed by it."""
        channel = self._channel
        if channel is None:
            raise stop(apdu.NO_SM_OBJECTS)
        try:
            plain = channel.opened_command(whole)
        except E2SError:
            self.reset()
            raise
        try:
            answer = Answer(data=self._carried_out(plain))
        except E2SError as error:
            answer = Answer(status=_status(error))
        if self._channel is not channel:  # another one was agreed within it
            raise stop(apdu.CONDITIONS)
        return channel.sealed_answer(answer)

    def _select(self, command: Command) -> Answer:
        name = command.data
        if command.p1 != 4:
            raise stop(apdu.BAD_PARAMETERS)
        if len(name) < len(piv.RID) or not piv.AID.startswith(name):
            raise stop(apdu.NOT_FOUND)
        self._session.verified = self._session.fresh = False
        return self._part(_SELECTED, command.expected)

    def _chained(self, command: Command) -> Command | None:
        """The whole command, or None while parts are missing (part 2, 3.2; ISO/IEC 7816-4, 5.3.3)."""
        which = (command.ins, command.p1, command.p2)
        before, self._chain = self._chain, None
        if before is not None and before[0] != which:
            raise stop(apdu.LAST_EXPECTED)
        data = (before[1] if before else b"") + command.data
        if len(data) > MAX_CHAIN:
            raise stop(apdu.WRONG_LENGTH)
        if command.cla & apdu.CHAINED:
            self._chain = (which, data)
            return None
        return replace(command, data=data)

    def _part(self, data: bytes, expected: int | None) -> Answer:
        """As much as is expected, a short answer where that was not said; the rest waits for GET RESPONSE."""
        most = expected or 256
        if len(data) <= most or not data:
            return Answer(data=data)
        self._pending = data[most:]
        rest = len(self._pending)
        return Answer(data=data[:most], status=apdu.MORE | (rest if rest < 256 else 0))

    def _more(self, command: Command) -> Answer:
        if not self._pending:
            raise stop(apdu.CONDITIONS)
        pending, self._pending = self._pending, b""
        return self._part(pending, command.expected or 256)

    # Codes

    def _verify(self, command: Command) -> bytes:
        codes.verify(self._kept, self._session, command)
        return b""

    def _change(self, command: Command) -> bytes:
        codes.change(self._kept, self._session, command)
        return b""

    def _unblock(self, command: Command) -> bytes:
        codes.unblock(self._kept, self._session, command)
        return b""

    # Keys

    def _authenticate(self, command: Command) -> bytes:
        """GENERAL AUTHENTICATE (part 2, 3.2.4)."""
        asked = tlv.members(tlv.inside(command.data, 0x7C))
        if command.p1 == 0 and command.p2 in {0, piv.MANAGEMENT} and asked == {0x81: b""} and not command.p2:
            return tlv.write(0x7C, tlv.write(0x81, self._random(16)))
        if command.p2 == piv.MANAGEMENT:
            answer = management.authenticate(self._kept, self._session, command.p1, asked, self._random)
            return tlv.write(0x7C, answer) if answer else b""
        if command.p2 == piv.MESSAGING:
            return self._agree(command, asked)
        held = self._usable(command)
        if asked.get(0x82) != b"":
            raise stop(apdu.BAD_DATA)
        if set(asked) == {0x82, 0x85}:
            result = raw.agree(held.key, asked[0x85])
        elif set(asked) == {0x81, 0x82}:
            result = raw.sign(held.key, asked[0x81], self._random)
        else:
            raise stop(apdu.BAD_DATA)
        return tlv.write(0x7C, tlv.write(0x82, result))

    def _agree(self, command: Command, asked: dict[int, bytes]) -> bytes:
        """Secure messaging from the next command on (part 2, 4.1)."""
        held = self._kept.memory.keys.get(piv.MESSAGING)
        certificate = self._kept.memory.objects.get(piv.MESSAGING_CERTIFICATE)
        suite = messaging.SUITES.get(command.p1)
        if held is None or certificate is None or suite is None or held.algorithm != suite.algorithm:
            raise stop(apdu.NO_REFERENCE)
        if set(asked) != {0x81, 0x82} or asked[0x82] or isinstance(held.key, rsa.RSAPrivateKey):
            raise stop(apdu.BAD_DATA)
        nonce = self._random(suite.nonce_bytes)
        answer, channel = messaging.agreed(suite, held.key, certificate, asked[0x81], nonce)
        self.reset()
        self._channel = channel
        return tlv.write(0x7C, tlv.write(0x82, answer))

    def _usable(self, command: Command) -> Held:
        """The key, where the PIN was given as it asks for; raises otherwise."""
        held = self._kept.memory.keys.get(command.p2)
        if held is None or command.p2 not in piv.SLOTS:
            raise stop(apdu.NO_REFERENCE)
        if held.algorithm != command.p1:
            raise stop(apdu.BAD_PARAMETERS)
        session = self._session
        if held.need is piv.Need.ONCE and not session.verified:
            raise stop(apdu.SECURITY_STATUS)
        if held.need is piv.Need.ALWAYS and not session.fresh:
            raise stop(apdu.SECURITY_STATUS)
        return held

    def _generate(self, command: Command) -> bytes:
        """GENERATE ASYMMETRIC KEY PAIR (part 2, 3.3.2)."""
        self._managed()
        if command.p1:
            raise stop(apdu.BAD_PARAMETERS)
        asked = tlv.members(tlv.inside(command.data, 0xAC))
        algorithm = asked.get(0x80, b"")
        suite = messaging.SUITES.get(algorithm[0]) if len(algorithm) == 1 else None
        if command.p2 == piv.MESSAGING and suite is not None:
            key: CardKey = ec.generate_private_key(suite.curve)
        elif len(algorithm) == 1 and algorithm[0] in {*piv.RSA, *piv.CURVES}:
            key = raw.generate(algorithm[0])
        else:
            raise stop(apdu.BAD_DATA)
        self._put_key(command.p2, key, asked, made=True)
        return tlv.write(0x7F49, raw.public(key))

    def _bring(self, command: Command) -> bytes:
        """A key that was made elsewhere (an escrowed one, say): primes, or the scalar."""
        self._managed()
        key = judging.private_key(command.p1, tlv.members(command.data))
        self._put_key(command.p2, key, tlv.members(command.data), made=False)
        return b""

    def _put_key(self, reference: int, key: CardKey, asked: Mapping[int, bytes], *, made: bool) -> None:
        slot = piv.SLOTS.get(reference)
        if slot is None and reference not in {piv.ATTESTING, piv.MESSAGING}:
            raise stop(apdu.BAD_PARAMETERS)
        need = slot.need if slot else piv.Need.NEVER
        wanted = asked.get(0xAA, b"\0")
        if len(wanted) != 1 or (wanted[0] and wanted[0] not in _NEEDS):
            raise stop(apdu.BAD_DATA)
        if asked.get(0xAB, b"\0") not in {b"\0", b"\x01"}:
            raise stop(apdu.NOT_SUPPORTED)  # there is nothing to touch
        need = _NEEDS.get(wanted[0], need)
        memory = self._kept.memory
        algorithm = _MESSAGING[raw.algorithm_of(key)] if reference == piv.MESSAGING else raw.algorithm_of(key)
        held = Held(algorithm=algorithm, key=key, made=made, need=need)
        self._kept.change(replace(memory, keys={**memory.keys, reference: held}))

    def _set_management(self, command: Command) -> bytes:
        self._managed()
        if command.p1 != 0xFF or command.p2 != 0xFF:
            raise stop(apdu.BAD_PARAMETERS)
        management.set_key(self._kept, command.data)
        return b""

    def _managed(self) -> None:
        if not self._session.managed:
            raise stop(apdu.SECURITY_STATUS)

    # Objects

    def _get_data(self, command: Command) -> bytes:
        """GET DATA (part 2, 3.1.2)."""
        self._at_current(command)
        tag = int.from_bytes(tlv.inside(command.data, 0x5C), "big")
        if tag == piv.DISCOVERY:
            return tlv.write(0x7E, _DISCOVERY)
        if tag in piv.WITH_PIN and not self._session.verified:
            raise stop(apdu.SECURITY_STATUS)
        value = self._kept.memory.objects.get(tag)
        if value is None:
            raise stop(apdu.NOT_FOUND)
        return tlv.write(0x53, value)

    def _put_data(self, command: Command) -> bytes:
        """PUT DATA (part 2, 3.3.1); an empty object is removed."""
        self._managed()
        self._at_current(command)
        parts = list(tlv.objects(command.data))
        if [tag for tag, _ in parts] != [0x5C, 0x53]:
            raise stop(apdu.BAD_DATA)
        tag, value = int.from_bytes(parts[0][1], "big"), parts[1][1]
        if tag not in piv.OBJECTS:
            raise stop(apdu.NOT_FOUND)
        if len(value) > piv.MAX_OBJECT_BYTES:
            raise stop(apdu.NO_MEMORY)
        memory = self._kept.memory
        rest = {known: octets for known, octets in memory.objects.items() if known != tag}
        self._kept.change(replace(memory, objects={**rest, tag: value} if value else rest))
        return b""

    @staticmethod
    def _at_current(command: Command) -> None:
        if (command.p1, command.p2) != (0x3F, 0xFF):
            raise stop(apdu.BAD_PARAMETERS)

    # What the standard has elsewhere, or not at all

    def _challenge(self, command: Command) -> bytes:
        """GET CHALLENGE (ISO/IEC 7816-4, 11.5.3): random octets."""
        if command.p1 or command.p2:
            raise stop(apdu.BAD_PARAMETERS)
        if not command.expected or command.expected > _MAX_RANDOM:
            raise stop(apdu.WRONG_LENGTH)
        return self._random(command.expected)

    def _manage_environment(self, command: Command) -> bytes:
        judging.forget(self._session, command)
        return b""

    def _judge(self, command: Command) -> bytes:
        """PERFORM SECURITY OPERATION: VERIFY CERTIFICATE (ISO/IEC 7816-8, 11.3)."""
        judging.judge(self._kept, self._session, command)
        return b""

    def _metadata(self, command: Command) -> bytes:
        """What a key or a code is: algorithm, policies, origin, public key, tries."""
        memory, reference = self._kept.memory, command.p2
        if command.p1:
            raise stop(apdu.BAD_PARAMETERS)
        if reference == piv.MANAGEMENT:
            algorithm = tlv.write(1, bytes((memory.management_algorithm,)))
            return algorithm + tlv.write(2, b"\0\x01") + tlv.write(5, b"\0")
        if reference in {piv.PIN, piv.PUK}:
            known = codes.code(memory, reference)
            return tlv.write(1, b"\xff") + tlv.write(5, b"\0") + tlv.write(6, bytes((known.most, known.left)))
        held = memory.keys.get(reference)
        if held is None:
            raise stop(apdu.NO_REFERENCE)
        return (
            tlv.write(1, bytes((held.algorithm,)))
            + tlv.write(2, bytes((held.need.value, 1)))
            + tlv.write(3, b"\x01" if held.made else b"\x02")
            + tlv.write(4, raw.public(held.key))
        )

    def _serial(self, _command: Command) -> bytes:
        return attesting.short_serial(self._kept.memory)

    def _version(self, _command: Command) -> bytes:
        return attesting.FIRMWARE

    def _attest(self, command: Command) -> bytes:
        if command.p2:
            raise stop(apdu.BAD_PARAMETERS)
        return attesting.attest(self._kept.memory, command.p1)


def _status(error: E2SError) -> int:
    """The status word of what a command was refused for."""
    told = error.facts.get("status")
    return told if isinstance(told, int) else _STATUS.get(error.rule, apdu.UNKNOWN)
