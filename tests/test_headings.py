"""Headings and keys of answer sheets: each means what it says, or is refused."""

import io
import random
import re

import pytest
from graphs import two_by_two

from micrograd import Value, explain, grade, grade_class, nudge, sigmoid
from micrograd.formulas.graph import look
from micrograd.mark.mistakes import Context
from micrograd.mark.sheets import Nodes

SET_OFF = " $_^{},\u00a0\u200b\t\n"  # what may stand or not; indices may be raised or lowered besides
SIGNS = "+-*/|'′!?=().:;<>[]~#&%@\"\\\x07²½½⁺−·×√∂Δdδx9²₇¹٥ａ５"
RAISED, LOWERED = str.maketrans("0123456789(),", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾,"), str.maketrans("0123456789(),", "₀₁₂₃₄₅₆₇₈₉₍₎,")
LABELS = [
    [f"{letter}^{{{k}}}_{{{j}}}" for letter in "za" for k in (2, 3) for j in (1, 2, 3)] + ["w^{2}_{1,1}", "w^{2}_{1,12}", "w^{21}_{1,1}", "C"],
    [*"abcdefgh"], ["w5", "w_{6}", "w^{7}", "w55", "w_5^2", "b_1", "b_{12}", "C"],
    ["α", "β_1", r"\theta_{2}", "δ^{4}", "φ", "Δx", "E"], ["x*w", "w'", "w+", "|v|", "max pool", "a^{k-1}", "z_{i+1}", "a_k", "L"],
    ["w_{1,12}", "w_{11,2}", "w_{1}", "y^{(1)}", "net_{o1}", "out_{h1}", "E_{total}"],
]


def graph_of(labels):
    """A graph with nodes of these labels; the last is the root."""
    leaves = [Value(0.3 + 0.1 * place, label) for place, label in enumerate(labels[:-1])]
    root = sum(leaves[1:], leaves[0] * 1.5).tanh()
    root.label = labels[-1]
    return root


def nodes_of(root):
    return Nodes(Context(look(root, "test")))


def kept(text):
    """All of a text that may not differ, raised and lowered signs on the line."""
    for table in (RAISED, LOWERED):
        text = text.translate({ord(shifted): plain for plain, shifted in ((chr(p), chr(s)) for p, s in table.items()) if plain != shifted})
    return "".join(sign for sign in text.translate(str.maketrans("−′ａ５", "-'a5")) if sign not in SET_OFF)


def may_mean(key, label):
    """Whether a key differs from a label only by what may differ. An upper index that comes second counts first."""
    key, label = (re.sub(r"[\s$\u200b]|\\(?=[_{}])|\\[,;:! ]", "", text) for text in (key, label))  # LaTeX has spaces, too
    key, label = (re.sub(r"\\?theta", "θ", text).replace("delta", "δ") for text in (key, label))
    key, label = (re.sub(r"(\^[_{},]*)\(([_^{},]*[0-9][_^{},]*)\)", r"\1\2", text) for text in (key, label))
    if kept(key) == kept(label):
        return True
    turned = [re.sub(r"([^\W\d_]+)_\{?([^_^{}]+)\}?\^\{?([^_^{}]+)\}?", r"\1^\3_\2", text) for text in (key, label)]
    return kept(turned[0]) == kept(turned[1])


def found(nodes, key):
    """The label of the node that a key means; None for a key that is refused."""
    try:
        return nodes.find(key).label
    except ValueError as error:
        assert str(error).isprintable() or "\n" in str(error)
        return None


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels[0])
def test_a_sign_more_is_refused_or_changes_nothing(labels):
    nodes = nodes_of(graph_of(labels))
    rng = random.Random(0)
    for label in labels:
        for place in range(len(label) + 1):
            for sign in [*rng.sample(SIGNS, 8), *rng.sample(SET_OFF, 3)]:
                key = label[:place] + sign + label[place:]
                got = found(nodes, key)
                if key in labels:
                    assert got == key
                elif got is not None:
                    assert may_mean(key, got), (key, got)
                if sign not in SIGNS:
                    assert got in (label, None) or may_mean(key, got)


