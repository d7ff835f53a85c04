r"""What people write, as a computation: "0.5*(y - sigmoid(w*x + b))**2", "(a4 - y)·a4·(1 - a4)", "1/3".

Nothing is handed to Python to evaluate. The text is read sign by sign into a program of numbers, names and rows of the
table of operations, which then runs on floats or on Values. There is no recursion, and the length is limited, so that
text from anybody may be read. Whatever cannot be read is an `ExpressionError`, which knows the place.

    numbers        2, 0.5, 2e-3, ½, 2½, and the constants pi, e and tau, unless these are names
    operators      + - * / ** % //, also ^ and x² for powers, · and × for products, "a mod b"; |x|, ⌊x⌋, ⌈x⌉;
                   "2(x + 1)" is a product; 1[a > b] is 1 where a > b, else 0
    functions      every row, by its name or symbol: exp(x), max(a, b), σ(z); ln(x); σ'(z) for the derivative, also
                   elu'(z) and elu'(z, 0.5)
    names          as they are spelled, or else as people spell them: a4, a_4, a^4 and a⁴ all find a^{4}

A caret is thus a power, unless it makes a name that is known. Where it could be both, that is an error. So are, where
this is read loosely, e^x and σ(1 - σ) with a name e or σ, and h(x) with names h and x.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from math import e, isinf, pi, tau
from typing import Any, NamedTuple, Union
from unicodedata import category, decomposition, normalize, numeric
from unicodedata import name as name_of_character

from .. import ops
from ..arguments import number as as_number
from ..engine import Number, Value
from ..ops import OPS, Op
from ..rows import BINDS
from .layout import (
    LETTER,
    LOWERED_RUN,
    OPERATOR,
    RAISED_RUN,
    SUBSCRIPT,
    SUPERSCRIPT,
    columns,
    cut,
    indices,
    printable,
    unicode_label,
)

LENGTH = 1_000  # characters of one expression
WHOLE = 20_000  # of a program or a list of values
NESTING = 50    # brackets within brackets
WIDTH = 70      # columns of the text that a message quotes


class ExpressionError(ValueError):
    """A text that cannot be read. `message` says why, `text` is all of it, and `place` the index into it."""

    def __init__(self, text: str, place: int, message: str) -> None:
        super().__init__(text, place, message)
        self.text = text
        self.place = place
        self.message = message

    def __str__(self) -> str:
        """The message, the text around the place on one line, and a caret below the place."""
        before, after = printable(self.text[:self.place]), printable(self.text[self.place:])
        start = max(0, len(before) - WIDTH // 2)
        before = "…" * bool(start) + before[start:]
        return f"{self.message}\n  {before}{cut(after, WIDTH - len(before))}\n  {' ' * columns(before)}^"


class UnknownName(ExpressionError):
    """A text that uses a name without a meaning. `name` is the name as it is written, `meant` what to say of another
    that may be meant; "" where there is none."""

    def __init__(self, text: str, place: int, message: str, name: str, meant: str = "") -> None:
        super().__init__(text, place, message)
        self.args = text, place, message, name, meant
        self.name = name
        self.meant = meant


# Names

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
    """Whether a name goes on with this sign: a letter, a digit, an accent."""
    return is_of_letters(sign) or sign.isdecimal()


def is_of_letters(sign: str) -> bool:
    return is_letter(sign) or category(sign).startswith("M")


def is_invisible(sign: str) -> bool:
    """Whether nobody sees this sign, nor means anything by it, as by the invisible times and plus of MathML."""
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
        """The same for a word that stands by itself, and is no expression: where w² may be w2 or the square of w, there
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
    """Whether a name is read as it is spelled; a label such as "x*w" is not."""
    return structure(spelling) is not None or not OPERATOR.search(spelling)


# Functions, and other words with a meaning

CONSTANTS = {"pi": pi, "π": pi, "e": e, "tau": tau, "τ": tau}
ALIASES = {"ln": ops.log, "sigma": ops.sigmoid, "arcsin": ops.asin, "arccos": ops.acos, "arctan": ops.atan,
           "arsinh": ops.asinh, "arcosh": ops.acosh, "artanh": ops.atanh, "sgn": ops.sign}

