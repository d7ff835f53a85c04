"""Formulas at several points: wrong ones that come out right at the point of an exercise, right ones in all forms."""

import math
import random
import re
from itertools import islice

import pytest
from graphs import two_by_two

from micrograd import MLP, Value, grade, grade_class, losses, maximum, op, relu, sigmoid
from micrograd.read.chain import depending_on, links
from micrograd.read.expression import parse, parse_program
from micrograd.read.grade import Marker
from micrograd.read.graph import look
from micrograd.read.mistakes import Book
from micrograd.read.points import Points
from micrograd.read.terms import Terms, formula_of

SPECIAL = "right for these numbers only"
ROUND = (1, 1, 0, 0.5, 0.5, 2, -1, 0.3)  # what exercises are made of


class Exercise:
    """A graph from text, with the numbers of its leaves, marked many times."""

    def __init__(self, text, values):
        self.program, self.values = parse_program(text, values), values
        nodes = self.program.graph(values)
        self.root = nodes[next(reversed(nodes))]
        self.marker = Marker(look(self.root, "test"), 4, None)

    def numbers(self, values):
        """The forward values and the gradients, by name, for other leaves."""
        nodes = self.program.graph(values)
        [*_, root] = nodes.values()
        root.backward()
        return {name: node.data for name, node in nodes.items()}, {name: node.grad for name, node in nodes.items()}

    def is_right(self, label, formula, rng):
        """Whether a formula is the gradient at points far from here, by an engine that knows nothing of `points`."""
        tried = 0
        while tried < 5:
            values, gradients = self.numbers({name: rng.uniform(0.2, 1.8) * rng.choice((-1, 1)) for name in self.values})
            read = parse(re.sub(r"dC/d(\w+)", r"gradient_\1", formula), [*values, *(f"gradient_{n}" for n in values)])
            found = read.evaluate({**values, **{f"gradient_{name}": x for name, x in gradients.items()}})
            if not all(map(math.isfinite, [found, *values.values(), *gradients.values()])):
                continue
            tried += 1
            if abs(found - gradients[label]) > 1e-7 * (abs(found) + abs(gradients[label])) + 1e-12:
                return False
        return True

    def verdict(self, label, formula):
        return self.marker.mark({label: formula}, {}).answers[label].verdict
