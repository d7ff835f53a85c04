r"""The formula of a recorded graph, in LaTeX or in plain text: `latex(C)` is 0.5 \cdot \left(y - a^{4}\right)^{2}.

Every row of the table says how its op is written, as a template, and how tightly the result holds together. This
module puts the arguments into the templates, with parentheses where they are needed, and writes names and numbers.
It knows nothing of any one op.
"""

from __future__ import annotations

import re
import string
from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple
from unicodedata import category, east_asian_width, normalize

from ..engine import Value
from ..ops import Op
from ..rows import BINDS

__all__ = ["latex", "text"]

RAISED = "raised"  # in a slot of UNICODE: as a superscript, or after a ^
MINUS = ("-", "−")
DIGITS = 4      # of a number that stands for a name
LIMIT = 10_000  # characters; a formula that is longer is for nobody to read

GREEK_LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
GREEK_COMMANDS = (r"\alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi \pi \rho "
                  r"\sigma \tau \upsilon \phi \chi \psi \omega "
                  r"\Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega")
GREEK = dict(zip(GREEK_LETTERS, GREEK_COMMANDS.split()))
LETTER = {command: letter for letter, command in GREEK.items()}
SIGNS = {r"\\cdot": "·", r"\\;": "", r"\\lfloor ": "⌊", r" *\\rfloor": "⌋", r"\\lceil ": "⌈", r" *\\rceil": "⌉"}


def latex(node: Value, depth: int | None = 1) -> str:
    """The formula of a Value in LaTeX (without dollar signs), in terms of the labelled nodes nearest to it.

    A leaf is written as its label, or else as its number.

    Args:
        node: a Value.
        depth: through how many levels of labelled nodes to write formulas out: at 1, C is written with a^{4}; at 2,
            with the formula of a^{4} in its place; None: down to the leaves.

    Returns:
        The formula.

    Raises:
        ValueError: if it is longer than 10,000 characters: label some nodes on the way.
        TypeError: for what is no Value.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> print(micrograd.latex((w * x).tanh()))
        \\tanh\\left(w \\cdot x\\right)
    """
    return formula(node, depth, LATEX, "latex")


def text(node: Value, depth: int | None = 1) -> str:
    """The formula of a Value in plain text, with labels such as w^{2}_{1} as w²₁.

    Args:
        node: a Value.
        depth: as for `latex`.

    Returns:
        The formula.

    Raises:
        ValueError: if it is longer than 10,000 characters: label some nodes on the way.
        TypeError: for what is no Value.

    Example:
        >>> w, x = micrograd.Value(0.5, "w"), micrograd.Value(2.0, "x")
        >>> micrograd.text((w * x).tanh())
        'tanh(w * x)'
    """
    return in_one_notation(formula(node, depth, TEXT, "text"))


class Written(NamedTuple):
    """A piece of a formula, and how tightly it holds together: a key of BINDS."""

    text: str
    binds: str


class Notation(NamedTuple):
    """A way of writing: what differs between LaTeX and plain text."""

    template: Callable[[Op], str]
    fence: tuple[str, str]
    label: Callable[[str], Written]
    number: Callable[[float], Written]


def formula(root: Value, depth: int | None, notation: Notation, where: str, numbers: bool = False,
            names: Mapping[Value, str] | None = None) -> str:
    """The formula of root in the given notation; see `latex`. numbers: with numbers of a few digits for the labels;
    names: other names for labelled nodes."""
    if not isinstance(root, Value):
        raise TypeError(f"{where}(node) needs a Value, found {type(root).__name__} {root!r:.40}")
    if depth is not None and not (isinstance(depth, int) and depth >= 1):
        raise ValueError(f"{where}(node, depth) needs a whole number from 1 up, or None, found {depth!r}")
    deepest = inf if depth is None else depth
    levels = levels_of_labels(root, deepest)
    written: dict[Value, Written] = {}
    for node in levels:
        if node.label and (levels[node] > deepest or not node.parents):
            name = (names or {}).get(node, node.label)
            written[node] = rounded(node.data, notation) if numbers else notation.label(name)
        elif not node.parents:
            written[node] = notation.number(node.data)
        else:
            written[node] = apply(node.op, [written[parent] for parent in node.parents], notation)
        if len(written[node].text) > LIMIT:
            raise ValueError(too_long(root, depth, notation, where))
    return written[root].text


