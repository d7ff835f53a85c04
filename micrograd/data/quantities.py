"""Numbers as people write them in tables: 1,234.5, 1.234,5, 1 234, −3, .5e-3, 0.5D+03, $12, 5.1 cm, 12 %, 1.2K, 3 Mio.

A cell is a quantity by itself; what a column of them has in common, and which decimal mark they have, must be seen from
all of them. This module knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

LARGEST = 1e150  # the square of a larger number overflows

# Powers of ten. A single letter stands at its number, 1.2K, or before a currency, 5 k€: "300 K" is kelvin. An m may be
# milli, metres or a million, a billion nine zeros or twelve: they are units like any other.
LETTERS = {"k": 3, "K": 3, "M": 6, "B": 9, "T": 12}
WORDS = {"thousand": 3, "tsd": 3, "lakh": 5, "lakhs": 5, "million": 6, "millions": 6, "millionen": 6, "mio": 6,
         "mln": 6, "crore": 7, "crores": 7, "bn": 9, "bln": 9, "mrd": 9, "milliard": 9, "milliards": 9, "milliarden": 9}
DOUBTFUL = ("B", "T")   # bytes, tons, tesla: billions and trillions in company only, see `in_common`
NAMES = {3: "thousand", 5: "hundred thousand", 6: "million", 7: "ten million", 9: "billion", 12: "trillion"}

# Units that some numbers of a column may lack. Of no other may they: 0.5 beside 50 % is not 0.5 %.
USUAL = {"$", "€", "£", "¥", "USD", "EUR", "GBP", "CHF", "mm", "cm", "dm", "km", "in", "inch", "ft", "yd", "miles",
         "mg", "g", "kg", "lb", "lbs", "oz", "ml", "cl", "l", "°C", "°F", "km/h", "mph", "s", "sec", "min", "h",
         "hours", "days", "weeks", "months", "years", "V", "A", "W", "kW", "kWh", "Hz", "m²", "m2", "sqft"}

CURRENCY = "[$¢£¤¥฿₠-⃀]"
SPACE = r" \u00a0\u2009\u202f"
SUFFIX = re.compile(rf"(?P<letter>[kKMBT])(?:(?P<currency>(?={CURRENCY}))|$|\s)"
                    rf"|(?P<word>(?i:{'|'.join(sorted(WORDS, key=len, reverse=True))}))(?:(?={CURRENCY})|\.?(?:$|\s))")

# Digits that a unit may have: m2, l/100km, per 1000. Others go on with the number: 5 ft 11 in, 2h30, 3 x10^5
IN_UNITS = re.compile(r"(?<=[^\W\d_])[23](?!\d)|(?:/|per )\d+")


def written(mark: str, other: str) -> re.Pattern[str]:
    """A quantity with this decimal mark. Thousands are grouped by the other mark, by spaces or apostrophes, always the
    same; a number that begins with 0 is not grouped."""
    return re.compile(
        rf"(?P<first>[-+]?)(?P<currency>{CURRENCY}?)\s*(?P<second>[-+]?)"
        rf"(?P<whole>[1-9]\d{{0,2}}(?P<group>[{other}'’{SPACE}])\d{{3}}(?:(?P=group)\d{{3}})*(?!\d)"
        rf"|\d+|(?=[{mark}]\d))"
        rf"(?:[{mark}](?P<decimals>\d+)|[.,](?!\d))?"
        rf"(?:[eE](?P<exponent>[-+]?\d{{1,6}})|[dD](?P<fortran>[-+]\d{{1,6}}))?"
        rf"(?P<space>\s*)(?P<rest>(?:[^\W\d_]|[%°]|{CURRENCY}).{{0,15}})?")


WRITTEN = {".": written(".", ","), ",": written(",", ".")}
PLAIN = re.compile(r"-?\d+(?:\.\d+)?")


class Quantity(NamedTuple):
    """A number as it stands in a cell, 1.2 of $1.2K; its unit, $, and suffix, K; how many of the unit that is, 1200."""

    number: float
    unit: str
    suffix: str
    scaled: float

    @property
    def beside(self) -> str:
        """All that stands beside the number, as one unit: "K $"; "" where it stands alone."""
        return f"{self.suffix} {self.unit}".strip()


def quantity(cell: str, mark: str = ".") -> Quantity | None:
    """A cell as a number with a unit or without; None for other text, and for what is too large to work with."""
    if mark == "." and PLAIN.fullmatch(cell):  # most are, and this is ten times as fast
        number = float(cell)
        return Quantity(number, "", "", number) if abs(number) <= LARGEST else None
    match = WRITTEN[mark].fullmatch(cell.replace("−", "-"))
    if match is None or (match["first"] and match["second"]):
        return None
    whole, decimals = match["whole"].replace(match["group"] or " ", ""), match["decimals"] or "0"
    digits = f"{match['first'] or match['second']}{whole or 0}.{decimals}"
    exponent = int(match["exponent"] or match["fortran"] or 0)
    rest, suffix = match["rest"] or "", ""
    if rest and (rest[0].isnumeric() or re.search(r"\d", IN_UNITS.sub("", rest))):  # 5½, 2h30
        return None
    known = SUFFIX.match(rest)
    if known and (known["word"] or known["currency"] is not None or not match["space"]):
        suffix, rest = known["letter"] or known["word"], rest[known.end():]
    number = float(f"{digits}e{exponent}")
    scaled = float(f"{digits}e{exponent + power(suffix)}") if suffix else number
    if not (abs(number) <= LARGEST and abs(scaled) <= LARGEST):
        return None
    return Quantity(number, f"{match['currency']} {rest.strip()}".strip(), suffix, scaled)


def is_suffix(text: str) -> bool:
    """True if a text stands for a power of ten; no text at all stands for 10^0."""
    return not text or text in LETTERS or text.lower() in WORDS


def power(suffix: str) -> int:
    """The power of ten that a suffix stands for."""
    return LETTERS.get(suffix) or WORDS[suffix.lower()] if suffix else 0


def marked(cell: str) -> str:
    """The decimal mark of a cell, "." or ","; "?" for 1.200 and 1,200, which are numbers with either, but not the
    same; "" where it makes no difference."""
    point, comma = quantity(cell, "."), quantity(cell, ",")
    return "" if point == comma else "?" if point and comma else "." if point else ","


class MixedError(ValueError):
    """The reason why numbers do not make sense together, in a few words."""


def in_common(found: Mapping[str, Quantity]) -> tuple[str, list[str]]:
    """The unit of a column, and the suffixes that mean powers of ten in it, "" for none (see `in_units`). found: its
    cells.

    Raises MixedError where two units differ, where numbers lack one that goes without saying nowhere, and where what a
    suffix means is in doubt.
    """
    suffixes = {q.suffix: cell for cell, q in found.items()}
    powers = [suffix for suffix in suffixes if suffix and suffix not in DOUBTFUL]
    units: dict[str, str] = {}  # and for each a cell that has it
    for cell, q in found.items():
        units.setdefault(q.unit if powers else q.beside, cell)
    named = [unit for unit in units if unit]
    if len(named) > 1:
        raise MixedError(f"{units[named[0]]!r} beside {units[named[1]]!r}: units are not mixed")
    unit = "".join(named)
    if unit and "" in units and unit not in USUAL:
        raise MixedError(f"{units['']!r} beside {units[unit]!r}: is that without {unit}?")
    if not powers:
        return unit, []
    for letter in DOUBTFUL:
        if letter in suffixes and all(q.number.is_integer() for q in found.values() if q.suffix == letter):
            raise MixedError(f"{suffixes[letter]!r} beside {suffixes[powers[0]]!r}: {letter} may be a unit, or "
                             f"{NAMES[LETTERS[letter]]}")
    largest = largest_before_suffix(found.values())
    for cell, q in found.items():
        if lacks_suffix(q, largest):
            raise MixedError(f"{cell!r} beside {suffixes[powers[0]]!r}: is that without {powers[0]}?")
    if len({power(suffix) for suffix in suffixes}) > 1:  # powers for certain, and so none is 10^0
        suffixes.setdefault("", "")
    return unit, sorted(suffixes)


def largest_before_suffix(found: Iterable[Quantity]) -> float:
    """The largest number that a suffix follows, 0 for none."""
    return max((abs(q.number) for q in found if q.suffix), default=0.0)


def lacks_suffix(q: Quantity, largest: float) -> bool:
    """True if a number may have lost its suffix: 1.2 where there is 2.9K; 950 and 950.5 have not."""
    return not q.suffix and not q.number.is_integer() and abs(q.number) <= largest


def in_units(q: Quantity, unit: str, suffixes: Sequence[str], largest: float = 0.0) -> float | None:
    """The number for a column with this in common, `largest_before_suffix` included; None for what is of another unit,
    or may be."""
    if not suffixes:
        return q.number if q.beside == unit or (not q.beside and unit in USUAL) else None
    if lacks_suffix(q, largest):
        return None
    power_too = q.suffix and q.suffix not in DOUBTFUL
    return q.scaled if ((q.suffix in suffixes or power_too)
                        and (q.unit == unit or (not q.unit and unit in USUAL))) else None


def explained(suffixes: Iterable[str]) -> str:
    """The meaning of the suffixes, to print: " (K = thousand)"; nothing where there are none."""
    said = [f"{suffix} = {NAMES[power(suffix)]}" for suffix in suffixes if suffix and suffix != NAMES[power(suffix)]]
    return f" ({', '.join(said)})" if said else ""
