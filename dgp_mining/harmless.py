"""Texts from elsewhere, such as names of files and what these say of themselves, harmless on a screen."""

from __future__ import annotations

import unicodedata

_HARMFUL = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of controls, halves of characters, and ends of lines and paragraphs."""

_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the order in which others are shown (Unicode, UAX 9, 2)."""


def is_harmless(text: str) -> bool:
    """Whether a text is one line that moves no cursor, changes no colour and shows all letters in order.

    Spaces of all kinds and joiners are part of names that people and systems give, and harmless.

    >>> is_harmless("Screenshot 9.41\\u202fPM.png"), is_harmless("a\\x1b[2J.png"), is_harmless("a\\n")
    (True, False, False)
    """
    return text.isprintable() or not any(map(_is_harmful, text))


def harmless(text: str, kept: str = "") -> str:
    """Replace what is harmful in a text, but for the characters in `kept`.

    >>> harmless("a\\x1b[2J.png")
    'a\N{REPLACEMENT CHARACTER}[2J.png'
    """
    if is_harmless(text):
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_harmful(c) and c not in kept else c for c in text)


def _is_harmful(character: str) -> bool:
    return character in _REORDERING or unicodedata.category(character) in _HARMFUL
