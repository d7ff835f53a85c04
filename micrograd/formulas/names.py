"""Names as people spell them: a4, a_4, a^4 and a⁴ all find a^{4}; and which names an expression may use.

Of strings alone. What stands in a name is one of letters, digits and indices; what only sets these off is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import category, decomposition, normalize

from .boxes import LETTER
from .labels import LOWERED_RUN, OPERATOR, RAISED_RUN, SUBSCRIPT, SUPERSCRIPT, indices, unicode_label

RAISED = {chr(raised): chr(plain) for plain, raised in reversed(SUPERSCRIPT.items()) if plain != raised}
LOWERED = {chr(lowered): chr(plain) for plain, lowered in SUBSCRIPT.items() if plain != lowered}
INDEX_BELOW = re.compile(rf"{LOWERED_RUN.pattern}|_\{{[^{{}}]*\}}|_[0-9A-Za-z]+")
INDEX_ABOVE = re.compile(rf"{RAISED_RUN.pattern}|\^\{{[^{{}}]*\}}|"
                         r"\^[0-9]+(?![.0-9A-Za-z])|\^[A-Za-z](?![0-9A-Za-z]|\s*\()")  # not x^2.5, x^max(a, b)
GREEK_WORDS = {command[1:]: letter for command, letter in LETTER.items()}
SEPARATORS = "$_^{},"
OTHER_FONTS = ("<font>", "<wide>", "<narrow>", "<noBreak>", "<compat>")
SAME = {"−": "-", "‐": "-", "‑": "-", "′": "'", "’": "'", "∕": "/", "⁄": "/"}


def is_letter(sign: str) -> bool:
    return (sign.isalpha() or sign == "_") and sign not in RAISED and sign not in LOWERED


def is_inside(sign: str) -> bool:
    """Tell whether a name goes on with this sign: a letter, a digit, an accent."""
    return is_of_letters(sign) or sign.isdecimal()


def is_of_letters(sign: str) -> bool:
    return is_letter(sign) or category(sign).startswith("M")


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
