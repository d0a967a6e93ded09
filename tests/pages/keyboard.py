"""What a user without a mouse does."""

from __future__ import annotations

from tests.client.parties import PHRASE


def focused(tab) -> str:
    return tab.evaluate("document.activeElement.getAttribute('name') || document.activeElement.innerText")


def tab_to(tab, wanted: str, most: int = 40) -> None:
    """Press Tab until the element of that name or text has the focus, seen as such."""
    for _ in range(most):
        tab.keyboard.press("Tab")
        if focused(tab) == wanted:
            outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", wanted
            return
    raise AssertionError(f"{wanted!r} can't be reached by keyboard")


def enter(tab) -> None:
    """Press Enter and wait for the page that it leads to."""
    with tab.expect_navigation():
        tab.keyboard.press("Enter")


def type_phrase(tab, text: str = PHRASE) -> None:
    tab_to(tab, "phrase")
    tab.keyboard.type(text)
    enter(tab)
