"""A card in memory and a host that speaks to it, as a reader would."""

from __future__ import annotations

import secrets
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from e2s.security.smartcard import apdu, codes, making, piv, tlv
from e2s.security.smartcard.applet import Applet
from e2s.security.smartcard.session import Kept

PIN, PUK, MANAGEMENT = b"471147", b"unblock!", bytes(range(32))


class Host:
    """One card, one user of it; ``saved`` lists what was made durable."""

    applet: Any
    public: dict[int, Any]
    root: tuple[Any, Any]
    ask: Any

    def __init__(self, memory=None, **more):
        self.saved = []
        self.memory = memory or making.blank(
            secrets.token_bytes(16), **{"pin": PIN, "puk": PUK, "management": MANAGEMENT} | more
        )
        self.kept = Kept(self.memory, self.saved.append)
        self.applet = Applet(self.kept, secrets.token_bytes)

    def again(self):
        """Another user of the same card."""
        other = Host.__new__(Host)
        other.saved, other.kept = self.saved, self.kept
        other.applet = Applet(self.kept, secrets.token_bytes)
        return other

    def send(self, ins, p1=0, p2=0, data=b"", *, cla=0, expected=None):
        """One command, the rest of its answer fetched."""
        command = apdu.Command(ins=ins, p1=p1, p2=p2, data=data, cla=cla, expected=expected)
        answer = apdu.read_answer(self.applet.transmit(command.encoded()))
        whole = answer.data
        while answer.status & 0xFF00 == apdu.MORE:
            more = apdu.Command(ins=0xC0, expected=256).encoded()
            answer = apdu.read_answer(self.applet.transmit(more))
            whole += answer.data
        return apdu.Answer(status=answer.status, data=whole)

    def chained(self, ins, p1, p2, data):
        """A command in parts of 200 octets."""
        while len(data) > 200:
            answer = self.send(ins, p1, p2, data[:200], cla=apdu.CHAINED)
            if not answer.good:
                return answer
            data = data[200:]
        return self.send(ins, p1, p2, data, expected=256)

    def verify(self, pin=PIN):
        return self.send(0x20, 0, piv.PIN, codes.padded(pin)).status

    def tries(self):
        return self.send(0x20, 0, piv.PIN).status

    def manage(self, key=MANAGEMENT):
        """Prove the management key, and have the card prove it."""
        witness = self.general(piv.AES256, piv.MANAGEMENT, {0x80: b""})
        if not witness.good:
            return witness.status
        sealed = tlv.members(tlv.inside(witness.data, 0x7C))[0x80]
        cipher = Cipher(algorithms.AES(key), modes.ECB())
        opened = cipher.decryptor().update(sealed)
        challenge = secrets.token_bytes(16)
        answer = self.general(piv.AES256, piv.MANAGEMENT, {0x80: opened, 0x81: challenge, 0x82: b""})
        if answer.good:
            response = tlv.members(tlv.inside(answer.data, 0x7C))[0x82]
            assert response == cipher.encryptor().update(challenge)
        return answer.status

    def general(self, algorithm, reference, parts):
        body = b"".join(tlv.write(tag, value) for tag, value in parts.items())
        return self.chained(0x87, algorithm, reference, tlv.write(0x7C, body))

    def generate(self, reference, algorithm=piv.P256, **more):
        asked = tlv.write(0x80, bytes((algorithm,)))
        asked += b"".join(tlv.write(int(tag, 16), value) for tag, value in more.items())
        return self.send(0x47, 0, reference, tlv.write(0xAC, asked), expected=256)

    def sign(self, reference, digest, algorithm=piv.P256):
        answer = self.general(algorithm, reference, {0x82: b"", 0x81: digest})
        return answer.status, tlv.members(tlv.inside(answer.data, 0x7C))[0x82] if answer.good else b""

    def get(self, tag):
        octets = tag.to_bytes((tag.bit_length() + 7) // 8, "big")
        answer = self.send(0xCB, 0x3F, 0xFF, tlv.write(0x5C, octets), expected=256)
        return answer.status, answer.data

    def put(self, tag, value):
        octets = tag.to_bytes((tag.bit_length() + 7) // 8, "big")
        return self.chained(0xDB, 0x3F, 0xFF, tlv.write(0x5C, octets) + tlv.write(0x53, value)).status
