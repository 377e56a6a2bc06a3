"""Every public figure: known to pyplot, in the style of the house, with no text upon other text."""

import itertools
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib import rcParams
from matplotlib.text import Annotation, Text
from staircases import curves, smooth_staircase

import rhmtheory as rt
from rhmtheory.comparison import measure, study
from rhmtheory.plotting import new_figure, plot_clocks, plot_context, plot_plateaus, save_figure
from rhmtheory.plotting.clocks import clock_pairs
from rhmtheory.plotting.style import STYLES

RHM = rt.RHM(16, 4, 2, 3)
SIZES = np.geomspace(10, 1e7, 80)


def measured(rhm, name, law, **rest):
    return measure(curves(rhm, name, law, noise=0.1, grammars=4, constant=5, sizes=SIZES, **rest))


@cache
def networks(m=4):
    rhm = rt.RHM(4 * m, m, 2, 3)
    return tuple(measured(rhm, name, law) for name, law in (("cnn", "cnn"), ("decoder", "transformer")))


def bills():
    from test_bills import E_TRUE, TAU_TRUE, synthetic

    runs = [run for name in ("cnn", "lcn") for run in synthetic(E_TRUE, TAU_TRUE, grammars=3, label=name)]
    return rt.two_bills(runs).plot()


def clocks():
    from test_verdict_figures import offline_and_online

    return plot_clocks(clock_pairs(offline_and_online()))


def own_curve():
    grammar = RHM.grammar(0)
    P = rt.predict(RHM, "cnn").P.published * 5
    return rt.compare(SIZES, smooth_staircase(grammar.plateaus(), P, SIZES), grammar, label="mine").plot()


def corpus():
    tokens = rt.RHM(8, 4, 2, 7).grammar(0).sample(500, seed=0).ravel()
    return rt.analyse_corpus(tokens, top=8, largest_lag=60).plot()


def noise():
    found = rt.RHM(8, 3, 2, 4).grammar(0).overlaps(np.linspace(0, 1, 6), members=64)
    return rt.plotting.plot_overlaps(found)


FIGURES = {
    "prediction": lambda: rt.predict(RHM, "cnn").plot(),
    "predictions": lambda: rt.plotting.plot_predictions([rt.predict(RHM, law) for law in ("transformer", "cnn")]),
    "correlations": lambda: rt.plotting.plot_correlations(rt.RHM(8, 3, 2, 6).grammar(0)),
    "plateaus": lambda: plot_plateaus({"chain": RHM.plateaus(), "one grammar": RHM.grammar(0).plateaus()}, RHM),
    "tree": lambda: RHM.grammar(0).sample_trees(1, seed=0)[0].plot(),
    "deep tree": lambda: rt.RHM(20, 4, 2, 5).grammar(0).sample_trees(1, seed=0)[0].plot(),
    "thresholds": lambda: rt.thresholds(rt.RHM(6, 2, 2, 3), grammars=4).plot(),
    "pairs": lambda: rt.corpus.count_pairs(RHM.grammar(0).sample(2000, seed=0), 16, distances=range(1, 8)).plot(),
    "corpus": corpus,
    "curve": own_curve,
    "verdict": lambda: rt.plotting.plot_verdict(networks()),
    "exponents": lambda: rt.plotting.plot_exponents([*networks(), *networks(3)]),
    "collapse": lambda: rt.plotting.plot_collapse(networks()),
    "ladder": lambda: study([one.curves for m in (3, 4, 5) for one in networks(m)]).ladders[0].plot(),
    "bills": bills,
    "clocks": clocks,
    "context": lambda: plot_context(
        RHM, [(name, SIZES, np.geomspace(1, 1e-3, 80)[:, None] * [4, 3, 2, 1]) for name in ("cnn", "decoder")]
    ),
    "noise": lambda: rt.plotting.plot_overlaps(
        rt.RHM(8, 3, 2, 4).grammar(0).overlaps(np.linspace(0, 1, 6), members=64)
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_known_to_pyplot_and_their_texts_are_apart(name):
    before = dict(rcParams)
    drawn = FIGURES[name]()
    figure = np.ravel(drawn)[0].figure
    assert plt.get_fignums() == [figure.number]  # notebooks and plt.show() show it
    assert dict(rcParams) == before  # and the user's settings are as they were
    assert not any(ax.spines["top"].get_visible() for ax in figure.axes)
    assert overlaps(figure) == []


def test_overlapping_texts_are_found():
    figure, (ax,) = new_figure()
    ax.text(0.5, 0.5, "one text")
    ax.text(0.52, 0.5, "another")
    assert overlaps(figure) == [("one text", "another")]


def overlaps(figure):
    """Pairs of texts of a figure whose boxes have more in common than a rim of two pixels."""
    figure.canvas.draw()
    # ticks beyond the limits of an axis have texts, which are not drawn
    axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    drawn = {tick for axis in axes for tick in axis._update_ticks()}
    ticks = [tick for axis in axes for tick in (*axis.majorTicks, *axis.minorTicks) if tick not in drawn]
    hidden = {text for tick in ticks for text in tick.findobj(Text)}
    boxes = []
    for text in dict.fromkeys(figure.findobj(Text)):
        if (
            text in hidden
            or not (text.get_text() and text.get_visible())
            or (isinstance(text, Annotation) and not text._check_xy())
        ):
            continue
        box = text.get_window_extent()
        if min(box.width, box.height) > 4 and inside(box, figure.bbox):
            boxes.append((text.get_text(), box))
    return [
        (first, second)
        for (first, a), (second, b) in itertools.combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2
    ]


def inside(box, frame):
    return box.x1 > frame.x0 and box.x0 < frame.x1 and box.y1 > frame.y0 and box.y0 < frame.y1


def test_a_figure_for_a_file_leaves_pyplot_alone(tmp_path):
    code = (
        "import sys; from rhmtheory.plotting import new_figure, save_figure; "
        f"save_figure(new_figure(shown=False)[0], {str(tmp_path / 'a.svg')!r}); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_the_style_is_known_by_name():
    with plt.style.context("rhmtheory.plotting.house"):
        assert rcParams["legend.frameon"] is False
        assert rcParams["image.cmap"] == "cividis"


def test_the_explorer_has_the_colours_of_the_figures():
    css = (Path(__file__).parents[1] / "docs/_extra/explorer/explorer.css").read_text(encoding="utf-8").lower()
    for network in ("transformer", "cnn"):
        assert f"--{network}: {STYLES[network].color.lower()}" in css


def test_a_figure_is_written_by_its_ending(tmp_path):
    figure, (ax,) = new_figure()
    ax.plot([1, 2])
    with pytest.raises(rt.InputError, match="cannot be written"):
        save_figure(figure, tmp_path / "a.xyz")
