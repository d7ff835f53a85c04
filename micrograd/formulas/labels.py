r"""Names as people write them: w^{2}_{1,1} is w²₁,₁ in Unicode, and what Unicode cannot raise or lower is on the line.

Of strings alone; this module knows nothing of formulas.
"""

from __future__ import annotations

import re
from unicodedata import category, east_asian_width, normalize

from .boxes import GREEK_LETTERS, LETTER

# A label such as w^{2}_{1,1}, x_i, δ^{4} or \delta^4 is notation: letters with an index above, below, or both.
# Whatever else a user may write is text, and goes through as such.

INDEX = r"(\{[0-9A-Za-z,+\- ()]+\}|[0-9]+|[A-Za-z])"
NOTATION = re.compile(rf"([A-Za-z{GREEK_LETTERS}]+|{'|'.join(map(re.escape, LETTER))})"
                      rf"(?:(?:\^{INDEX})?(?:_{INDEX})?|_{INDEX}\^{INDEX})")

OPERATOR = re.compile(r"[-+*/^=<>|−·×÷±]")  # a label with one, "x1*w1 + b", goes into parentheses in a product

# All that Unicode has, but for signs that few fonts have.
SUPERSCRIPT = str.maketrans("0123456789+-−() abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW",
                            "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁽⁾ ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ")
SUBSCRIPT = str.maketrans("0123456789+-(), aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₍₎, ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
SUPER, SUB = (f"[{re.escape(''.join(chr(raised) for plain, raised in table.items() if plain != raised))}]"
              for table in (SUPERSCRIPT, SUBSCRIPT))
RAISED_RUN, LOWERED_RUN = re.compile(f"{SUPER}+(?: {SUPER}+)*"), re.compile(f"{SUB}+(?:(?:, ?| ){SUB}+)*")
RAISED_BEFORE_A_BRACKET = re.compile(rf"({SUPER})(?=\()")
ON_THE_LINE = re.compile(r"_\{|(?<=[^\W_])_[^\W_](?!\w)")  # an index that could not be lowered

# In math mode these are the same in LaTeX, MathJax and KaTeX; inside \text{} they are not.
SPECIAL = str.maketrans({character: rf"}}{symbol}\text{{" for character, symbol in {
    "\\": r"{\backslash}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"{\wedge}", "~": r"{\sim}"}.items()})


def indices(label: str) -> tuple[str, str, str] | None:
    """A label that is notation as its letters, its upper and its lower index; None for any other."""
    match = NOTATION.fullmatch(label)
    if match is None:
        return None
    base, *found = (part.strip("{}") if part else "" for part in match.groups())
    return base, found[0] or found[3], found[1] or found[2]


def word_of(label: str) -> str:
    """The letters that a label begins with: w of w^{2}_{1,1}, of w_5 and of w5; net of net_h1."""
    return re.match(r"\\?[^\W\d_]*", label)[0]  # type: ignore[index]


def text_in_latex(words: str) -> str:
    r"""Any text as \text{...}, so that every character of it is seen and none is a command."""
    return rf"\text{{{printable(words).translate(SPECIAL)}}}".replace(r"\text{}", "")


def unicode_label(label: str) -> str:
    """A label in plain text on one line; notation with its indices raised and lowered, as far as Unicode has them."""
    parts = indices(label)
    if parts is None:
        return printable(label)
    base, above, below = parts
    return LETTER.get(base, base) + shifted("^", above, SUPERSCRIPT) + shifted("_", below, SUBSCRIPT)


def shifted(mark: str, index: str, table: dict[int, int]) -> str:
    """An index raised or lowered; after the mark, on the line, where Unicode has not all of its signs."""
    return index.translate(table) if all(ord(character) in table for character in index) else mark + grouped(index)


def grouped(index: str) -> str:
    """An index on the line, as labels have it: k, 12, {k-1}."""
    return index if len(index) == 1 or index.isdecimal() else f"{{{index}}}"


def raised_on_the_line(words: str) -> str:
    """a^4 for a⁴, a^{k-1} for aᵏ⁻¹; and x^2 · (x + 1) for x²(x + 1), whose exponent might seem to go on."""
    words = RAISED_BEFORE_A_BRACKET.sub(r"\1 · ", words)
    return RAISED_RUN.sub(lambda index: "^" + grouped(normalize("NFKC", index[0])), words)


def lowered_on_the_line(words: str) -> str:
    """x_1 for x₁."""
    return LOWERED_RUN.sub(lambda index: "_" + grouped(normalize("NFKC", index[0])), words)


def in_one_notation(words: str) -> str:
    """a^C + a^2 for a^C + a²: where one index could not be raised, none is; so with those that are lowered."""
    words = raised_on_the_line(words) if re.search(r"\^\S", words) else words  # not for a ^ that points at a mistake
    return lowered_on_the_line(words) if ON_THE_LINE.search(words) else words


def printable(words: str) -> str:
    """The text on one line, without control characters."""
    return "".join(character if character.isprintable() else " " for character in words)


def cut(words: str, width: int) -> str:
    """The text, or as much of it as fits into that many characters, with … for the rest."""
    return words if len(words) <= width else words[:width - 1] + "…"


def columns(words: str) -> int:
    """The number of columns of a terminal that the words take."""
    if words.isascii():
        return len(words)
    return sum(0 if category(sign).startswith("M") else 2 if east_asian_width(sign) in "WF" else 1 for sign in words)
