"""What is printed: lines that fit, signs that a stream has, one notation in one text; whatever the thing."""

import codecs
import io
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from graphs import diamond, four_layers, neuron, two_by_two
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd as mg
from micrograd import Value
from micrograd import terminal as plain
from micrograd.formulas.labels import columns, in_one_notation, lowered_on_the_line, raised_on_the_line
from micrograd.terminal import NARROWEST, WIDEST, WIDTH, as_lists, folded, in_columns, spelling, typewriter

ENCODINGS = ["ascii", "latin-1", "cp437", "cp1252", "utf-8"]


def things():
    """One of everything that prints, by name."""
    net, C = two_by_two()
    C.backward()
    w = net.layers[0].neurons[0].w[0]
    dead = Value(-2.0, "z^{C}")
    step = mg.compile(lambda x, y: (net(x)[0] - y) ** 2, inputs=(2, None))
    derivation = mg.explain(C, w)
    report = mg.grade(C, {w: 0.1, "z^{3}_{1}": "δ"})
    marks = mg.grade_class(C, {"Ann": {w: 0.1}, "Зоя": {w: "0.0004386"}})
    diagnosis = mg.diagnose(dead.relu() * Value(3.0, "größe"))
    return {
        "chain": derivation, "delta": mg.explain(C, form="delta"), "node": mg.explain(C),
        "several": mg.explain(C, [w, "b^{2}_{1}"]), "factors": list(derivation.factors), "lines": list(derivation.lines),
        "matrices": list(mg.explain(C, form="delta").matrices), "formula": derivation.symbols,
        "steps": mg.steps(C), "frame": mg.steps(C)[-1], "naive": mg.steps(diamond(), "naive"),
        "diagnosis": diagnosis, "findings": list(diagnosis.findings), "nudge": mg.nudge(C, w),
        "report": report, "answers": report.answers, "answer": [*report.answers.values()], "class": marks,
        "questions": list(marks.questions), "check": mg.check_gradients(lambda x: mg.relu(x) * x, 0.0),
        "rows": list(mg.check_gradients(lambda x: x * x, 1.0).rows), "plan": step.plan,
        "equations": list(step.plan.equations), "value": Value(1.0, "δ^{4}_{日}"), "other": Value(1.0, "größe"), "stepper": mg.stepper(C),
        "compiled": step, "drawing": mg.draw(C), "net": net}


PRINTING = """
import sys
sys.path.insert(0, {tests!r})
from test_terminal import things
for name, thing in things().items():
    print(name)
    print(thing)
    print(repr(thing))
    print(f"{{thing}}" if not isinstance(thing, str) else str(thing))
    sys.displayhook(thing)
"""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_everything_prints_on_any_stream(encoding):
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path(mg.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", PRINTING.format(tests=str(Path(__file__).parent))], env=env,
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode(encoding, "replace")
    said = done.stdout.decode(encoding)
    assert all(f"{name}{os.linesep}" in said for name in things())
    assert "\\u" not in said and "\\x" not in said, "nothing is escaped"
    if encoding == "utf-8":
        assert "∂C/∂w²₁,₁" in said and "label='δ^{4}_{日}'" in said
    else:
        texts = said[:said.index("\ndrawing")]  # DOT has the signs that there are
        assert not {*"⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ₀₁₂₃"} & {*texts}, "w² beside w^4"
        assert "C/∂w" not in said and "w^2_{1,1}" in said
        assert "größe" in said or encoding == "ascii"


def on_a_stream(encoding, errors, thing):
    """What print writes to such a stream."""
    raw = io.BytesIO()
    out, sys.stdout = sys.stdout, io.TextIOWrapper(raw, encoding, errors, newline="\n")
    try:
        print(thing)
        sys.stdout.flush()
        sys.stdout.detach()
    finally:
        sys.stdout = out
    return raw.getvalue().decode(encoding)


def test_a_stream_that_was_told_what_to_do_does_it():
    found = mg.explain(neuron(), "w^{4}")
    assert "?C/?w?" in on_a_stream("ascii", "replace", found)
    assert "&#8706;C" in on_a_stream("ascii", "xmlcharrefreplace", found)
    assert "dC/dw^4" in on_a_stream("ascii", "strict", found)
    assert "dC/dw^4" in on_a_stream("ascii", "surrogateescape", found), "as LANG=C has it"
    assert on_a_stream("utf-8", "strict", found) == f"{found.text}\n"


def test_what_is_no_print_keeps_unicode(tmp_path):
    found = mg.explain(neuron(), "w^{4}")
    out, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO(), "ascii")
    try:
        assert "∂C/∂w⁴" in found.text and found.symbols.text == f"{found.symbols}" == "∂C/∂w⁴"
        assert str(found.symbols) == "dC/dw^4" and repr(found.symbols) == "'dC/dw^4'"
        assert found.to_dict()["symbols"]["text"] == "∂C/∂w⁴"
        assert "∂" in found.to_html()
        assert mg.grade(neuron(), {"w4": 1.0}).to_dict()["answers"][0]["symbol"] == "∂C/∂w⁴"
        assert mg.steps(neuron()).to_dict()["frames"][-1]["rule"].startswith("∂C/∂")
        assert "w⁴" in mg.stepper(neuron()).html()
        found.save(tmp_path / "w.txt")
    finally:
        sys.stdout = out
    assert (tmp_path / "w.txt").read_text(encoding="utf-8") == f"{found.text}\n"


