"""Reading one expression, sign by sign, from left to right. There is no recursion, and the length is limited, so that
text from anybody may be read."""

from __future__ import annotations

import re
from difflib import get_close_matches
from itertools import takewhile
from math import e, isinf
from typing import NamedTuple
from unicodedata import decomposition, normalize, numeric
from unicodedata import name as name_of_character

from .. import ops
from ..arguments import counted
from ..ops import Op
from ..rows import BINDS
from .expression import CONSTANTS, Expression, ExpressionError, Slope, Step, UnknownName, Variable, functions
from .labels import INDEX_ABOVE, INDEX_BELOW, RAISED, RAISED_RUN, Names, is_inside, is_letter, on_one_line, printable

LENGTH = 1_000  # characters of one expression
NESTING = 50    # brackets within brackets

# Where people have functions from, and what some are called there, for an error that says what to write
MODULES = ("math", "cmath", "np", "numpy", "jnp", "torch", "tf", "F", "Math", "mg", "micrograd")
ELSEWHERE = {"power": ops.pow.name, "fabs": ops.abs.name, "absolute": ops.abs.name}
DOTTED = re.compile(r"\.(?:\w+\.)*([^\W\d]\w*)(?:\s*\(([^()]*)(\)?))?")


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
INFIX = {"+": Infix(ops.add, SUM), **dict.fromkeys("-−–‐‑", MINUS), **dict.fromkeys("*·×⋅∙•∗", TIMES),
         **dict.fromkeys("/÷∕⁄", Infix(ops.div, PRODUCT)), "//": FLOORDIV, "%": MOD, ops.mod.name: MOD,
         "**": RAISE, "^": RAISE}
LONG_INFIX = re.compile(r"\*\*|//|mod\b")
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