# Where people have functions from, and what some are called there, for an error that says what to write
MODULES = ("math", "cmath", "np", "numpy", "jnp", "torch", "tf", "F", "Math", "mg", "micrograd")
ELSEWHERE = {"power": ops.pow.name, "fabs": ops.abs.name, "absolute": ops.abs.name}
DOTTED = re.compile(r"\.(?:\w+\.)*([^\W\d]\w*)(?:\s*\(([^()]*)(\)?))?")


def functions() -> dict[str, Op]:
    """Every row by its name, and by its symbol where that is a word; a user's rows too."""
    symbols = {row.symbol: row for row in OPS.values() if row.symbol.isidentifier()}
    return {**ALIASES, **symbols, **OPS}


# What an expression becomes

class Name(NamedTuple):
    """A step of a program: the value of a name. place: where it is written."""

    name: str
    place: int


class Slope(NamedTuple):
    """A step of a program: the derivative of a row by its first argument, as in σ'(z), elu'(z) and elu'(z, 0.5)."""

    row: Op

    def __call__(self, *args: Number) -> Number:
        y: Any = self.row(*args)
        if not any(hasattr(arg, "__op__") for arg in args):
            return self.row.slope(0, y, *map(float, args))
        slope: Number = self.row.derivatives[0](y, *args)
        return slope


Step = Union[float, Name, Op, Slope]


@dataclass(frozen=True, slots=True)
class Expression:
    """A text that was read. Make one with `parse`."""

    text: str
    names: tuple[str, ...]    # those that it uses, in order of appearance
    program: tuple[Step, ...]  # each step puts a number on a stack, a row in the place of its arguments

    def evaluate(self, values: Mapping[str, Number]) -> Number:
        """The number that comes out, for the numbers of the names.

        With floats for all names it is a float, inf or nan where IEEE arithmetic has it. With Values it is a Value that
        has recorded the operations as they are written. Raises ExpressionError if a name has no number.
        """
        stack: list[Number] = []
        for step in self.program:
            if isinstance(step, float):
                stack.append(step)
            elif isinstance(step, Name):
                if step.name not in values:
                    raise ExpressionError(self.text, step.place, f"{step.name!r} has no value")
                value = values[step.name]
                stack.append(value if hasattr(value, "__op__") else as_number(value, f"the value of {step.name!r}"))
            else:
                row = step.row if isinstance(step, Slope) else step
                arguments = stack[-row.arity:]
                stack[-row.arity:] = [step(*arguments)]
        return stack[0]


def parse(text: str, names: Iterable[str] | Names | None = None, loosely: bool = False) -> Expression:
    """Read an expression. Nothing is computed yet: see `Expression.evaluate`.

    text: up to 1,000 characters. names: those that it may use (labels of a graph, say), which are then found however
    they are spelled; without them every name will do, and ^ is always a power. loosely: whether this is written as by
    hand, so that 2x is 2*x, 0.5 sgn(x) is 0.5*sgn(x), and h(x) is in doubt.
    Raises ExpressionError, with the place, if it is not an expression.
    """
    if not isinstance(text, str):
        raise TypeError(f"an expression is text such as '2*x', found {type(text).__name__} {text!r:.40}")
    known = names if isinstance(names, Names) or names is None else Names(names)
    return Reader(text, known, 0, len(text), loosely).read()


# Reading. Operators and open brackets wait on a stack until what comes next says where their arguments end.

class Infix(NamedTuple):
    """An operator, and how tightly it binds."""

    row: Op
    binds: float


class Bracket(NamedTuple):
    """A bracket that has not been closed yet: of a group, or of the arguments of a function."""

    place: int
    sign: str
    start: int                         # where the function's name begins; else the place
    function: Op | Slope | None = None
    commas: int = 0


SUM, PRODUCT, POWER = BINDS["sum"], BINDS["product"], BINDS["power"]
TIMES, MINUS, RAISE = Infix(ops.mul, PRODUCT), Infix(ops.sub, SUM), Infix(ops.pow, POWER)
EXP = Infix(ops.exp, POWER)  # e^x
MOD, FLOORDIV = Infix(ops.mod, PRODUCT), Infix(ops.floordiv, PRODUCT)
MOD_AS_A_WORD = re.compile(r"mod\b")
INFIX = {"+": Infix(ops.add, SUM), "**": RAISE, "^": RAISE, **dict.fromkeys("*·×⋅∙•∗", TIMES),
         "%": MOD, "//": FLOORDIV, **dict.fromkeys("/÷∕⁄", Infix(ops.div, PRODUCT)), **dict.fromkeys("-−–‐‑", MINUS)}
