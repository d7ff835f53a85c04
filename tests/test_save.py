"""Views as files: every thing in every format, by the ending of the name."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from graphs import four_layers, neuron
from test_terminal import things

import micrograd as mg
from micrograd import Value
from micrograd.look import draw as draw_module
from micrograd.look.tex import as_tex, text_in_tex
from micrograd.page import as_csv, as_json, page, saved

FORMATS = {
    "chain": ".txt .tex .html .json", "several": ".txt .tex .html .json", "steps": ".txt .csv .tex .html .json",
    "diagnosis": ".txt .csv .html .json", "nudge": ".svg .txt .csv .html .json", "report": ".txt .csv .html .json",
    "class": ".txt .csv .html .json", "check": ".txt .csv .html .json", "plan": ".txt .tex .html .json",
    "stepper": ".html .svg .json", "drawing": ".svg .png .pdf .tex .html .gv"}
ENDINGS = [".txt", ".csv", ".tex", ".html", ".htm", ".json", ".svg", ".png", ".pdf", ".gv", ".dot", ".foo"]


def is_a(ending, path):
    """Whether a file is what its ending says."""
    content = path.read_bytes()
    if ending in (".png", ".pdf"):
        return content.startswith({".png": b"\x89PNG", ".pdf": b"%PDF"}[ending])
    text = content.decode()
    if ending == ".json":
        return bool(json.loads(text))
    if ending == ".svg":
        return ElementTree.fromstring(text).tag.endswith("svg")
    if ending in (".html", ".htm"):
        return text.lower().startswith("<!doctype html>") and "Content-Security-Policy" in text
    if ending == ".csv":
        rows = list(csv.reader(text.splitlines()))
        return len(rows) > 1 and len({len(row) for row in rows}) == 1
    if ending == ".tex":
        return text.startswith(r"\documentclass") and text.endswith("\\end{document}\n")
    return {".gv": "digraph", ".dot": "digraph"}.get(ending, "") in text


def with_pdf():
    """Whether an installed Graphviz is there: graphviz-pure writes no PDF."""
    return shutil.which("dot") is not None


@pytest.mark.parametrize("name", FORMATS)
def test_every_thing_in_every_format(name, tmp_path):
    thing, known = things()[name], FORMATS[name].split()
    for ending in ENDINGS:
        path = tmp_path / f"it{ending.upper() if ending == '.json' else ending}"
        wanted = {".htm": ".html", ".dot": ".gv"}.get(ending, ending)
        if wanted in known and (ending != ".pdf" or with_pdf()):
            assert Path(thing.save(path)) == path
            assert is_a(ending, path), path
            thing.save(str(path)), thing.save(path)
        elif ending != ".json" or name != "drawing":  # which Graphviz has, too
            with pytest.raises(ValueError, match=re.escape(ending if ending != ".pdf" or name != "drawing" else "pdf")):
                thing.save(path)
            assert not path.exists()
    assert {each.suffix.lower() for each in tmp_path.iterdir()} <= {*ENDINGS}, "nothing is left behind"


def test_what_is_said_of_other_endings(tmp_path):
    found = mg.explain(neuron(), "w^{4}")
    with pytest.raises(ValueError, match=r"^Explanation.save\(path\) writes .txt, .tex, .html, .json, by the ending of the "
                                         r"name; found '.*w.pdf' \(for a PDF, compile the .tex with pdflatex\)$"):
        found.save(tmp_path / "w.pdf")
    with pytest.raises(ValueError, match=r"^Explanations.save\(path\) writes .txt, .tex, .html, .json"):
        mg.explain(neuron(), ["w^{4}", "b^{4}"]).save(tmp_path / "both.pdf")
    with pytest.raises(ValueError, match=r"by the ending of the name; found 'w'$"):
        found.save("w")
    with pytest.raises(FileNotFoundError):
        found.save(tmp_path / "no such folder" / "w.txt")


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")

    def fails():
        raise RuntimeError("no view")
    with pytest.raises(RuntimeError):
        saved("It", path, {".txt": fails})
    assert path.read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="there are no such devices")
def test_a_device_gets_the_usual_format():
    path = saved("It", "/dev/null", {".txt": lambda: "text", ".csv": lambda: "a"})
    assert path == Path("/dev/null") and not path.is_file()


def test_tables_are_harmless():
    assert as_csv([("name", 1.5, None), ("=1+1", "@x", "−1")]) == 'name,1.5,\n\'=1+1,\'@x,−1\n'


def test_the_steps_as_a_table(tmp_path):
    found = mg.steps(neuron())
    with open(found.save(tmp_path / "steps.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found)
    for row, frame in zip(rows, found):
        assert float(row["value"]) == frame.value and row["pass"] == frame.kind
        assert row["adds"] == ("" if frame.contribution is None else repr(frame.contribution))


@pytest.mark.parametrize("name", ["steps", "diagnosis", "nudge", "report", "class", "check"])
def test_the_files_of_a_report_say_what_it_says(name, tmp_path):
    found = things()[name]
    assert found.html == found._repr_html_()
    assert found.html in found.save(tmp_path / "it.html").read_text(encoding="utf-8")
    assert found.save(tmp_path / "it.csv").read_text(encoding="utf-8") == found.csv
    assert found.save(tmp_path / "it.txt").read_text(encoding="utf-8") == f"{found.text}\n"
    assert found.save(tmp_path / "it.json").read_text(encoding="utf-8") == as_json(found.to_dict())


def test_findings_as_a_table(tmp_path):
    found = mg.diagnose(Value(-2.0, "z").relu() * Value(3.0, "größe"))
    with open(found.save(tmp_path / "findings.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["severity"], row["kind"], row["sentence"], row["advice"]) for row in rows] == [
        (each.severity, each.kind, each.sentence, each.advice) for each in found.findings]
    assert rows and rows[0]["nodes"] == ", ".join(found.findings[0].names)


# Drawings

def test_a_drawing_goes_by_its_ending_and_dot_as_graphviz_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawing = mg.draw(neuron())
    assert drawing.save("y.svg") == "y.svg"
    assert drawing.save("y.gv") == "y.gv" and Path("y.gv").read_text(encoding="utf-8") == drawing.source
    assert drawing.save() == "y.gv", "graphviz keeps the name"
    assert drawing.save("z.gv", "folder") == os.path.join("folder", "z.gv")
    assert drawing.save("z.svg", "folder") == os.path.join("folder", "z.svg")
    assert drawing.save(Path("bare")) == os.path.join("folder", "bare")
    stamp = Path("y.svg").read_bytes()
    Path("y.svg").write_text("mine")
    assert drawing.save("y.svg", ".", skip_existing=True) == os.path.join(".", "y.svg")
    assert Path("y.svg").read_text() == "mine" and stamp.startswith(b"<svg")
    rendered = drawing.render(outfile="out.svg", directory=".")
    assert Path(rendered).read_text(encoding="utf-8").startswith("<?xml"), "what graphviz calls save for is DOT"
    assert "digraph" in Path("out.gv").read_text(encoding="utf-8")


def size_of_png(path):
    data = Path(path).read_bytes()
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_pixels_to_the_inch(tmp_path):
    drawing = mg.draw(neuron())
    source = drawing.source
    sizes = [size_of_png(drawing.save(tmp_path / "y.png", dpi=dpi)) for dpi in (96, None, 192)]
    assert sizes[1] == sizes[2] and sizes[1][0] == pytest.approx(2 * sizes[0][0], abs=4)
    assert drawing.source == source, "the drawing stays what it is"
    for dpi, name in ((0, "y.png"), (-1, "y.png"), (float("inf"), "y.png"), ("96", "y.png"), (96, "y.svg")):
        with pytest.raises(ValueError, match=r"a number above 0, for a picture of pixels such as \.png"):
            drawing.save(tmp_path / name, dpi=dpi)


@pytest.fixture
def pure(monkeypatch):
    """With graphviz-pure alone, as after pip install."""
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    if shutil.which("dot") or not (pure := shutil.which("graphviz-pure")):
        pytest.skip("graphviz-pure is not installed")
    monkeypatch.setattr(draw_module.dot_command, "DOT_BINARY", Path(pure))


def test_a_format_that_wants_an_installed_graphviz(pure, tmp_path):
    drawing = mg.draw(neuron())
    for ask in (lambda: drawing.save(tmp_path / "y.pdf"), lambda: drawing.pipe(format="pdf"),
                lambda: drawing.render(tmp_path / "y", format="pdf")):
        with pytest.raises(ValueError, match=r"graphviz-pure writes no pdf, only .*svg.*\. For it, install Graphviz"):
            ask()
    for ending in (".svg", ".png", ".tex", ".html"):
        assert is_a(ending, Path(drawing.save(tmp_path / f"y{ending}")))


def test_a_drawing_as_tikz(tmp_path):
    y = neuron()
    y.backward()
    for options in ({}, {"slopes": "formulas", "clusters": True}, {"by_gradient": True}, {"direction": "TB"}):
        text = Path(mg.draw(y, **options).save(tmp_path / "y.tex")).read_text(encoding="utf-8")
        assert text.count(r"\begin{tikzpicture}") == text.count(r"\end{tikzpicture}") == 1
        assert text.count("{") == text.count("}")
        assert text.count(r"\node[") >= 3 * len(mg.topological_order(y)) - 2, "the words of every box"
        assert r"\DeclareUnicodeCharacter{2074}{\ensuremath{^{4}}}" in text
        assert "nan" not in text and "None" not in text
        for colour in {*re.findall("[=]micrograd([0-9a-f]{6})", text)}:
            assert rf"\definecolor{{micrograd{colour}}}" in text


def test_hostile_labels_in_tex(tmp_path):
    label = r"\input{x} $ & # % _ ^ ~ {"
    x = Value(2.0, label)
    for thing in (mg.draw(x * x), mg.explain(x * x, x), mg.steps(x * x)):
        text = Path(thing.save(tmp_path / "x.tex")).read_text(encoding="utf-8")
        assert r"\input" not in text
        assert re.sub(r"\\[{}]", "", text).count("{") == re.sub(r"\\[{}]", "", text).count("}")


def test_text_in_tex():
    assert text_in_tex("a_b & 50% \\x {^}~#$") == (
        r"a\_b \& 50\% \textbackslash{}x \{\textasciicircum{}\}\textasciitilde{}\#\$")
    document = as_tex("δ⁴ 日 é")
    assert r"\DeclareUnicodeCharacter{03B4}{\ensuremath{\delta}}" in document
    assert r"\DeclareUnicodeCharacter{65E5}{[U+65E5]}" in document, "seen, though pdflatex has it not"
    assert "00E9" not in document, "T1 has it"


if shutil.which("pdflatex"):  # which is no package of Python's, and large
    @pytest.mark.parametrize("name", ["chain", "several", "steps", "plan", "drawing"])
    def test_pdflatex_takes_every_document(name, tmp_path):
        things()[name].save(tmp_path / "it.tex")
        done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "it.tex"], cwd=tmp_path, capture_output=True,
                              timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]


# Pages

def test_a_page_escapes_its_title():
    assert "<title>&lt;b&gt; &amp; {x}</title>" in page("<b> & {x}", ["<p>1</p>"])


def test_the_stepper_without_a_picture(tmp_path, monkeypatch):
    def none(*_args, **_options):
        raise draw_module.graphviz.ExecutableNotFound(["dot"])
    monkeypatch.setattr("micrograd.look.stepper.svg_of", none)
    found = mg.stepper(four_layers()[1])
    with pytest.raises(ValueError, match=r"Stepper.save\(path\) writes .html, .json, by"):
        found.save(tmp_path / "y.svg")
    assert is_a(".html", found.save(tmp_path / "y.html"))