def test_a_stream_of_no_kind_is_one_of_unicode(monkeypatch):
    text = str(mg.explain(neuron(), "w^{4}"))
    for stream in (None, io.StringIO(), object()):
        monkeypatch.setattr(sys, "stdout", stream)
        assert str(mg.explain(neuron(), "w^{4}")) == text
    monkeypatch.undo()
    assert "∂C/∂w⁴" in text


def test_signs_that_a_terminal_lacks() -> None:
    def in_ascii(words):
        return spelling("ascii", "strict")(words)
    assert in_ascii("½ · ∂C/∂aᵏ⁻¹ − δ⁴ 花") == "1/2 * dC/da^{k-1} - delta^4 ?"
    assert in_ascii("w²₁,₁₂ + x₁, x₂ = σ′(z₁)") == "w^2_{1,12} + x_1, x_2 = sigma'(z_1)"
    assert in_ascii("∇ₐC ⊙ σ′(z³), ((W³)ᵀ δ³)") == "grad_aC (*) sigma'(z^3), ((W^3)^T delta^3)"
    assert in_ascii("x²(x + 1)") == "x^2 * (x + 1)", "no exponent that might seem to go on"
    assert spelling("latin-1", "strict")("½ · ∂C/∂w² · w⁴") == "½ · dC/dw^2 · w^4", "one notation"
    assert spelling("utf-8", "strict")("w\ud800") == "w?"


def test_the_typewriter_of_a_stream() -> None:
    codecs.register_error("typewriter", typewriter)
    assert "½ · ∂C/∂aᵏ⁻¹ − δ⁴ 花".encode("ascii", "typewriter") == b"1/2 * dC/da^{k-1} - delta^4 ?"
    assert "aᵏ⁻¹ + aᵏ".encode("latin-1", "typewriter") == b"a^{k-1} + a^k"  # Latin-1 has the ¹
    assert "w²₁,₁₂ + x₁, x₂ = σ′(z₁)".encode("ascii", "typewriter") == b"w^2_{1,12} + x_1, x_2 = sigma'(z_1)"


def test_every_sign_has_a_form():
    """No "?" comes out for a sign of the package's own."""
    for name, thing in things().items():
        if hasattr(thing, "_laid_out") and name not in ("class", "diagnosis"):  # which have labels in other letters
            printed = thing._laid_out(WIDTH, spelling("ascii", "strict"))
            assert printed.isascii() and printed.count("?") == thing._laid_out(WIDTH, str).count("?"), printed


# One notation

@pytest.mark.parametrize(("words", "expected"), [
    ("a² + b⁴", "a² + b⁴"), ("a^C + b²", "a^C + b^2"), ("x^2.5 + w²₁", "x^2.5 + w^2₁"), ("w_{b} + w₁,₂", "w_{b} + w_{1,2}"),
    ("leaky_relu(w₁)", "leaky_relu(w₁)"), ("my_rate · w²", "my_rate · w²"), ("x_b + x₁", "x_b + x_1"),
    ("w²: it breaks off\n  2*\n    ^", "w²: it breaks off\n  2*\n    ^"),  # which points at a mistake
])
def test_one_notation(words, expected):
    assert in_one_notation(words) == expected


@pytest.mark.parametrize("label", ["a^{C}", "a^{out,F}", "w^{2}_{b}", "z_{pred}"])
def test_one_notation_in_one_text(label):
    x, w = Value(2.0, "x^{2}_{1}"), Value(3.0, label)
    for found in (mg.explain((x * w).tanh() * w, w), mg.steps(x * w * w), mg.diagnose(x * w), mg.nudge(x * w, w)):
        text = found.text
        assert text == in_one_notation(text), text
        assert not ("^" in text and raised_on_the_line(text) != text), text
        assert not ("_" in text and lowered_on_the_line(text) != text), text


# Lines

def breakable(line, width):
    """Whether a line that is too long has a space where it might have been broken."""
    return " " in line[:width].strip() and not any(sign in line for sign in "⎡⎣⎢[")