SIGN, SIGN_IN_PRODUCT = Infix(ops.neg, SUM + 0.5), Infix(ops.neg, PRODUCT + 0.5)  # -a * b is -(a * b); 2 * -a * b
CLOSED_BY = {"(": ")", "{": "}", "|": "|", "⌊": "⌋", "⌈": "⌉", "[": "]"}
AROUND = {"|": ops.abs, "⌊": ops.floor, "⌈": ops.ceil}  # brackets that are functions
PRIMES = tuple("'′’")
NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
RAISED_NUMBER = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
CALL = re.compile(r"\\?([^\W\d]\w*)['′’]?\(")
LONE_NAME = re.compile(r"\(\s*([^\W\d][^-−–+*/·×⋅%()|\s]*)\s*\)")  # with its brackets
COUNT = re.compile(r"\s*(?:[0-9]+(?![\w.(])|\(\s*[0-9]+\s*\)|\{\s*[0-9]+\s*\}|[⁰¹²³⁴-⁹]+(?![\w⁺⁻]))")  # as an exponent
E_OF_A_NUMBER = re.compile(r"[eE](?!\w|\s*(?:\^|\*\*|_))")  # 2e - 3, but not 2e^x nor 2e_1
BELOW_OR_ABOVE = {ops.div: "/", ops.mod: "%", ops.floordiv: "//", ops.pow: "**", ops.exp: "**"}  # as infixes
HINTS = {
    **dict.fromkeys("=:", "an expression has no names to assign to"),
    **dict.fromkeys("<>≤≥", "there are no comparisons, but 1[a > b] or step(a - b) is 1 where a > b, else 0"),
    **dict.fromkeys("[]{}", "the brackets are round"), **dict.fromkeys('"`', "names are written without quotes"),
    **dict.fromkeys(PRIMES, "names are written without quotes; a derivative is one of a function, σ'(z)"),
    ";": "this is a single expression", ".": "a name stands for a number, which has no parts",
    "√": "write sqrt(x)", "∞": "numbers are finite",
}


