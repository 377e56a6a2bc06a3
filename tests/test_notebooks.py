"""The notebooks of the documentation run: all code cells of each, in order, in one namespace, without Jupyter."""

import re
from pathlib import Path

import matplotlib
import pytest

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = [DOCS / "getting_started.md", *sorted((DOCS / "notebooks").glob("*.md"))]
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:.*$", re.MULTILINE)


def cells(path):
    """Number of lines above each code cell, and its code, without options such as ``:tags:``."""
    text = path.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(1)), OPTION.sub("", m[1])) for m in CELL.finditer(text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    found = cells(path)
    assert found, f"{path.name} has no code cell"
    if any("rhmvalidation" in code for _, code in found):
        pytest.importorskip("torch")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    try:
        for i, (above, code) in enumerate(found, start=1):
            # empty lines in front, so that the traceback shows lines of the notebook
            compiled = compile("\n" * above + code, str(path), "exec")
            try:
                exec(compiled, namespace)
            except Exception as error:
                error.add_note(f"in cell {i} of {path.name}, which starts at line {above + 1}")
                raise
    finally:
        plt.close("all")
