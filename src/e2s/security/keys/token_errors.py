"""Each error of a PKCS#11 module has its rule here, and nothing of the error's own text is shown."""

from __future__ import annotations

from typing import Final

from e2s.base.errors import Refusal

#: What an error of the module means, by its class: rule and sentence.
RULES: Final = {
    "PinIncorrect": ("wrong-pin", "the PIN does not open this token"),
    "PinInvalid": ("wrong-pin", "the PIN does not open this token"),
    "PinLenRange": ("wrong-pin", "the PIN does not open this token"),
    "PinLocked": ("pin-locked", "the PIN was wrong too often: the token's security officer must set it anew"),
    "PinExpired": ("pin-expired", "the PIN must be changed with the token's own program first"),
    "UserPinNotInitialized": ("pin-not-set", "the token has no PIN yet: set one with its own program"),
    "TokenNotPresent": ("token-absent", "the token is not in its slot"),
    "DeviceRemoved": ("token-removed", "the token was removed"),
    "SessionHandleInvalid": ("token-session-lost", "the token has forgotten our session"),
    "SessionClosed": ("token-session-lost", "the token has forgotten our session"),
    "UserNotLoggedIn": ("token-session-lost", "the token has forgotten our login"),
    "KeyHandleInvalid": ("token-session-lost", "the token has forgotten our key"),
    "ObjectHandleInvalid": ("token-session-lost", "the token has forgotten our key"),
    "MechanismInvalid": ("token-lacks-mechanism", "the token does not sign or generate in this way"),
    "MechanismParamInvalid": ("token-lacks-mechanism", "the token does not sign or generate in this way"),
    "FunctionNotSupported": ("token-lacks-mechanism", "the token does not sign or generate in this way"),
    "TokenWriteProtected": ("token-read-only", "the token is write-protected"),
    "SessionReadOnly": ("token-read-only", "the token is write-protected"),
    "DeviceMemory": ("token-full", "there is no room in the token"),
}
#: After these the session is opened again, once.
LOST: Final = frozenset({"token-session-lost", "token-removed"})


def told(error: Exception) -> Refusal:
    """The refusal for an error of the module; nothing of the error's own text is shown."""
    name = type(error).__name__
    rule, sentence = RULES.get(name, ("token-failed", "the token did not do what it was asked"))
    return Refusal(rule, sentence, error=name)