def random_graph(seed):
    """A graph of labelled and unlabelled nodes, some with long labels."""
    rng = random.Random(seed)
    nodes = [Value(rng.uniform(0.1, 2.0), label) for label in ("x", "w^{2}_{1,1}", "learning_rate", "b", "y_{max}")]
    for i in range(rng.randrange(3, 16)):
        a, b = rng.choice(nodes), rng.choice(nodes[-4:])
        node = rng.choice([lambda a, b: a * b, lambda a, b: a + b, lambda a, b: a - b * b, lambda a, b: (a * b).tanh(),
                           lambda a, b: a / (1 + b * b), lambda a, b: mg.exp(-a) * b, mg.hypot])(a, b)
        if rng.random() < 0.4:
            node.label = rng.choice([f"z^{{{i}}}", f"a_{{{i},{i}}}", f"the sum of part {i}"])
        nodes.append(node)
    root = Value.sum(nodes[-3:])
    root.label = rng.choice(["C", "", "the cost of it all"])
    return root


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(NARROWEST, WIDEST), st.sampled_from(["ascii", "utf-8"]))
def test_every_line_fits(seed, width, encoding):
    root = random_graph(seed)
    leaves = [node for node in mg.topological_order(root) if not node.parents and node.label]
    found = [mg.explain(root), mg.steps(root), mg.diagnose(root), mg.explain(root, leaves[-1], detail="full"),
             mg.explain(root, leaves), mg.nudge(root, leaves[0]), mg.grade(root, dict.fromkeys(leaves, 1.0)),
             mg.grade_class(root, {"Ann": dict.fromkeys(leaves, 1.0), "Bob": {leaves[0]: "-1.5"}})]
    spell = spelling(encoding, "strict")
    for thing in found:
        for line in thing._laid_out(width, spell).splitlines():
            assert line == line.rstrip()
            assert columns(line) <= width or not breakable(line, width), (type(thing), width, line)


@pytest.mark.parametrize("width", [40, 57, 80, 120])
def test_matrices_and_equations_fit(width):
    net, C = two_by_two()
    step = mg.compile(lambda x, y: (net(x)[0] - y) ** 2, inputs=(2, None))
    for thing in (mg.explain(C, form="delta"), step.plan, mg.check_gradients(lambda v: v[0] * v[1], [1.0, 2.0])):
        assert max(map(columns, thing._laid_out(width, str).splitlines())) <= max(width, 44), thing._laid_out(width, str)


@given(st.text("ab()+·=,xyz −⌊⌋日", max_size=300), st.integers(10, 60), st.integers(0, 12))
def test_folding_loses_nothing(words, width, indent):
    lines = folded(words, width, indent)
    assert "".join("".join(lines).split()) == "".join(words.split())
    for line in lines[1:]:
        assert line.startswith(" " * indent)
    for line in lines:
        assert columns(line) <= width or " " not in line[indent + 1:width].strip() or indent >= width // 2


def test_where_a_formula_is_broken():
    assert folded("C = (a + b) · (c + d) + e", 18, 4) == ["C = (a + b)", "    · (c + d) + e"]
    assert folded("C = (a + b) · (c + d) + e", 22, 4) == ["C = (a + b) · (c + d)", "    + e"]
    assert folded("unbreakable", 4) == ["unbreakable"]
    assert folded("", 4) == [""]


def test_a_table_that_is_too_wide():
    table = [("name", "the rule"), ("a", "x + y + z + w + v + u + t"), "... and more", ("b", "1")]
    assert in_columns(table, 20) == ["name  the rule", "a     x + y + z + w", "      + v + u + t", "... and more", "b     1"]
    assert in_columns(table, 12) == as_lists(table, 12)
    assert as_lists(table, 20) == ["name: a", "  the rule: x + y", "    + z + w + v + u", "    + t", "... and more",
                                   "name: b", "  the rule: 1"]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


def test_the_width_is_that_of_the_terminal_and_of_a_file_always_the_same(monkeypatch):
    net, C = four_layers()
    found = mg.explain(C, net.parameters()[0])
    for given_columns, wide in (("60", 59), ("10", NARROWEST), ("300", WIDEST)):
        monkeypatch.setenv("COLUMNS", given_columns)
        assert plain.width_of_stdout() == WIDTH, "a pipe"
        monkeypatch.setattr(sys, "stdout", Terminal())
        assert plain.width_of_stdout() == wide
        shown = str(found)
        monkeypatch.undo()
        assert max(map(len, shown.splitlines())) <= wide
        assert found.text == str(found)


def test_a_repl_shows_the_thing_itself():
    class Printer:
        def text(self, words):
            self.words = words
    for name, thing in things().items():
        if hasattr(thing, "_laid_out"):
            printer = Printer()
            thing._repr_pretty_(printer, cycle=False)
            assert printer.words == repr(thing) == str(thing), name