class ExpressionReader:
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
        names = dict.fromkeys(step.name for step in self.program if isinstance(step, Variable))
        return Expression(self.text, tuple(names), tuple(self.program))

    def error(self, place: int, message: str) -> ExpressionError:
        return ExpressionError(self.text, place, message)

    def unexpected(self) -> ExpressionError:
        sign = self.text[self.place]
        shown = repr(sign) if sign.isprintable() else f"U+{ord(sign):04X} {name_of_character(sign, '')}".rstrip()
        return self.error(self.place, f"unexpected {shown}" + (f": {HINTS[sign]}" if sign in HINTS else ""))

    def percent(self) -> str:
        """A hint for an error where an operand is due after a %."""
        return "; write 0.05 for 5%" if self.text[self.start:self.place].rstrip().endswith("%") else ""

    def skip_spaces(self) -> bool:
        """Go to the next sign. Whether there is one."""
        while self.place < self.stop and self.text[self.place].isspace():
            self.place += 1
        return self.place < self.stop

    @property
    def before(self) -> str:
        """The operand that ends here, as it is written."""
        return self.text[self.operand_at:self.place].rstrip()

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
        if number or self.fraction(self.place):
            return self.number(number)
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

    def number(self, match: re.Match[str] | None) -> bool:
        """A decimal, a fraction such as ½, or a whole number with one, 2½."""
        x, end = (float(match[0]), match.end()) if match else (0.0, self.place)
        fraction = 0.0 if match and not match[0].isdecimal() else self.fraction(end)
        if isinf(x):
            raise self.error(self.place, "this number is larger than any float")
        self.program.append(x + fraction)
        self.completed(self.place, end + bool(fraction))
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
        self.program.append(CONSTANTS[word] if name is None else Variable(name, start))
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
        """The error about a word that means nothing here."""
        if function:
            return self.error(start, f"{word} is a function; write {word}({', '.join('xyz'[:function.arity])})")
        if self.next_is("."):
            self.refuse_dots(start, "")
        names = self.known.names if self.known else ()
        alike = [name for name in (functions() if called else (*names, *CONSTANTS)) if name.lower() == word.lower()]
        near = alike or get_close_matches(word, functions() if called else names, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?{' Names are case-sensitive' if alike else ''}" if near else ""
        if called:
            return self.error(start, f"there is no function {word!r}{meant}")
        listed = ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
        message = f"there is no {word!r} here, only {listed}{meant}" if names else "a number is needed here, not a name"
        return UnknownName(self.text, start, message, word, meant * bool(alike))

    def refuse_dots(self, start: int, operand: str) -> None:
        """An error that says what to write for math.sin(x), np.pi and x.tanh(), if that is what begins at `start` and
        has its first point here. operand: what stands before the point; "" for a word that is not a name."""
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
            return self.raised(raised)
        long = LONG_INFIX.match(self.text, self.place, self.stop)
        infix = INFIX.get(long[0] if long else sign)
        if infix:
            end = long.end() if long else self.place + 1
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
            before = self.before
            after = "".join(takewhile(is_inside, self.text[self.place:]))
            shown = f"{before}*{after}" if after and len(before) < 20 else "a*b for a product"
            one = f", or {before}{after} for one number" if before.isdecimal() and after.isdecimal() else ""
            raise self.error(self.place, f"an operator is missing here; write {printable(shown)}{one}")
        if sign == ".":
            operand = self.before
            bare = operand[1:-1] if operand[:1] == "(" and operand[-1:] == ")" else operand
            self.refuse_dots(self.operand_at, "" if self.known is None and operand in MODULES else bare)
        raise self.unexpected()

    def raised(self, run: re.Match[str]) -> bool:
        """An exponent: x², or one with names, as derivations print it, b · aᵇ⁻¹."""
        start, end = run.span()
        self.refuse_power_of_e(start)
        if RAISED_NUMBER.fullmatch(run[0]):
            self.program += [float(normalize("NFKC", run[0]).replace("−", "-")), ops.pow]
        else:
            plain = "".join(RAISED.get(sign, sign) for sign in run[0])
            inner = ExpressionReader(self.text[:start] + plain + self.text[end:], self.known, start, end, loosely=True)
            inner.spelled = self.spelled
            row = ops.exp if self.takes_e() else ops.pow
            try:
                self.program += [*inner.read().program, row]
            except ExpressionError as error:
                error.text, error.args = self.text, (self.text, *error.args[1:])
                raise
        self.place = end
        return True

    def takes_e(self) -> bool:
        """Take away the last operand if it is e, and tell whether it was: e^x is exp(x)."""
        if self.before != "e" or self.program[-1] != e:
            return False
        self.program.pop()
        return True

    def refuse_power_of_e(self, exponent: int) -> None:
        """An error for e^-x, where e is a node, such as an error; e² is its square. exponent: where that begins."""
        if self.loosely and self.before == "e" and self.program[-1] != e and not COUNT.match(
                self.text, exponent, self.stop):
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
            shown = printable(self.before) if len(self.before) < 20 else "a"
            raise self.error(self.place, "an operator is missing here, and without it the order is in doubt; write "
                                         f"{sign}({shown}*…) or {sign}{shown}*…")
        self.infix(TIMES)

    def after_a_number(self) -> bool:
        """Tell whether a number stands right before this; with a space between them, if this is a call: 0.5 sgn(x)."""
        call = CALL.match(self.text, self.place, self.stop)
        before = self.text[self.operand_at:self.place]
        return NUMBER.fullmatch(before.rstrip() if call and call[1] in functions() else before) is not None

    def refuse_e(self) -> None:
        """An error for 9.42e - 2, in which the e may be a name or belong to the number."""
        if E_OF_A_NUMBER.match(self.text, self.place, self.stop):
            e = self.text[self.place]
            raise self.error(self.place, f"this can be a product or part of the number; write {self.before}*{e}, or "
                                         f"{self.before}{e}-2 without a space")

    def refuse_function_or_name(self, word: str, row: Op) -> None:
        """An error for σ(1 - σ), where σ is a node as well."""
        assert self.known is not None
        if row.arity - len(row.defaults) == 1:
            alone = ("\\" if self.known.meant(row.name) else "") + row.name
            raise self.error(self.place, f"this can be a product with the node {word!r}, or the function; write "
                                         f"{word}*(…) for the one, {alone}(…) for the other")

    def refuse_value_or_product(self) -> None:
        """An error for h(x), where h and x are nodes."""
        inside = LONE_NAME.match(self.text, self.place, self.stop)
        last = self.program[-1]
        if self.loosely and inside and isinstance(last, Variable) and last.place == self.operand_at:
            name = self.before
            raise self.error(self.place, f"this can be a product, or the value of {name} at {inside[1]}; write "
                                         f"{name}*{inside[1]} for the one, {name} for the other")

    def inside(self, sign: str) -> bool:
        """Tell whether the bracket that was opened last is this one."""
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
            raise self.error(bracket.place, "these brackets hold a comparison, as in 1[a > b]")
        self.program[-1:] = [ops.step] if self.program[-1] == 0.0 else [self.program[-1], ops.sub, ops.step]

    def call(self, bracket: Bracket, function: Op | Slope) -> None:
        row = function.row if isinstance(function, Slope) else function
        missing = row.arity - bracket.commas - 1
        if not 0 <= missing <= len(row.defaults):
            raise self.error(bracket.start, f"{self.text[bracket.start:bracket.place].strip()} takes "
                                            f"{counted(row.arity, 'argument')}, found {bracket.commas + 1}")
        self.program += [*row.defaults[len(row.defaults) - missing:], function]
