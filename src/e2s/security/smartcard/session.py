"""What a card knows of the one who uses it now: nothing of this outlives power, or another application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from e2s.base.errors import Refusal
from e2s.security.smartcard import apdu
from e2s.security.smartcard.memory import Memory

#: Of what is chained.
MAX_CHAIN: Final = 16 * 1024


@dataclass(kw_only=True)
class Session:
    """From one reset of the card to the next.

    ``verified``: the PIN was given; ``fresh``: by the command before; ``managed``: the management key was
    proven; ``asked`` is what was sent to have it proven, and what the right answer is; ``judged`` the CAs
    whose certificates were found good, and how many may stand below each.
    """

    verified: bool = False
    fresh: bool = False
    managed: bool = False
    asked: tuple[int, bytes] | None = field(default=None, repr=False)
    judged: list[tuple[x509.Certificate, int]] = field(default_factory=list, repr=False)


class Kept:
    """The memory of a card that is in use: what changes is kept before the card answers."""

    def __init__(self, memory: Memory, keep: Callable[[Memory], None]) -> None:
        """``keep`` makes a memory durable; where it raises :class:`OSError`, nothing has changed."""
        self.memory = memory
        self._keep = keep

    def change(self, memory: Memory) -> None:
        """Keep it; raises :class:`Refusal` with :data:`~apdu.MEMORY_FAILURE`."""
        try:
            self._keep(memory)
        except OSError as error:
            raise stop(apdu.MEMORY_FAILURE) from error
        self.memory = memory


def stop(status: int) -> Refusal:
    """Why a command is not carried out, by its status word."""
    return Refusal("card-refuses", apdu.Answer(status=status).sentence, status=status)