def too_long(root: Value, depth: int | None, notation: Notation, where: str) -> str:
    """What to say of a formula that is for nobody to read, and what makes it shorter."""
    name = f"{root.label!r}" if root.label else f"this Value ({root.op.name}, data {root.data:.4g})"
    remedy = "Label nodes on the way (z.label = 'z'): a formula stops at labelled nodes"
    if depth != 1:
        remedy += ", with depth=1"
        try:
            formula(root, 1, notation, where)
            remedy = "Take a smaller depth: at 1 it is written in terms of the labelled nodes next below"
        except ValueError:
            pass
    return (f"the formula of {name} is longer than {LIMIT:,} characters, as a part is written out wherever it is used. "
            f"{remedy}.")


def levels_of_labels(root: Value, deepest: float) -> dict[Value, int]:
    """For each node that the formula of root mentions, its level: how many labels lie on the way, plus one. Each comes
    after its parents; the rest of the graph is not looked at."""
    levels = {root: 1}
    queue = deque([root])  # those of a lower level first
    while queue:
        node = queue.popleft()
        for parent in node.parents if levels[node] <= deepest else ():  # else it is mentioned by its label only
            level = levels[node] + bool(parent.label)
            if level < levels.get(parent, inf):
                levels[parent] = level
                if parent.label:
                    queue.append(parent)
                else:
                    queue.appendleft(parent)
    found: dict[Value, int] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        waiting = [parent for parent in node.parents if parent not in found] if levels[node] <= deepest else []
        stack += waiting
        if not waiting:
            found[stack.pop()] = levels[node]
    return found


def apply(op: Op, args: list[Written], notation: Notation) -> Written:
    """The op's template with the arguments in its slots, in parentheses where the slot asks for more than they bind."""
    template = notation.template(op)
    result = ""
    for literal, slot, needs, _ in string.Formatter().parse(template):
        result += literal
        if slot is not None:
            piece = args[int(slot)]
            if needs == RAISED:
                raised = shifted("^", piece.text.replace(" ", ""), SUPERSCRIPT)
                result += "^" + fenced(piece, "atom", notation) if raised.startswith("^") else raised
            elif needs == "sum" and piece.text[:1] in MINUS and result.endswith("+ ") and piece.text:
                result = f"{result[:-2]}{piece.text[0]} {piece.text[1:]}"  # a - b for a + -b
            else:
                result += fenced(piece, needs or "", notation)
    call = f"{op.name}({', '.join(f'{{{i}}}' for i in range(op.arity))})"
    return Written(result, "atom" if template == call else op.binds)  # expm1(x) is fenced in, unlike e^{x} - 1


def fenced(piece: Written, needs: str, notation: Notation) -> str:
    """The piece, in parentheses if it does not hold together as tightly as `needs` says."""
    tight = BINDS[piece.binds] >= BINDS[needs]
    return piece.text if tight else notation.fence[0] + piece.text + notation.fence[1]


def template_in_unicode(op: Op) -> str:
    """How a person writes the op on one line: the LaTeX template with letters for its commands, where that has no
    layout of two dimensions; else the template for plain text, with a power raised."""
    words = re.sub(r"\\(left|right|operatorname|mathbf)\b|\{\{|\}\}", "", op.latex)
    for command, sign in SIGNS.items():
        words = re.sub(command, sign, words)
    words = re.sub(r"\\[A-Za-z]+", lambda command: LETTER.get(command[0], command[0][1:]), words)
    if re.search(r"[\\^_]|frac|sqrt", words):
        words = re.sub(r"\*\*(\d)", lambda power: power[1].translate(SUPERSCRIPT), op.text)
        words = words.replace("**{1:atom}", f"{{1:{RAISED}}}").replace("**", "^").replace("*", "·")
        if op.builtin:
            words = words.replace("log(", "ln(").replace("pi", "π")
    return words.replace("-", "−").replace("'", "′")


