"""The lessons of the course: their form, that they run, and that exercises tell right answers from wrong ones."""

import ast
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

COURSE = Path(__file__).parents[1] / "docs" / "course"
LESSONS = sorted(path for path in COURSE.glob("*.md") if path.stem != "index")
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TAGS = re.compile(r"^:tags: \[(.*)\]$", re.MULTILINE)

WRONG = {
    "language": [["3 * 3 ** 2", "3 ** 4 - 1"], ["0.5", "1 - len(endings) / 128"], ["log(512) / 8", "log(4)"]],
    "predictor": [["0", "np.log2(8)"], ["1.0", "np.mean((p > 0).sum(axis=1) > 1)"], ["0.25", "0.5"]],
    "correlations": [
        ["4**5", "4**11"],
        ["4**10", "rhm.rms_correlation(1) / rhm.rms_correlation(6)"],
        ["4**10", "(mean[0] / mean[-1]) ** 2", "C[62, 63] / C[31, 32]"],
    ],
    "synonyms": [["6", "3"], ["0.5", "synonym_share(near, parents(1), 1000)"], ["16", "ratio / 4", "4"]],
    "sample_complexity": [["4", "64"], ["-saved", "2 * saved"], ["16", "P[2]", "P[1] / P[0]"]],
    "two_bills": [
        ["20_000 * 1000", "0.05"],
        ["0", "tau / (E + tau)", "512 * tau / E"],
        ["74298 / 18362", "3.0", "9.0"],
    ],
    "your_network": [["18_000", "2000 * 9**3"], ["H[1]", "H[0] - H[3]"], ["0.15", "0.15 * H[3]"]],
    "representation": [["0.25", "0.3"], ["share", "share[0]", "probes['untrained'].share(2)[-1]"], ["after", "0"]],
    "noise": [["0.4", "0.025"], ["row[6] - row[2]", "row[2]"], ["transition.noise", "0.5"]],
    "own_corpus": [["2", "0.5"], ["63", "0"], ["1.0", "narrow / wide"]],
}
"""Wrong answers to each exercise of a lesson; each has to be refused, and so has None."""


def cells(path):
    """Code of each cell without its options, its tags, and the line it begins at."""
    text = path.read_text(encoding="utf-8")
    for found in CELL.finditer(text):
        tags = TAGS.search(found[1])
        code = re.sub(r"^:.*$", "", found[1], flags=re.MULTILINE)
        yield code, tags[1] if tags else "", text.count("\n", 0, found.start(1)) + 1


def exercises(path):
    """Pairs of a stub with its check, and the solution below it."""
    found = list(cells(path))
    return [
        (stub[0], solution[0])
        for stub, solution in pairwise(found)
        if "skip-execution" in stub[1] and "hide-cell" in solution[1]
    ]


def test_there_are_lessons_and_wrong_answers_to_each():
    assert LESSONS
    assert {path.stem for path in LESSONS} == set(WRONG)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_form(path):
    text = path.read_text(encoding="utf-8")
    parts = [
        text.find(part) for part in ("**The question.**", "## Exercises", "## You now know", "**What is open.**")
    ]
    assert parts == sorted(parts)
    assert parts[0] > 0
    assert "**Next:**" in text[parts[-1] :]
    assert text.count("**Before you run it.**") >= 2
    assert text.count("hide-output") >= text.count("**Before you run it.**")
    lines = re.findall(r"^- ", text[parts[2] : parts[3]], re.MULTILINE)
    assert len(lines) == 3
    for code, _, line in cells(path):
        assert len(code.strip().splitlines()) <= 15, f"line {line}"
        assert max(map(len, code.splitlines())) <= 88, f"line {line}"
    assert len(exercises(path)) >= 3
    for stub, _ in exercises(path):
        assert stub.strip().startswith("answer = None"), stub
        assert stub.count("assert ") == len(re.findall(r'^assert .*, "[^"]+"$', stub, re.MULTILINE)) >= 2


PROGRAM = """
import matplotlib, warnings
matplotlib.use("Agg")
from matplotlib import pyplot as plt
space = {"__name__": "__main__"}
def tell(check, answer):
    try:
        exec(check, space | {"answer": answer})
    except AssertionError as error:
        assert str(error), "a hint"
        return False
    return True
for kind, code, wrong in PLAN:
    if kind == "run":
        exec(compile(code, "cell", "exec"), space)
        continue
    check = code.replace("answer = None", "", 1)
    assert tell(check, space["answer"]), "the solution is refused: " + check
    assert not tell(check, None), "None is taken: " + check
    for text in wrong:
        exec(check.split("assert ")[0], space)
        value = eval(text, space)
        assert not tell(check, value), f"{text} is taken: {check}"
assert plt.get_fignums(), "a lesson has a figure"
"""


def plan(path):
    """Cells in the order in which they run, each exercise with its wrong answers."""
    steps, left, stub = [], iter(WRONG[path.stem]), ""
    for code, tags, _ in cells(path):
        if "skip-execution" in tags:
            stub = code
            continue
        steps.append(("run", code, []))
        if "hide-cell" in tags and stub:
            steps.append(("check", stub, next(left)))
            stub = ""
    assert next(left, None) is None
    assert all(len(wrong) >= 2 for kind, _, wrong in steps if kind == "check")
    return steps


@pytest.mark.slow
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_in_an_empty_folder_and_its_checks_hold(path, tmp_path):
    if "rhmvalidation" in path.read_text(encoding="utf-8"):
        pytest.importorskip("torch")
    program = tmp_path / "lesson.py"
    program.write_text(f"PLAN = {plan(path)!r}\n{PROGRAM}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "lesson.py"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_first_lesson_imports_nothing_of_ours_before_its_last_part():
    codes = [code for code, tags, _ in cells(COURSE / "language.md") if not tags]
    ours = [i for i, code in enumerate(codes) if "rhmtheory" in code]
    assert ours == [len(codes) - 1]


def test_recorded_bills_of_a_lesson_are_those_of_the_study():
    study = json.loads((COURSE.parents[1] / "validation/results/bills/cnn.json").read_text(encoding="utf-8"))
    (code,) = [code for code, _, _ in cells(COURSE / "two_bills.md") if "recorded = {" in code]
    shown = ast.literal_eval(code.split("recorded = ")[1].split("\n}")[0] + "}")
    for bill, columns in shown.items():
        steps = [step[bill] for step in study["series"][0]["steps"][1:]]
        recorded = [[step[name] for step in steps] for name in ("best", "low", "high")]
        assert np.allclose(columns, recorded, rtol=2e-3)
