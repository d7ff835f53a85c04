r"""Names as they are written: w^{2}_{1,1} is w²₁,₁ in Unicode, and what Unicode cannot raise or lower is on the line.
And as people spell them: a4, a_4, a^4 and a⁴ all find a^{4}; and which names an expression may use.

Of strings alone; this module knows nothing of formulas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import category, decomposition, east_asian_width, normalize

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
RAISED = {chr(raised): chr(plain) for plain, raised in reversed(SUPERSCRIPT.items()) if plain != raised}
LOWERED = {chr(lowered): chr(plain) for plain, lowered in SUBSCRIPT.items() if plain != lowered}
SUPER, SUB = (f"[{re.escape(''.join(signs))}]" for signs in (RAISED, LOWERED))
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


# As people spell them. A name is letters, digits and indices; what only sets these off is left out.

INDEX_BELOW = re.compile(rf"{LOWERED_RUN.pattern}|_\{{[^{{}}]*\}}|_[0-9A-Za-z]+")
INDEX_ABOVE = re.compile(rf"{RAISED_RUN.pattern}|\^\{{[^{{}}]*\}}|"
                         r"\^[0-9]+(?![.0-9A-Za-z])|\^[A-Za-z](?![0-9A-Za-z]|\s*\()")  # not x^2.5, x^max(a, b)
GREEK_WORDS = {command[1:]: letter for command, letter in LETTER.items()}
SEPARATORS = "$_^{},"
OTHER_FONTS = ("<font>", "<wide>", "<narrow>", "<noBreak>", "<compat>")
SAME = {"−": "-", "‐": "-", "‑": "-", "′": "'", "’": "'", "∕": "/", "⁄": "/"}


def is_letter(sign: str) -> bool:
    return (sign.isalpha() or sign == "_") and sign not in RAISED and sign not in LOWERED


def is_of_letters(sign: str) -> bool:
    """Tell whether it is a letter or an accent."""
    return is_letter(sign) or category(sign).startswith("M")


def is_inside(sign: str) -> bool:
    """Tell whether a name goes on with this sign: a letter, a digit, an accent."""
    return is_of_letters(sign) or sign.isdecimal()


def is_invisible(sign: str) -> bool:
    """Tell whether this sign is neither seen nor means anything, as the invisible times and plus of MathML do."""
    return (category(sign) == "Cf" and sign not in "\u2062\u2064") or "\ufe00" <= sign <= "\ufe0f"


def notation(name: str) -> str:
    """A name with its raised and lowered signs as indices: w^{2}_{1,1} for w²₁,₁."""
    name = RAISED_RUN.sub(lambda run: f"^{{{''.join(RAISED.get(sign, sign) for sign in run[0])}}}", name)
    return LOWERED_RUN.sub(lambda run: f"_{{{''.join(LOWERED.get(sign, sign) for sign in run[0])}}}", name)


def in_usual_signs(text: str) -> str:
    """Text without invisible signs, its accents composed, and letters, digits and signs of another font or width as
    the usual ones: 𝑤₅ and ｗ₅ are w₅."""
    if text.isascii():
        return text
    signs = []
    for sign in normalize("NFC", text):
        usual = normalize("NFKC", sign)
        if decomposition(sign).startswith(OTHER_FONTS) and len(usual) == 1:
            signs.append(usual)
        elif not is_invisible(sign):
            signs.append(SAME.get(sign, sign))
    return "".join(signs)


def structure(name: str) -> tuple[str, str, str] | None:
    """Letters, upper and lower index, however they are written; None for a name that has no such form."""
    parts = indices(notation(re.sub(r"[\s$]", "", in_usual_signs(name))))
    return parts and (greek(parts[0]), *parts[1:])


def set_off(name: str) -> tuple[str, frozenset[int]]:
    """A name as `on_one_line` has it; and the places in it where an index is said to end, as by the comma of w_{1,12}.

    Only what sets signs off, raises or lowers them is left out. All other signs stay, since w+, w' and w* are not w.
    """
    name = re.sub(r"\^\(([^()]*)\)", r"^{(\1)}", in_usual_signs(name))
    parts = structure(name)
    if parts:
        base, above, below = parts
        above = above[1:-1] if above[:1] == "(" and above.find(")") == len(above) - 1 else above  # w^{(2)} for w^{2}
        line = f"{base}^{above}_{below}"
    else:
        line = re.sub(r"\\[A-Za-z]+", lambda command: greek(command[0]), notation(name))
        line = re.sub(r"^([\s$_^{},]*)([^\W\d_]+)", lambda match: match[1] + greek(match[2]), line)
        line = re.sub(r"\^\{\(([^(){}]*)\)\}", r"^{\1}", line)
    word, ends, gap, raised = "", set(), "", False
    for sign in line:
        power = sign == "^" and (raised or not all(map(is_of_letters, word)))  # that of w5², which is not w^{2}_{5}
        if not power and (sign in SEPARATORS or sign.isspace()):
            gap, raised = gap + sign, raised or sign == "^"
            continue
        if gap and word and ("," in gap or (word[-1].isdigit() and sign.isdigit())):
            ends.add(len(word))
        word, gap = word + sign, ""
    return word, frozenset(ends)


def on_one_line(name: str) -> str:
    """A name without raising, lowering and what only sets off: w211 for w^{2}_{1,1}, w2_11, w_11^2 and w_211."""
    return set_off(name)[0]


def greek(letters: str) -> str:
    return GREEK_WORDS.get(letters.removeprefix("\\"), letters)


class Names:
    """The names that an expression may use, and how to find the one that somebody means.

    A word means the name that is spelled so, or printed so by `text`; else the one with the same letters and indices
    (a^4: a^{4}); else the one with the same signs on one line (a4, a_4: a^{4}; delta4: δ^{4}).
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.known: dict[str, None] = {}
        self.spellings: dict[str, list[str]] = {}
        self.structures: dict[tuple[str, str, str] | None, list[str]] = {}
        self.lines: dict[str, list[tuple[str, frozenset[int]]]] = {}
        self.lengths: dict[str, list[int]] = {}  # of spellings that are words, by their first sign, the longest first
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """One more name; "" is none."""
        if name in self.known or not name:
            return
        self.known[name] = None
        printed = unicode_label(name)
        if printed not in self.known:
            self.spellings.setdefault(printed, []).append(name)
        self.spellings[name] = [name]
        self.structures.setdefault(structure(name), []).append(name)
        line, ends = set_off(name)
        self.lines.setdefault(line, []).append((name, ends))
        for spelling in (name, printed):
            lengths = self.lengths.setdefault(spelling[0], [])
            if len(spelling) not in lengths and is_word(spelling):
                lengths.append(len(spelling))
                lengths.sort(reverse=True)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in order."""
        return tuple(self.known)

    def meant(self, word: str) -> list[str]:
        """The names that a word may mean: one; none; or several that are spelled alike."""
        form = structure(word)
        found = self.spellings.get(word) or (form and self.structures.get(form))
        if found:
            return found
        line, ends = set_off(word)
        alike = self.lines.get(line, []) if line else []
        return [name for name, others in alike if ends <= others or others <= ends]  # not w_{1,12} for w_{11,2}

    def asked(self, word: str) -> list[str]:
        """The same for a word that stands by itself, not in an expression: where w² may be w2 or the square of w, there
        are both."""
        names, form = self.meant(word), structure(word)
        if not names or not form or not form[1] or word in self.spellings or form in self.structures:
            return names
        base, _, below = form
        return [*names, *self.meant(f"{base}_{{{below}}}" if below else base)]

    def at(self, text: str, place: int, stop: int) -> str:
        """The longest spelling of a name that stands, to the letter, at a place in a text; "" for none."""
        for length in self.lengths.get(text[place], ()):
            end = place + length
            spelling = text[place:end]
            if end <= stop and spelling in self.spellings and is_word(spelling) and not (
                    end < stop and is_inside(text[end])) and not (
                    INDEX_BELOW.match(text, end, stop) or INDEX_ABOVE.match(text, end, stop)):
                return spelling
        return ""


def is_word(spelling: str) -> bool:
    """Tell whether a name is read as it is spelled; a label such as "x*w" is not."""
    return structure(spelling) is not None or not OPERATOR.search(spelling)
