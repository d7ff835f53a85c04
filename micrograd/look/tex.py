"""Documents for pdflatex: formulas, and a graph that Graphviz has laid out as a TikZ picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..formulas.boxes import GREEK, IDENTIFIERS, OPERATORS
from ..formulas.labels import SUBSCRIPT, SUPERSCRIPT, printable

# How a sign is written that pdflatex does not know: all that this package writes.
SIGNS = {sign: rf"\ensuremath{{{command}}}" for command, sign in {**OPERATORS, **IDENTIFIERS}.items()
         if command[0] == "\\" and len(sign) == 1 and not sign.isascii()}
SIGNS |= {letter: rf"\ensuremath{{{command}}}" for letter, command in GREEK.items()}
SIGNS |= {chr(raised): rf"\ensuremath{{^{{{chr(plain)}}}}}" for plain, raised in reversed(SUPERSCRIPT.items())
          if raised != plain and chr(plain).isascii()}
SIGNS |= {chr(lowered): rf"\ensuremath{{_{{{chr(plain)}}}}}" for plain, lowered in SUBSCRIPT.items()
          if lowered != plain}
SIGNS |= {"−": r"\ensuremath{-}", "′": r"\ensuremath{'}", "÷": r"\ensuremath{\div}", "½": r"\ensuremath{\frac12}",
          "–": "--", "←": r"\ensuremath{\leftarrow}", "√": r"\ensuremath{\surd}", "Σ": r"\ensuremath{\Sigma}",
          "\u00a0": "~", "\u202f": r"\,", "’": "'"}
LATIN = range(0xA0, 0x180)  # which T1 has

ESCAPED = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
           **{sign: f"\\{sign}" for sign in "{}$&#%_"}}


def text_in_tex(words: str) -> str:
    """Any text for a paragraph: every character of it is seen, and none is a command."""
    return "".join(ESCAPED.get(sign, sign) for sign in printable(words))


def as_tex(body: str, packages: Sequence[str] = ("[margin=2cm]{geometry}", "{amsmath}"), setup: str = "") -> str:
    """A whole document; what stands between its \\begin{document} and \\end{document} may go into another.

    Signs that neither T1 nor this package knows are shown by their numbers; lualatex and xelatex show them as they are.
    """
    strange = sorted({sign for sign in body if not sign.isascii() and (sign in SIGNS or ord(sign) not in LATIN)})
    declared = "".join(f"  \\DeclareUnicodeCharacter{{{ord(sign):04X}}}{{{SIGNS.get(sign, f'[U+{ord(sign):04X}]')}}}\n"
                       for sign in strange)
    declared = f"\\ifdefined\\DeclareUnicodeCharacter\n{declared}\\fi\n" if declared else ""
    used = "".join(f"\\usepackage{package}\n" for package in packages)
    return (f"\\documentclass{{article}}\n\\usepackage[T1]{{fontenc}}\n{used}{declared}{setup}\\pagestyle{{empty}}\n"
            f"\\begin{{document}}\n{body}\n\\end{{document}}\n")


# A graph as TikZ. Graphviz says in its JSON how everything is drawn, step by step: which pen, through which points.

EDGE = 4  # of the page, in points


def tikz_document(layout: Mapping[str, Any]) -> str:
    """A laid out graph, as Graphviz writes it as JSON, as a tikzpicture on a page of its size."""
    things = [{"_ldraw_": layout.get("_ldraw_", ())}, *layout.get("objects", ()), *layout.get("edges", ())]
    steps = [step for thing in things for step in drawn(thing)]
    colours = sorted({colour for step in steps for colour in re.findall("micrograd([0-9a-f]{6})", step)})
    defined = [rf"\definecolor{{micrograd{colour}}}{{HTML}}{{{colour.upper()}}}" for colour in colours]
    left, bottom, right, top = map(float, layout["bb"].split(","))
    frame = rf"\useasboundingbox {at(left - EDGE, bottom - EDGE)} rectangle {at(right + EDGE, top + EDGE)};"
    picture = "\n".join([*defined, r"\begin{tikzpicture}[x=1bp, y=1bp, line join=round]", frame, *steps,
                         r"\end{tikzpicture}%"])
    size = f"paperwidth={right - left + 2 * EDGE:.2f}bp,paperheight={top - bottom + 2 * EDGE:.2f}bp,margin=0bp"
    return as_tex(picture, (f"[{size}]{{geometry}}", "{tikz}"),
                  "\\setlength{\\parindent}{0pt}\\setlength{\\topskip}{0pt}\n")


def drawn(thing: Mapping[str, Any]) -> Iterator[str]:
    """The lines and the words that draw a box, an arrow or a frame."""
    for layer in ("_draw_", "_hdraw_", "_tdraw_", "_ldraw_"):
        pen, fill, width, dashes, size, weight = "", "", 1.0, "", 12.0, ""
        for step in thing.get(layer, ()):
            kind = step["op"]
            if kind == "c":
                pen = colour_of(step)
            elif kind == "C":
                fill = colour_of(step)
            elif kind == "F":
                size = float(step["size"])
            elif kind == "t":
                weight = r"\bfseries" if int(step["fontchar"]) & 1 else ""
            elif kind == "S":
                found = re.fullmatch(r"setlinewidth\((.*)\)", step["style"])
                width, dashes = (float(found[1]), dashes) if found else (width, step["style"])
            elif kind == "T":
                anchor = {"l": "base west", "c": "base", "r": "base east"}[step["align"]]
                font = rf"\fontsize{{{size:g}bp}}{{{size:g}bp}}\sffamily{weight}\selectfont"
                yield (rf"\node[anchor={anchor}, inner sep=0pt, text={pen}, font={font}] at {at(*step['pt'])} "
                       f"{{{text_in_tex(step['text'])}}};")
            else:
                look = [f"draw={pen}", f"line width={width:g}bp"] if pen and width else []
                look += [dashes] if dashes in ("dashed", "dotted") else []
                look += [f"fill={fill}"] if fill and kind in "PBE" else []
                if look:
                    yield rf"\path[{', '.join(look)}] {path_of(kind, step)};"


def path_of(kind: str, step: Mapping[str, Any]) -> str:
    if kind in "eE":
        x, y, across, up = step["rect"]
        return f"{at(x, y)} ellipse [x radius={across:.2f}, y radius={up:.2f}]"
    first, *rest = (at(*point) for point in step["points"])
    closed = " -- cycle" if kind in "pPB" else ""
    if kind in "bB":
        threes = zip(rest[::3], rest[1::3], rest[2::3])
        return first + "".join(f" .. controls {a} and {b} .. {c}" for a, b, c in threes) + closed
    return " -- ".join([first, *rest]) + closed


def at(x: float, y: float) -> str:
    return f"({x:.2f},{y:.2f})"


def colour_of(step: Mapping[str, Any]) -> str:
    """The name of a colour; "" for one that is not seen."""
    found = re.fullmatch("#([0-9a-fA-F]{6})([0-9a-fA-F]{2})?", step.get("color", ""))
    return f"micrograd{found[1].lower()}" if found and found[2] != "00" else ""
