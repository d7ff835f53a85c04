"""What is printed, for a terminal that lacks some of the signs (dC/dw^4 for ∂C/∂w⁴), and that obeys others."""

from __future__ import annotations

import re
from unicodedata import normalize

from .expression import LOWERED_RUN, RAISED_RUN
from .formula import GREEK

TYPEWRITER = str.maketrans({letter: command[1:] for letter, command in GREEK.items()} | {
    "∂": "d", "½": "1/2", "·": "*", "×": "x", "÷": "/", "−": "-", "–": "-", "′": "'", "∞": "inf", "⊙": "(*)", "ᵀ": "^T",
    "…": "...", "⋯": "...", "≈": "~", "→": "->", "←": "<-", "∇": "grad ", "Σ": "sum", "⁄": "/",
    "✓": "+", "✗": "x", "↓": "v", **dict.fromkeys("⎡⎢⎣", "["), **dict.fromkeys("⎤⎥⎦", "]"), **dict.fromkeys("⎛⎜⎝", "("),
    **dict.fromkeys("⎞⎟⎠", ")")})


def typewriter(error: UnicodeError) -> tuple[str, int]:
    """For streams that cannot write a sign (see `codecs.register_error`): a^4 for a⁴, a^(k-1) for aᵏ⁻¹, x_1 for x₁."""
    assert isinstance(error, UnicodeEncodeError)
    end = error.end
    for index in (RAISED_RUN, LOWERED_RUN):
        more = index.match(error.object, error.end - 1)  # an index stays together, though Latin-1 has the ¹
        end = more.end() if more else end
    words = RAISED_RUN.sub(lambda index: "^" + on_the_line(index[0]), error.object[error.start:end])
    words = LOWERED_RUN.sub(lambda index: "_" + on_the_line(index[0]), words)
    return words.translate(TYPEWRITER).encode("ascii", "replace").decode(), end


def on_the_line(index: str) -> str:
    """A raised or lowered index in ordinary signs."""
    plain = normalize("NFKC", index)
    return f"({plain})" if len(plain) > 1 else plain


# What terminals obey: to move, to colour, to turn the direction of writing. Ends of lines are none of these.
CONTROL = re.compile("[\0-\t\v-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(words: str) -> str:
    """Words that may come from a file, to print: with \\x1b for the sign of that number, which a terminal obeys."""
    return CONTROL.sub(lambda sign: sign[0].encode("unicode_escape").decode(), words)
