"""Figures of verdicts: what is drawn where, for any label, with and without intervals and laws."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from staircases import curves, smooth_staircase

import rhmtheory as rt
from rhmtheory import RHM, InputError
from rhmtheory.comparison import compare, measure, study
from rhmtheory.plotting import (
    new_figure,
    plot_clocks,
    plot_curves,
    plot_exponents,
    plot_factors,
    plot_ladders,
    plot_verdict,
    study_figures,
)
from rhmtheory.plotting.clocks import clock_pairs
from rhmtheory.plotting.style import STYLES, styles

THREE = RHM(16, 4, 2, 3)
SIZES = np.geomspace(10, 1e7, 80)


def networks(grammars=5, **rest):
    return [
        measure(curves(THREE, label, law, noise=0.1, grammars=grammars, constant=5, sizes=SIZES, seed=i, **rest))
        for i, (label, law) in enumerate((("cnn", "cnn"), ("my own", "transformer"), ("fcn", None)))
    ]


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_styles_differ_in_colour_or_not_but_always_in_line_or_marker():
    labels = [*STYLES, "a", "b", "c", "d", "e", "f", "g"]
    found = styles(labels)
    assert found["cnn"] == STYLES["cnn"]
    others = {(look.line, look.marker) for name, look in found.items() if name != "transformer"}
    assert len(others) == len(labels) - 1  # transformer and decoder are drawn alike
    assert len(styles([f"n{i}" for i in range(40)])) == 40


def test_colours_of_networks_differ_in_grey_or_in_line():
    grey = {name: float(np.dot(to_rgb(look.color), (0.299, 0.587, 0.114))) for name, look in STYLES.items()}
    for name, look in STYLES.items():
        for other, beside in STYLES.items():
            if {name, other} != {"transformer", "decoder"} and name != other:
                assert look.line != beside.line or abs(grey[name] - grey[other]) > 0.1


@pytest.mark.parametrize("grammars", [1, 2, 5])
def test_curves_plateaus_and_crossings_are_drawn(grammars):
    found = networks(grammars)
    (ax,) = new_figure()[1]
    assert plot_curves(found[:2], ax) is ax
    H = found[0].curves.mean_plateaus
    heights = {round(float(line.get_ydata()[0]), 9) for line in ax.lines if list(line.get_xdata()) == [0, 1]}
    assert heights == {round(h, 9) for h in H}
    levels = np.sqrt(H[:-1] * H[1:])
    markers = {
        (round(float(line.get_xdata()[0]), 3), round(float(line.get_ydata()[0]), 9))
        for line in ax.lines
        if len(line.get_xdata()) == 1 and line.get_marker() == STYLES["cnn"].marker
    }
    expected = {(round(P.best, 3), round(h, 9)) for P, h in zip(found[0].crossings, levels, strict=True)}
    assert markers == expected
    assert {"cnn", "my own"} <= set(texts(ax))


def test_the_mean_of_moved_curves_rests_on_the_mean_plateaus():
    """Staircases with long rests: the mean over grammars passes through every mean plateau at the same P."""
    P_k = np.array([1e2, 1e4, 1e6])
    grammars = [THREE.grammar(seed) for seed in range(4)]
    sizes = np.geomspace(10, 1e7, 400)
    losses = np.array([smooth_staircase(g.plateaus(), P_k, sizes) for g in grammars])
    found = compare(sizes, losses, grammars, law="cnn", label="net")
    (ax,) = new_figure()[1]
    plot_curves([found], ax)
    (line,) = [line for line in ax.lines if line.get_label() == "net"]
    levels = np.sqrt(found.curves.mean_plateaus[:-1] * found.curves.mean_plateaus[1:])
    at = np.exp(np.interp(np.log(P_k), np.log(line.get_xdata()), np.log(line.get_ydata())))
    np.testing.assert_allclose(at, levels, rtol=0.05)


def test_crossings_are_told_with_factor_and_verdict():
    found = networks()
    (ax,) = new_figure()[1]
    plot_factors(found, ax)
    cnn, own, fcn, *_ = texts(ax)
    assert f"{found[0].step_factor.measured.best:.3g}" in cnn
    assert f"published 4: {found[0].step_factor.against('published').verdict}" in cnn
    assert own.startswith("my own")
    assert "published" not in fcn
    guides = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_xdata()[1] > 2.1]
    slopes = [np.diff(np.log(line.get_ydata()))[0] / np.diff(line.get_xdata())[0] for line in guides]
    np.testing.assert_allclose(slopes, [np.log(4), 2 * np.log(4)])


def test_a_lower_bound_is_an_arrow():
    found = measure(curves(THREE, "t", "transformer", noise=0.1, grammars=5, until=8e3, sizes=SIZES))
    assert found.step_factor.measured.at_least
    axes = plot_verdict([found])
    assert "at least" in texts(axes[1])[0]
    assert any(text.arrow_patch is not None for text in axes[1].texts)


@pytest.fixture(scope="module")
def several():
    out = []
    for m in (3, 4, 5):
        rhm = RHM(4 * m, m, 2, 3)
        for i, law in enumerate(("cnn", "transformer")):
            out.append(curves(rhm, law, law, noise=0.1, grammars=5, constant=5, sizes=SIZES, seed=10 * m + i))
    return study(out)


def test_ladders_and_exponents(several):
    (ax,) = new_figure()[1]
    plot_ladders(several.ladders, ax)
    cnn, transformer, *_ = texts(ax)
    assert cnn == f"cnn: {several.ladders[0].slope.measured}"
    assert transformer.startswith("transformer: ")
    for prediction in ("many levels", "published", "finite_size"):
        (ax,) = new_figure()[1]
        plot_exponents(several.measurements, ax, prediction=prediction)
        assert texts(ax) == ["cnn", "transformer"]
        (diagonal,) = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() == "None"]
        np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    with pytest.raises(InputError, match="prediction='magic' is unknown"):
        plot_exponents(several.measurements, ax, prediction="magic")
    with pytest.raises(InputError, match="ladders are none"):
        plot_ladders([], ax)


def test_figures_of_a_study(several):
    figures = several.figures()
    assert set(figures) == {
        "comparison", "collapse", "ladder", "exponents",
        "comparison_v12_m3_s2_L3", "collapse_v12_m3_s2_L3", "comparison_v16_m4_s2_L3", "collapse_v16_m4_s2_L3",
    }  # fmt: skip
    assert set(study([networks()[0].curves]).figures()) == {"comparison", "collapse"}


def test_one_curve_plots_itself():
    grammar = THREE.grammar(0)
    loss = smooth_staircase(grammar.plateaus(), 5 * rt.predict(THREE, "cnn").P.published, SIZES)
    axes = rt.compare(SIZES, loss, grammar, label="mine").plot()
    assert "mine" in texts(axes[0])


def offline_and_online():
    """A study of one network, both ways."""
    offline = curves(THREE, "cnn", "cnn", noise=0.1, grammars=5, constant=5, sizes=SIZES)
    time = np.broadcast_to([np.nan, 3e5, 9e5], (*offline.loss.shape, 3)).copy()
    time[:, :10] = np.nan
    time[:3, 10] = np.nan  # made by two grammars of five: no mean
    offline = replace(offline, time=time, protocol="offline")
    online = curves(THREE, "cnn", "cnn", noise=0.1, grammars=5, constant=500, sizes=SIZES, seed=1)
    return study([offline, replace(online, protocol="online")])


def test_clocks_show_samples_that_suffice_time_and_the_online_run_on_the_diagonal():
    found = offline_and_online()
    (pair,) = clock_pairs(found)
    assert [m.curves.protocol for m in pair] == ["offline", "online"]
    (ax,) = new_figure()[1]
    plot_clocks([pair], [ax])
    first, dotted, marker = ax.lines[:3]
    shown = np.isfinite(first.get_ydata())
    np.testing.assert_allclose(first.get_ydata()[shown], 3e5)
    assert SIZES[shown][0] == SIZES[11]
    assert dotted.get_xdata()[0] == pair[0].crossings[1].best
    assert list(marker.get_xdata()) == list(marker.get_ydata()) == [pair[1].crossings[1].best]
    with pytest.raises(InputError, match="axes=0 must be 1"):
        plot_clocks([pair], [])
    assert clock_pairs(study([pair[1].curves])) == []


def test_figures_of_ensembles_that_differ_in_classes_or_weights_are_all_kept():
    weights = ((0.7, 0.1, 0.1, 0.1), (0.6, 0.2, 0.1, 0.1))
    ensembles = [THREE, RHM(16, 4, 2, 3, n=8), *(RHM(16, 4, 2, 3, rule_probabilities=p) for p in weights)]
    whole = study([curves(rhm, "cnn", "cnn", noise=0.1, sizes=SIZES, protocol="online") for rhm in ensembles])
    figures = study_figures(whole)
    assert len([name for name in figures if name.startswith("collapse")]) == 4
    assert "comparison_v16_m4_s2_L3_n8_online" in figures
    titles = {figure.axes[0].get_title() for name, figure in figures.items() if name.startswith("collapse")}
    assert len(titles) == 4
    assert any("$L=3$, $n=8$" in title for title in titles)


def test_a_prediction_draws_itself():
    prediction = rt.predict(THREE, "cnn")
    (ax,) = new_figure()[1]
    assert prediction.plot(ax) is ax
    P, loss = ax.lines[0].get_data()
    np.testing.assert_array_equal(loss, prediction.loss(P))
    assert prediction.plot().figure is not ax.figure