@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_of_a_key_finds_another_node(seed):
    rng = random.Random(seed)
    for _ in range(20):
        labels = rng.sample(sorted({label for some in LABELS for label in some}), 7)
        root = graph_of(labels)
        nodes = nodes_of(root)
        for _ in range(25):
            key = rng.choice([rng.choice(labels), f"d{root.label}/d{rng.choice(labels)}", f"∂{root.label} / ∂{rng.choice(labels)}"])
            for _ in range(rng.randint(1, 3)):
                place = rng.randint(0, len(key))
                key = key[:place] + rng.choice(["", rng.choice(SIGNS + SET_OFF)]) + key[place + rng.randint(0, 1):]
            got = found(nodes, key)
            if got is None:
                continue
            delta = re.match(r"[\s$_^{},\u200b]*(δ|\\delta|delta)", key) and may_mean(re.sub(r"δ|\\delta|delta", "z", key).rstrip(" =:"), got)
            above, _, below = re.split(r"(/)[\s{\u200b\\]*[∂d]", key + "/d", maxsplit=1)
            below = below.removesuffix("/d").rstrip(" =:")
            quotient = may_mean(re.sub("[∂d]", "", above, count=1), root.label) and (may_mean(below, got) or below == f"({got})")
            assert key in labels or may_mean(key, got) or delta or quotient, (key, got)


def spellings(base, above, below):
    """One label in the notations that people use."""
    lower, upper = below.replace(",", ""), above
    yield f"{base}^{{{above}}}_{{{below}}}"
    yield f"{base}_{{{below}}}^{{{above}}}"
    yield f"{base}^{above}_{{{below}}}"
    yield f"{base}{above}_{lower}"
    yield f"{base}{above}{lower}"
    yield f"{base}{upper.translate(RAISED)}{below.translate(LOWERED)}"
    yield f"{base}{lower.translate(LOWERED)}{upper.translate(RAISED)}"
    yield f"{base}^{{({above})}}_{{{lower}}}"
    yield f" {base} ^ {above} _ {{{below}}} "
    yield f"${base}^{{{above}}}_{{{below}}}$"
    yield f"{base}_{{{lower}}}^{{{above}}}"
    yield "".join(chr(ord(sign) + 0xFEE0) if sign.isalnum() and sign.isascii() else sign for sign in f"{base}{above}_{lower}")
    yield f"\ufeff{base}\u200b{above}_{lower}\u00a0"


@pytest.mark.parametrize("base", ["w", "z", "net", "δ", "ω"])
def test_usual_spellings_are_found(base):
    labels = [f"{base}^{{{k}}}_{{{index}}}" for k in (2, 3) for index in ("1,1", "1,2", "2,1", "5")]
    nodes = nodes_of(graph_of([*labels, "C"]))
    command = {"δ": r"\delta", "ω": r"\omega"}.get(base, base)
    for label in labels:
        _, above, below, _ = re.split(r"\^\{|\}_\{|\}", label)
        for word in [*spellings(base, above, below), *spellings(command, above, below), *spellings(command.strip("\\"), above, below)]:
            for key in (word, f"dC/d{word}", f"∂C / ∂{word}", rf"\partial C/\partial {word}", rf"$\frac{{\partial C}}{{\partial {word}}}$",
                        f"dC/d{word} =", f'"{word}"'):
                if key == word or "$" not in word:
                    assert nodes.find(key).label == label, key
            assert nodes.question(f"Forward  {word}")[1:] == (True, nodes.find(label))


@pytest.mark.parametrize("label", sorted({label for some in LABELS for label in some}))
def test_a_label_as_it_is_spelled_wins(label):
    others = [label.replace("_", "^"), label.replace("^", "_"), re.sub(r"[{},^_ ]", "", label), f"{label}+", f"({label})", f"d{label}", f"dC/d{label}"]
    labels = list(dict.fromkeys([label, *filter(None, others), "C"]))
    nodes = nodes_of(graph_of(labels))
    assert [nodes.find(each).label for each in labels] == labels


# One by one

def neuron(*more):
    """C = (y - a)²/2 of one neuron, and nodes that are added to it."""
    w, b, x, y = Value(0.5, "w5"), Value(0.1, "b"), Value(1.5, "x"), Value(1.0, "y")
    z = w * x + b + sum(more, 0.0)
    z.label = "z"
    a = sigmoid(z)
    a.label = "a"
    C = 0.5 * (y - a) ** 2
    C.label = "C"
    return C