# Names. A label such as w^{2}_{1,1}, x_i, δ^{4} or \delta^4 is notation: letters with an index above, below, or both.
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


def label_in_latex(label: str) -> Written:
    parts = indices(label)
    if parts is None:
        return Written(text_in_latex(label), "sum" if OPERATOR.search(label) else "atom")
    base, above, below = parts
    name = GREEK.get(base, base) if len(base) == 1 or base in LETTER else text_in_latex(base)
    name += f"^{{{above}}}" * bool(above) + f"_{{{below}}}" * bool(below)
    return Written(name, "power" if above else "atom")  # (a^{4})^{2}: two indices above are an error in LaTeX


def text_in_latex(words: str) -> str:
    r"""Any text as \text{...}, so that every character of it is seen and none is a command."""
    return rf"\text{{{printable(words).translate(SPECIAL)}}}".replace(r"\text{}", "")


def label_in_text(label: str) -> Written:
    parts = indices(label)
    if parts is None:
        return Written(printable(label), "sum" if OPERATOR.search(label) else "atom")
    return Written(unicode_label(label), "power" if parts[1] else "atom")


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
    words = raised_on_the_line(words) if "^" in words else words
    return lowered_on_the_line(words) if ON_THE_LINE.search(words) else words


def printable(words: str) -> str:
    """The text on one line, without control characters."""
    return "".join(character if character.isprintable() else " " for character in words)


def cut(words: str, width: int) -> str:
    """The text, or as much of it as fits into so many characters, with … for the rest."""
    return words if len(words) <= width else words[:width - 1] + "…"


def columns(words: str) -> int:
    """How many columns of a terminal the words take."""
    if words.isascii():
        return len(words)
    return sum(0 if category(sign).startswith("M") else 2 if east_asian_width(sign) in "WF" else 1 for sign in words)


# Numbers

def number_in_text(x: float) -> Written:
    """2 for 2.0; as many digits as the user wrote, six of a number that was computed."""
    digits = repr(x).removesuffix(".0")
    digits = digits if len(digits) <= 10 else f"{x:.6g}"
    return Written(digits, "sum" if digits.startswith("-") else "atom")


def number_in_latex(x: float) -> Written:
    digits, binds = number_in_text(x)
    digits = digits.replace("inf", r"\infty").replace("nan", r"\text{nan}")
    mantissa, e, exponent = digits.partition("e")
    if not e or "\\" in digits:
        return Written(digits, binds)
    power = f"10^{{{int(exponent)}}}"
    if mantissa in ("1", "-1"):
        return Written(mantissa[:-1] + power, "sum" if x < 0 else "power")
    return Written(rf"{mantissa} \cdot {power}", "sum" if x < 0 else "product")


def number_in_unicode(x: float) -> Written:
    digits, binds = number_in_text(x)
    mantissa, e, exponent = digits.replace("-", "−").replace("inf", "∞").partition("e")
    if not e:
        return Written(mantissa, binds)
    power = "10" + str(int(exponent.replace("−", "-"))).translate(SUPERSCRIPT)
    if mantissa in ("1", "−1"):
        return Written(mantissa[:-1] + power, "sum" if x < 0 else "power")
    return Written(f"{mantissa}·{power}", "sum" if x < 0 else "product")


def rounded(x: float, notation: Notation, digits: int = DIGITS) -> Written:
    """The number to so many significant digits."""
    whole = x == x // 1 and abs(x) < 1e10  # 12345 is not 12340
    return notation.number(x + 0.0 if whole else float(f"{x:.{digits}g}"))


LATEX = Notation(lambda op: op.latex, (r"\left(", r"\right)"), label_in_latex, number_in_latex)
TEXT = Notation(lambda op: op.text, ("(", ")"), label_in_text, number_in_text)
UNICODE = Notation(template_in_unicode, ("(", ")"), label_in_text, number_in_unicode)
