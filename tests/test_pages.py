"""Pages with code run: all cells of each, in order, in one namespace, without Jupyter. Lessons have own tests.

Building the site runs them too, so here they are among the slow tests.
"""

import ast
import re
from pathlib import Path

import matplotlib
import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.glob("*.md") if "{code-cell}" in path.read_text(encoding="utf-8"))
LESSONS = sorted(path for path in (DOCS / "course").glob("*.md") if path.stem != "index")
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:.*$", re.MULTILINE)


def cells(path):
    """Number of lines above each code cell, and its code, without options such as ``:tags:``."""
    text = path.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(1)), OPTION.sub("", m[1])) for m in CELL.finditer(text)]


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page_runs(path, monkeypatch):
    found = cells(path)
    assert found, f"{path.name} has no code cell"
    if any("rhmvalidation" in code for _, code in found):
        pytest.importorskip("torch")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    monkeypatch.chdir(path.parent)  # where they run in the build, too
    namespace = {"__name__": "__main__"}
    try:
        for i, (above, code) in enumerate(found, start=1):
            # empty lines in front, so that the traceback shows lines of the page
            compiled = compile("\n" * above + code, str(path), "exec")
            try:
                exec(compiled, namespace)
            except Exception as error:
                error.add_note(f"in cell {i} of {path.name}, which starts at line {above + 1}")
                raise
    finally:
        plt.close("all")


@pytest.mark.parametrize("path", [*PAGES, *LESSONS], ids=lambda path: path.stem)
def test_cells_leave_no_stray_representation(path):
    """A last line that draws ends in a semicolon, or its ``<matplotlib ...>`` is printed under the figure."""
    for above, code in cells(path):
        last = ast.parse(code).body[-1]
        draws = isinstance(last, ast.Expr) and re.search(r"\b(plot\w*|ax|axes|figure|fig)\b", ast.unparse(last))
        assert not draws or code.rstrip().endswith(";"), f"{path.name}, line {above + 1}: {ast.unparse(last)}"