class Reader:
    """Reads one expression, text[start:stop], from left to right. See `parse`."""

    def __init__(self, text: str, known: Names | None, start: int, stop: int, loosely: bool = False) -> None:
        self.text = text
        self.known = known
        self.loosely = loosely
        self.start = self.place = start
        self.stop = stop
        self.program: list[Step] = []
        self.stack: list[Infix | Bracket] = []
        self.spelled: dict[str, str] = {}  # where every name will do: each as it was spelled first
        self.operand_at = start            # where the last operand begins
        self.after_call = False            # whether it is a call of a function

    def read(self) -> Expression:
        """Operand, operator, operand, ..., operand."""
        if self.stop - self.start > LENGTH:
            raise self.error(self.start + LENGTH, f"an expression has at most {LENGTH:,} characters, this one has "
                                                  f"{self.stop - self.start:,}")
        complete = False
        while self.skip_spaces():
            complete = self.operator() if complete else self.operand()
        bracket = self.reduce()
        if not self.text[self.start:self.stop].strip():
            raise self.error(self.start, "an expression is missing, such as 2*x + 1")
        if not complete:
            raise self.error(self.stop, f"the expression breaks off; a number or a name is missing{self.percent()}")
        if bracket:
            raise self.error(bracket.place, f"{bracket.sign!r} is not closed by {CLOSED_BY[bracket.sign]!r}")
        names = dict.fromkeys(step.name for step in self.program if isinstance(step, Name))
        return Expression(self.text, tuple(names), tuple(self.program))

    def error(self, place: int, message: str) -> ExpressionError:
        return ExpressionError(self.text, place, message)

    def unexpected(self) -> ExpressionError:
        sign = self.text[self.place]
        shown = repr(sign) if sign.isprintable() else f"U+{ord(sign):04X} {name_of_character(sign, '')}".rstrip()
        return self.error(self.place, f"unexpected {shown}" + (f": {HINTS[sign]}" if sign in HINTS else ""))

    def percent(self) -> str:
        """What to add to an error where an operand is due after a %."""
        return "; write 0.05 for 5%" * self.text[self.start:self.place].rstrip().endswith("%")

    def skip_spaces(self) -> bool:
        """Go to the next sign. Whether there is one."""
        while self.place < self.stop and self.text[self.place].isspace():
            self.place += 1
        return self.place < self.stop

    def next_is(self, *signs: str) -> bool:
        return self.text.startswith(signs, self.place, self.stop)

    def reduce(self, binds: float = 0.0) -> Bracket | None:
        """Apply the operators that wait and bind more tightly than that. The bracket that this ends at, if any."""
        while self.stack:
            top = self.stack[-1]
            if isinstance(top, Bracket):
                return top
            if top.binds <= binds:
                break
            self.program.append(top.row)
            self.stack.pop()
        return None

    # Where an operand is due. These and `operator` say whether what was read completes an operand.

    def operand(self) -> bool:
        sign, number = self.text[self.place], NUMBER.match(self.text, self.place, self.stop)
        if number and number[0] == "1" and self.text.startswith("[", number.end(), self.stop):
            return self.open(Bracket(number.end(), "[", self.place, ops.step))
        if number:
            end, fraction = number.end(), self.fraction(number.end()) if number[0].isdecimal() else 0.0
            return self.number(float(number[0]) + fraction, end + bool(fraction))
        if self.fraction(self.place):
            return self.number(self.fraction(self.place), self.place + 1)
        if is_letter(sign) or sign == "\\":
            return self.name()
        if sign in "(|⌊⌈" or (sign == "{" and self.text[self.start:self.place].rstrip().endswith("^")):
            return self.open(Bracket(self.place, sign, self.place))
        if INFIX.get(sign) is MINUS:
            before = self.stack[-1] if self.stack else None
            self.stack.append(SIGN_IN_PRODUCT if isinstance(before, Infix) and before.binds >= PRODUCT else SIGN)
        elif sign in INFIX or sign in ",)}⌋⌉":
            if sign != "+":
                raise self.error(self.place, f"a number or a name is missing before {sign!r}{self.percent()}")
        else:
            raise self.unexpected()
        self.place += 1
        return False

    def fraction(self, place: int) -> float:
        """The number of the sign ½ and its like at a place; 0.0 for any other. (⅟ is a numerator, with value 1.)"""
        sign = self.text[place:min(place + 1, self.stop)]
        return numeric(sign) if sign and decomposition(sign).startswith("<fraction>") and numeric(sign) < 1 else 0.0

    def number(self, x: float, end: int) -> bool:
        if isinf(x):
            raise self.error(self.place, "this number is larger than any float")
        self.program.append(x)
        self.completed(self.place, end)
        return True

    def completed(self, start: int, end: int, call: bool = False) -> None:
        """An operand has been read, from start to end."""
        self.operand_at, self.place, self.after_call = start, end, call

    def open(self, bracket: Bracket) -> bool:
        self.stack.append(bracket)
        if sum(isinstance(waiting, Bracket) for waiting in self.stack) > NESTING:
            raise self.error(bracket.place, f"brackets are nested more than {NESTING} deep")
        self.place = bracket.place + 1
        return False

    def name(self) -> bool:
        """A name, a constant, or a function with its opening bracket."""
        start, text = self.place, self.text
        word, name = self.word()
        self.place = end = start + len(word)
        function = functions().get(word.removeprefix("\\"))
        slope = function is not None and function.arity - len(function.defaults) == 1 and self.next_is(*PRIMES)
        self.place += slope
        called = self.skip_spaces() and self.next_is("(")
        if function and called:
            if self.loosely and name is not None and not slope and not LONE_NAME.match(text, self.place, self.stop):
                self.refuse_function_or_name(word, function)
            return self.open(Bracket(self.place, "(", start, Slope(function) if slope else function))
        if name is None and self.known is None and not function and not called and word not in CONSTANTS:
            name = self.spelled.setdefault(on_one_line(word) or word, word)
        if name is None and (word not in CONSTANTS or called):
            raise self.unknown(start, word, function, called)
        self.program.append(CONSTANTS[word] if name is None else Name(name, start))
        self.completed(start, end)
        return True

    def word(self) -> tuple[str, str | None]:
        """The word at this place, and the name that it means; None if it means none, or if every name will do."""
        text, start, stop = self.text, self.place, self.stop
        spelling = self.known.at(text, start, stop) if self.known else ""
        if spelling:
            return self.meant(start + len(spelling))
        end = start + 1
        while end < stop and is_inside(text[end]) and not text.startswith("_{", end):
            end += 1
        if text[start:end] == "\\":
            raise self.unexpected()
        below = INDEX_BELOW.match(text, end, stop)
        end = below.end() if below else end
        above = INDEX_ABOVE.match(text, end, stop)
        if above is None:
            return self.meant(end)
        below = None if below else INDEX_BELOW.match(text, above.end(), stop)
        word, name = self.meant(below.end() if below else above.end())
        braces = above[0].startswith("^{")
        if below or (name is not None and (braces or (self.known and word in self.known.spellings))):
            return word, name
        base, name_of_base = self.meant(end)
        if name is not None and name_of_base is not None:
            raise self.error(start, f"this can be the name {name!r} or a power of {name_of_base!r}; write {name} for "
                                    f"the one, {base}**... for the other")
        is_power = name is None and (name_of_base is not None or base in CONSTANTS or not braces)
        return (base, name_of_base) if is_power else (word, name)

    def meant(self, end: int) -> tuple[str, str | None]:
        """The word from here to the end, and the name that it means."""
        word = self.text[self.place:end]
        names = self.known.meant(word) if self.known else []
        if len(names) > 1:
            raise self.error(self.place, f"this can be {' or '.join(map(repr, names))}; write it in full")
        return word, names[0] if names else None

    def unknown(self, start: int, word: str, function: Op | None, called: bool) -> ExpressionError:
        """What to say of a word that means nothing here."""
        if function:
            return self.error(start, f"{word} is a function; write {word}({', '.join('xyz'[:function.arity])})")
        if self.next_is("."):
            self.refuse_dots(start, "")
        names = self.known.names if self.known else ()
        alike = [name for name in (functions() if called else (*names, *CONSTANTS)) if name.lower() == word.lower()]
        near = alike or get_close_matches(word, functions() if called else names, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?{' Names are case-sensitive' * bool(alike)}" if near else ""
        if called:
            return self.error(start, f"there is no function {word!r}{meant}")
        listed = ", ".join(names[:10]) + f" and {len(names) - 10:,} more" * (len(names) > 10)
        message = f"there is no {word!r} here, only {listed}{meant}" if names else "a number is needed here, not a name"
        return UnknownName(self.text, start, message, word, meant * bool(alike))

    def refuse_dots(self, start: int, operand: str) -> None:
        """An error that says what to write for math.sin(x), np.pi and x.tanh(), if that is what begins at `start` and
        has its first point here. operand: what stands before the point; "" for a word that is no name."""
        dotted = DOTTED.match(self.text, self.place, self.stop)
        if not dotted:
            return
        word, inside, closed = dotted[1], (dotted[2] or "").strip(), dotted[3]
        known = {**functions(), **CONSTANTS}
        name = next((name for name in (word, ELSEWHERE.get(word), word.lower()) if name in known), None)
        before = self.text[start:self.place].strip()
        if name in CONSTANTS and closed is None:
            raise self.error(start, f"a constant stands by itself; write {name}")
        if name in functions():
            row = functions()[name]
            operand = operand or (before if closed and not inside and before not in MODULES else "")
            given = ", ".join(filter(None, (operand, inside))) if closed else ""
            given = given or ", ".join("xyz"[:row.arity])
            raise self.error(start, f"a function stands by itself; write {name}({given})")
        if before in MODULES and not operand:
            near = get_close_matches(word, functions(), n=1, cutoff=0.5)
            raise self.error(start, f"there is no function {word!r}" + (f"; did you mean {near[0]}?" if near else ""))

    # Where an operator is due

    def operator(self) -> bool:
        sign, raised = self.text[self.place], RAISED_RUN.match(self.text, self.place, self.stop)
        if raised:
            self.refuse_power_of_e(self.place)
        if raised and RAISED_NUMBER.fullmatch(raised[0]):
            self.program += [float(normalize("NFKC", raised[0]).replace("−", "-")), ops.pow]
            self.place = raised.end()
            return True
        if raised:
            return self.raised(*raised.span())
        word = MOD_AS_A_WORD.match(self.text, self.place, self.stop)
        if word:
            self.infix(MOD)
            self.place = word.end()
            return False
        infix = RAISE if self.next_is("**") else FLOORDIV if self.next_is("//") else INFIX.get(sign)
        if infix:
            end = self.place + 1 + self.next_is("**", "//")
            if infix is RAISE:
                self.refuse_power_of_e(end)
            self.infix(EXP if infix is RAISE and self.takes_e() else infix)
            self.place = end
            return False
        if sign == "(" and not self.after_call:
            self.refuse_value_or_product()
            self.product_without_a_sign()
            return False
        if sign in ")}|⌋⌉" or (sign == "]" and self.inside("[")):
            return self.close(sign)
        if sign == ",":
            return self.comma()
        if sign == ">" and self.inside("["):
            return self.greater()
        is_name = is_letter(sign) or sign == "\\"
        if is_name and self.loosely and self.after_a_number():
            self.refuse_e()
            self.product_without_a_sign()
            return False
        if is_name or sign == "(" or sign.isnumeric():
            before = self.text[self.operand_at:self.place].strip()
            after = "".join(takewhile(is_inside, self.text[self.place:]))
            shown = f"{before}*{after}" if after and len(before) < 20 else "a*b for a product"
            one = f", or {before}{after} for one number" * (before.isdecimal() and after.isdecimal())
            raise self.error(self.place, f"an operator is missing here; write {printable(shown)}{one}")
        if sign == ".":
            operand = self.text[self.operand_at:self.place].strip()
            bare = operand[1:-1] if operand[:1] == "(" and operand[-1:] == ")" else operand
            self.refuse_dots(self.operand_at, "" if self.known is None and operand in MODULES else bare)
        raise self.unexpected()

    def raised(self, start: int, end: int) -> bool:
        """An exponent with names, as derivations print it: b · aᵇ⁻¹."""
        plain = "".join(RAISED.get(sign, sign) for sign in self.text[start:end])
        exponent = Reader(self.text[:start] + plain + self.text[end:], self.known, start, end, loosely=True)
        exponent.spelled = self.spelled
        row = ops.exp if self.takes_e() else ops.pow
        try:
            self.program += [*exponent.read().program, row]
        except ExpressionError as error:
            error.text, error.args = self.text, (self.text, *error.args[1:])
            raise
        self.place = end
        return True

    def takes_e(self) -> bool:
        """Whether the last operand is e, which is taken away then: e^x is exp(x)."""
        if self.text[self.operand_at:self.place].rstrip() != "e" or self.program[-1] != e:
            return False
        self.program.pop()
        return True

    def refuse_power_of_e(self, exponent: int) -> None:
        """An error for e^-x, where e is a node, such as an error; e² is its square. exponent: where that begins."""
        if (self.loosely and self.text[self.operand_at:self.place].rstrip() == "e" and self.program[-1] != e
                and not COUNT.match(self.text, exponent, self.stop)):
            raise self.error(self.operand_at, "this can be a power of the node 'e', or the exponential function; write "
                                              "(e)**… for the one, exp(…) for the other")

    def infix(self, infix: Infix) -> None:
        # a ** b ** c is a ** (b ** c); -a % b is (-a) % b, while -a * b is -(a * b)
        self.reduce(infix.binds - (0 if infix in (RAISE, EXP) else 0.6 if infix in (MOD, FLOORDIV) else 0.1))
        self.stack.append(infix)

    def product_without_a_sign(self) -> None:
        """2(x + 1), and 2x where this is read loosely; but not 1/2(x + 1), which different people read differently."""
        above = (top for top in reversed(self.stack) if isinstance(top, Bracket) or top.row is not ops.neg)
        waiting = next(above, None)
        sign = BELOW_OR_ABOVE.get(waiting.row) if isinstance(waiting, Infix) else None
        if sign:
            before = self.text[self.operand_at:self.place].strip()
            shown = printable(before) if len(before) < 20 else "a"
            raise self.error(self.place, "an operator is missing here, and without it the order is in doubt; write "
                                         f"{sign}({shown}*…) or {sign}{shown}*…")
        self.infix(TIMES)

    def after_a_number(self) -> bool:
        """Whether a number stands right before this; with a space between them, if this is a call: 0.5 sgn(x)."""
        call = CALL.match(self.text, self.place, self.stop)
        before = self.text[self.operand_at:self.place]
        return NUMBER.fullmatch(before.rstrip() if call and call[1] in functions() else before) is not None

    def refuse_e(self) -> None:
        """An error for 9.42e - 2, in which the e may be a name or belong to the number."""
        if E_OF_A_NUMBER.match(self.text, self.place, self.stop):
            before, e = self.text[self.operand_at:self.place], self.text[self.place]
            raise self.error(self.place, f"this can be a product or part of the number; write {before}*{e}, or "
                                         f"{before}{e}-2 without a space")

    def refuse_function_or_name(self, word: str, row: Op) -> None:
        """An error for σ(1 - σ), where σ is a node as well."""
        assert self.known is not None
        if row.arity - len(row.defaults) == 1:
            alone = "\\" * bool(self.known.meant(row.name)) + row.name
            raise self.error(self.place, f"this can be a product with the node {word!r}, or the function; write "
                                         f"{word}*(…) for the one, {alone}(…) for the other")

    def refuse_value_or_product(self) -> None:
        """An error for h(x), where h and x are nodes."""
        inside = LONE_NAME.match(self.text, self.place, self.stop)
        if self.loosely and inside and isinstance(self.program[-1], Name) and self.program[-1].place == self.operand_at:
            name = self.text[self.operand_at:self.place].strip()
            raise self.error(self.place, f"this can be a product, or the value of {name} at {inside[1]}; write "
                                         f"{name}*{inside[1]} for the one, {name} for the other")

    def inside(self, sign: str) -> bool:
        """Whether the bracket that was opened last is this one."""
        bracket = next((top for top in reversed(self.stack) if isinstance(top, Bracket)), None)
        return bracket is not None and bracket.sign == sign

    def greater(self) -> bool:
        """The sign of 1[a > b]."""
        bracket = self.reduce()
        if bracket is None or bracket.commas:
            raise self.unexpected()
        self.stack[-1] = bracket._replace(commas=1)
        self.place += 1
        return False

    def comma(self) -> bool:
        bracket = self.reduce()
        if bracket is None or bracket.function is None or bracket.sign == "[":
            hint = "; a decimal point is a point" if self.text[self.place - 1].isdecimal() else ""
            raise self.error(self.place, f"unexpected ',': only the arguments of a function are a list{hint}")
        around = self.text[self.place - 1:self.place + 2]
        row = bracket.function.row if isinstance(bracket.function, Slope) else bracket.function
        if row.defaults and around[0].isdecimal() and around[-1].isdecimal():
            raise self.error(self.place, "this can be a decimal comma or the second argument; write a point for the "
                                         "one, a space after the comma for the other")
        self.stack[-1] = bracket._replace(commas=bracket.commas + 1)
        self.place += 1
        return False

    def close(self, sign: str) -> bool:
        bracket = self.reduce()
        if bracket is None:
            raise self.error(self.place, f"{sign!r} closes nothing that is open")
        if CLOSED_BY[bracket.sign] != sign:
            raise self.error(bracket.place, f"{bracket.sign!r} is not closed by {CLOSED_BY[bracket.sign]!r}")
        self.stack.pop()
        if bracket.sign == "[":
            self.indicator(bracket)
        elif bracket.function:
            self.call(bracket, bracket.function)
        elif bracket.sign in AROUND:
            self.program.append(AROUND[bracket.sign])
        self.completed(bracket.start, self.place + 1, call=bracket.sign == "(" and bracket.function is not None)
        return True

    def indicator(self, bracket: Bracket) -> None:
        """1[a > b] is step(a - b), and 1[a > 0] is step(a)."""
        if not bracket.commas:
            raise self.error(bracket.place, "in these brackets stands a comparison, 1[a > b]")
        self.program[-1:] = [ops.step] if self.program[-1] == 0.0 else [self.program[-1], ops.sub, ops.step]

    def call(self, bracket: Bracket, function: Op | Slope) -> None:
        row = function.row if isinstance(function, Slope) else function
        missing = row.arity - bracket.commas - 1
        if not 0 <= missing <= len(row.defaults):
            raise self.error(bracket.start, f"{self.text[bracket.start:bracket.place].strip()} takes {row.arity} "
                                            f"argument{'s' * (row.arity > 1)}, found {bracket.commas + 1}")
        self.program += [*row.defaults[len(row.defaults) - missing:], function]


# Several expressions, and values for the names

class Statement(NamedTuple):
    """One line of a `Program`: name = expression. The name of the last one may be ""."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Program:
    """Expressions that build on each other. Make one with `parse_program`."""

    text: str
    statements: tuple[Statement, ...]

    def graph(self, values: Mapping[str, float]) -> dict[str, Value]:
        """The graph, as Values by name, each labelled with its name; the last is the result, "" if it has no name.

        values: a number for each name that was given to `parse_program`. Those that it does not use are there as well.
        """
        nodes: dict[str, Value] = {name: Value(x, name) for name, x in values.items()}
        for name, expression in self.statements:
            result = expression.evaluate(nodes)
            if not isinstance(result, Value):
                result = Value(result)
            elif name and result.label:  # "z = x": another name for the same, which has one
                result = ops.identity(result)
            if name:
                result.label = name
            nodes[name] = result
        return nodes


def parse_program(text: str, names: Iterable[str]) -> Program:
    """Read "z = w*x + b; a = sigmoid(z); 0.5*(y - a)**2": expressions that may use the names before them.

    names: those that have values. Raises ExpressionError, with the place, if something cannot be read, if a name is
    given a second meaning, and for more than 20,000 characters.
    """
    check_length(text, "expressions have")
    known = Names(names)
    statements = []
    start, end = 0, len(text.rstrip())
    while start <= len(text):
        stop = text.find(";", start)
        stop = len(text) if stop < 0 else stop
        last = stop + 1 >= end
        equals = text.find("=", start, stop)
        name = new_name(text, start, equals, known) if equals >= 0 else ""
        if not name and not last:
            raise ExpressionError(text, start + len(text[start:stop]) - len(text[start:stop].lstrip()),
                                  "only the last expression may go without a name; write z = ...")
        statements.append(Statement(name, Reader(text, known, max(start, equals + 1), stop).read()))
        known.add(name)
        start = len(text) + 1 if last else stop + 1
    return Program(text, tuple(statements))


def check_length(text: str, what: str) -> None:
    """One limit for all that is read at once; the time that it takes grows with its length, and no faster."""
    if len(text) > WHOLE:
        raise ExpressionError(text, WHOLE, f"{what} at most {WHOLE:,} characters in all, found {len(text):,}; write "
                                           "larger ones in Python, with Value")


def new_name(text: str, start: int, stop: int, known: Names) -> str:
    """The name that text[start:stop] gives to something, which none of the known ones may be."""
    word = text[start:stop].strip()
    place = stop - len(text[start:stop].lstrip())
    name = word if indices(word) else notation(word)
    if not word or not (indices(name) or (is_letter(word[0]) and all(map(is_inside, word)))):
        raise ExpressionError(text, place, "before '=' comes a name: letters and digits, or letters with indices such "
                                           "as w_1, a^{4} or w^{2}_{1,1}")
    form = structure(name)
    alike = known.structures.get(form) if form else None
    if name in known.known or alike:
        other = name if name in known.known or not alike else alike[0]
        raise ExpressionError(text, place, f"{other!r} has a value already; choose another name")
    return name


def parse_values(*texts: str) -> dict[str, float]:
    """Read "w=0.5" or "w = 1/3, x = 2": names and their numbers, which may be written as expressions of numbers.

    Raises ExpressionError, with the place, if something cannot be read, or if a name is given two values.
    """
    values: dict[str, float] = {}
    known = Names(())
    for text in texts:
        check_length(text, "values have")
        starts: list[int] = []  # a name begins after the last comma before its "="
        start = depth = 0
        for place, sign in enumerate(text):
            depth += (sign in "({") - (sign in ")}")
            if sign == "," and depth == 0 and text[place + 1:place + 2] not in LOWERED:
                start = place + 1
            elif sign == "=" and starts[-1:] != [start]:
                starts.append(start)
        if not starts:
            raise ExpressionError(text, len(text), "names and their values are written so: w=0.5")
        for start, end in zip([0, *starts[1:]], [*starts[1:], len(text) + 1]):
            equals = text.index("=", start)
            name = new_name(text, start, equals, known)
            known.add(name)
            values[name] = float(Reader(text, Names(()), equals + 1, end - 1).read().evaluate({}))
    return values