@pytest.mark.parametrize(("key", "words"), [
    ("w5+", "'w5+' is not understood: '+' is left over after w5; did you mean 'w5' (∂C/∂w5)? Updated weights are not questions here"),
    ("w5⁺", "'^+' is left over after w5; did you mean 'w5' (∂C/∂w5)? Updated"), ("w5'", "Updated weights"), ("w5new", "'new' is left over after w5"),
    ("-w5", "'-' is left over before w5"), ("|w5|", "'|' and '|' are left over around w5"), ("w/5", "'/' is left over in w5"),
    ("w5*", "'*'"), ("w5?", "'?'"), ("2w5", "'2' is left over before w5"), ("w5=", "'='"), ("(w5)", "'(' and ')'"), ("w.5", "'.'"),
    ("w-5", "'-'"), ("ŵ5", "no node is called 'ŵ5'"), ("w5²", "'^2'"), ("Δw5", "'Δ'"), ("∂w5", "'∂'"), ("dw5", "'d' is left over before w5"),
    ("w5:", "':'"), ("w5 (2 points)", "left over after w5"), ("a)", "part of a question"), ("w5\x07", r"'\x07' is left over"),
    ("dC/dw5+", "'+' is left over after w5"), ("dC/d|w5|", "'|' and '|'"), ("d|C|/dw5", "no '|C|' here"), ("∂²C/∂w5²", "no '²C' here"),
    ("da/dz", "to have a derivative of a marked, give a as the root"), ("dC/dδ", "no node is called 'dC/dδ'"), ("dС/dw5", "CYRILLIC"),
    ("forward w5", "hand it in as forward={'w5': ...}"), ("forward dC/dw5", "is a gradient, where"), ("forward δ", "is a gradient, where"),
    ("forward: w5", "'forward:' is left over before w5"), ("Q1", "looks like the number of a question"), ("W5", "did you mean 'w5'"),
    ("z+", "did you mean 'z' (∂C/∂z)?"), ("w" * 99, "wwww…'"), ("dC/dw5/2", "'/2' is left over after w5"), ("w5w5", "no node is called"), ("w\u20625", "left over in w5"),
])
def test_what_a_key_has_too_much(key, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        grade(neuron(), {key: 1})
    assert "w" * 45 not in str(caught.value)
    report = grade(neuron(), {"w5": 1})
    for ask in (report.answers.__getitem__, lambda key: grade(neuron(), {}, ask=[key]), lambda key: grade(neuron(), {}, {key: 1})):
        with pytest.raises(ValueError):
            ask(key)


@pytest.mark.parametrize("key", [
    "w5", "w_5", "w⁵", "w₅", "$w_5$", "$w_{5}$", r"\(w_5\)", " w 5 ", "w_5,", "dC/dw_5", "dC / dw5", "∂C/∂w⁵", "dC/dw5 =", "dC/dw5:", "\ufeffdC/dw5",
    r"$\frac{\partial C}{\partial w_5}$", r"\tfrac{dC}{dw_5}", r"\frac{\mathrm{d}C}{\mathrm{d}w_5}", "dC/\ndw5", "“w5”", "'w5'", "`w5`", "ｗ５",
    "𝜕C/𝜕𝑤₅", "dC∕dw5", "w\u00ad5", r"w\_5",
])
def test_what_a_key_may_have(key):
    assert grade(neuron(), {key: 1}).answers["w5"].symbol.text == "∂C/∂w5"
    assert grade_class(neuron(), {"Ann": {key: 1}})["Ann"].answers[key].name == "w5"


@pytest.mark.parametrize("key", ["Forward z", "forward  z", "FORWARD\u00a0z", "forward z =", "forward\nz", '"forward z"', "forward $z$"])
def test_headings_of_forward_values(key):
    assert grade_class(neuron(), {"Ann": {key: 1}})["Ann"].forward["z"].heading == ("forward $z$" if "$" in key else "forward z")


def test_a_square_is_asked_about():
    C = neuron(Value(1.0, "w"), Value(2.0, "w2"), Value(2.0, "u_{1}"), Value(3.0, "u31"))
    for key in ("w²", "w^2", "dC/dw^2", "w^{2}"):
        with pytest.raises(ValueError, match="'w2' or 'w'"):
            grade(C, {key: 1})
    with pytest.raises(ValueError, match=r"'z1\^3'.*did you mean 'z31'"):
        grade(two_by_two()[1], {"z1^3": 1})
    with pytest.raises(ValueError, match="'u31' or"):
        grade(C, {"u₁³": 1})
    assert grade(C, {"w_2": 1, "u_31": 1}).total == 2


def test_signs_of_a_label_itself():
    x, w = Value(2.0, "x"), Value(3.0, "w")
    product, updated = x * w, w * 0.9
    product.label, updated.label = "x*w", "w+"
    C = product + updated
    C.label = "C"
    report = grade(C, {"x*w": 1, "dC/dw+": 1, "w": 2.9})
    assert [answer.name for answer in report.answers.values()] == ["x*w", "w+", "w"]
    assert report.score == 1
    assert grade(C, {"∂C/∂(x*w)": 1}).answers["x*w"].right, "as reports print it"
    assert grade_class(C, {"Ann": {"w+": 1}})["Ann"].score == 1
    for key in ("xw", "x·w", "x w", "w'"):
        with pytest.raises(ValueError):
            grade(C, {key: 1})
    odd = Value(1.0, "forward z") * 2
    assert grade_class(odd, {"Ann": {"forward z": 2}})["Ann"].score == 1, "a label, as it is spelled"


def test_a_node_whose_number_is_0_is_found():
    x = Value(0.0, "x_1")
    y = x * 3 + x
    y.label = "y"
    for key in ("x_1", "x1", '"x₁"', "dy/dx1", "dy/dx_1 =", r"\frac{dy}{dx_1}", "dy/dy", "y"):
        assert grade(y, {key: 4 - 3 * ("y" in key[-2:])}).score == 1
    assert grade(y, {}, {"x1": 0, "y": 0}).score == 1


@pytest.mark.parametrize("ask", [explain, nudge])
def test_other_labels_are_read_in_the_same_way(ask):
    for key in ("w5+", "-w5", "|w5|", "w.5", "a)", "w5²", "dw5"):
        with pytest.raises(ValueError, match="no node is called that"):
            ask(neuron(), key)
    assert str(ask(neuron(), "w_5")) == str(ask(neuron(), "w₅")) == str(ask(neuron(), "w5"))


@pytest.mark.parametrize("forward", [False, True])
def test_what_is_proposed_is_understood(forward):
    for root in (two_by_two()[1], neuron(), graph_of(LABELS[5]), (Value(2.0, "x") + 3) * 1):
        nodes = nodes_of(root)
        for key in ("y3", "y1+", "y", "x+", "a1", "a11'", "w", "w5 (1)", "δ", "δ9", "q", "net", "out", "C1", "-C"):
            try:
                nodes.question(key, forward)
            except ValueError as error:
                named, _, there_are = str(error).partition("; there are ")
                for name in [*re.findall("(?:did you mean|such as) '([^']*)'", named), *filter(None, there_are.split(" and ")[0].split(", "))]:
                    assert nodes.question(name, forward).forward == forward, (key, name)
                assert not forward or "∂" not in named


def test_keys_that_are_none():
    for ask in ([["w5"]], [{}], [3], [None], [1.5]):
        with pytest.raises(TypeError, match="a label or a Value"):
            grade(neuron(), {"w5": 1}, ask=ask)


# A class

def marked(text, root=None):
    return grade_class(root or neuron(), io.BytesIO(text.encode()))


def refused(text, root=None):
    with pytest.raises(ValueError) as caught:
        marked(text, root)
    return str(caught.value)


def test_parts_of_a_question_are_refused_all_at_once():
    for text in ("name,a),b)\nAnn,1,2\n", "a),b)\n1,2\n", "name,(a),(b)\nAnn,1,2\n", "name,a.,b.\nAnn,1,2\n", "name,a:,b:\nAnn,1,2\n",
                 "name,1,2\nAnn,1,2\n", "name,1.,2.\nAnn,1,2\n", "name,1a,1b\nAnn,1,2\n", "name,Q1,Q2\nAnn,1,2\n", "name,i),ii)\nAnn,1,2\n",
                 "name,Question 1,Question 2\nAnn,1,2\n", "name,Response 1,Response 2\nAnn,1,2\n", "name,Part a),Part b)\nAnn,1,2\n",
                 "name,c,d\nAnn,1,2\n"):
        lines = refused(text).splitlines()
        assert lines[0].endswith("nothing is marked, since 2 of 2 labels are not understood")
        assert [line.split(":")[0].split()[0] for line in lines[1:3]] == ["column", "column"]
        assert lines[-1] == "  a file may begin: student,w5,dC/dz,forward z"
    message = refused("name,a,b,c,d\nAnn,1,2,3,4\n")
    assert "column 4: no node is called 'c'" in message
    assert "column 5: no node is called 'd'" in message
    assert "if a and b are parts of a question, too, write what that asks for: these are nodes here" in message
    assert "if a is a part of a question, too" in refused("name,a,b)\nAnn,1,2\n")
    assert [question.symbol.text for question in marked("name,a,b\nAnn,1,2\n").questions] == ["∂C/∂a", "∂C/∂b"]
    message = refused("name," + ",".join(f"Q{n}" for n in range(30)) + "," + "v" * 99 + "\nAnn,1\n")
    assert "and 19 more: 'Q12', 'Q13'" in message
    assert len(max(message.splitlines(), key=len)) < 300
    marked(refused("name,Q1\nAnn,1\n").splitlines()[-1].split(": ")[1] + "\nAnn,1,2,3\n")  # the line that it proposes


def test_labels_that_are_not_understood_with_their_lines():
    message = refused("student,label,answer\nAnn,w5+,1\nBob,w5+,2\nBob,b),2\nBob,z,2\n")
    assert "since 2 of 3 labels are not understood\n  lines 2, 3: 'w5+' is not" in message
    assert "\n  line 4: 'b)' is not" in message
    assert "Ann: w5 and dC/dw5 are the same node" in refused("student,label,answer\nAnn,w5,1\nAnn,dC/dw5,2\n")
    assert marked("student,label,answer\nAnn,w5,1\nBob,dC/dw5,2\n")["Bob"].answers["w5"].value == 2
    with pytest.raises(ValueError, match=r"2 of 3 labels are not understood\n  Ann, Bob: 'w5\+' is.*\n  Bob: no node is called 'q'"):
        grade_class(neuron(), {"Ann": {"w5+": 1, "b": 2}, "Bob": {"w5+": 1, "q": 2}})
    with pytest.raises(ValueError, match=r"2 of 3 labels are not understood\n  'w5\+' is not.*\n  no node is called 'q'"):
        grade(neuron(), {"w5+": 1, "b": 1, "q": 1})


def test_headings_as_spreadsheets_write_them():
    text = '\ufeffname,"dC/\r\ndw5","""b""", z\u00a0,"forward \u00a0a\n",Forward  z,x\u200b\r\nAnn,1,2,3,4,5,6\r\n'
    report = marked(text)["Ann"]
    assert list(report.answers) == ["dC/ dw5", '"b"', "z", "x"]
    assert list(report.forward) == ["a", "z"]
    assert "2 columns called 'w5'" in refused("name,w5,w5 \nAnn,1,2\n")
    assert "2 columns called 'w5'" in refused("w5,w5\n1,2\n")
    assert "column 2, 'w5', and column 4, 'dC/dw5', are the same node" in refused("name,w5,b,dC/dw5\nAnn,1,2,3\n")
    assert "column 2: y1 is a constant" in refused("name,y1,w2_11\nAnn,1,2\n", two_by_two()[1])


@pytest.mark.parametrize(("text", "words"), [
    ("n,b\nAnn Lee,1\nBob,2\n", "the first column, 'n', has the name of a node, but what is in it, such as 'Ann Lee', is not an answer; head it 'student'"),
    ("n,b\n1,0.1\n2,0.2\n3,0.2\n", "'n', has the name of a node, but counts the rows"), ("w55,b\n0.1,0.2\n", "'w55', has numbers such as '0.1'"),
    ("w5+,b\n0.1,0.2\n", "column 1: 'w5+' is not understood"), ("forward q,b\n1,2\n", "column 1: no node is called 'q'"), ("dC/dq,b\n1,2\n", "column 1: no"),
    ("w5+\n0.1\n", "found one column, 'w5+'"), ("W5,b\n1,0.1\n-1,1\n", "'W5', has numbers such as"), ("W5,b\n1,0.1\n0.5,1\n0,1\n", "'W5', has numbers"),
])
def test_a_first_column_that_may_be_names_or_answers(text, words):
    assert words in refused(text, neuron(Value(1.0, "n")))


@pytest.mark.parametrize("heading", ["Name", "Student", "student", "No.", "ID", "e-mail", "", "#", "Matrikelnummer"])
def test_a_first_column_of_names(heading):
    assert list(marked(f"{heading},w5\n1001,1\nn,2\n").students) == ["1001", "n"]
    assert list(marked("student,w5\n1.5,1\n2.5,2\n").students) == ["1.5", "2.5"], "called so, whatever is in it"
    assert list(marked("a,w5\n2*(,1\n?,2\n0.5,3\n").students) == ["row 1", "row 2", "row 3"], "answers, some unreadable"
