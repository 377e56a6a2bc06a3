"""The table of claims: what papers state, beside what this project computes and measured; no number is typed here.

Numbers that a claim itself consists of (such as tabulated plateaus) are the papers' own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, isfinite, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

import rhmtheory as rt
from rhmtheory.comparison import Comparison, Finding, Measurement, Study
from rhmtheory.comparison.findings import METHODS
from rhmtheory.theory import corpus_exponent

if TYPE_CHECKING:
    from sphinx.application import Sphinx

RESULTS = Path(__file__).parents[2] / "validation" / "results"
NOISE = RESULTS / "noise"
STUDIES = (RESULTS / "cpu", RESULTS / "offline")
PAPERS = {
    name: f"[{name}](https://arxiv.org/abs/{name})"
    for name in (
        "2307.02129",
        "2402.16991",
        "2406.00048",
        "2408.15138",
        "2410.13770",
        "2505.07067",
        "2505.07070",
        "2602.07488",
        "2605.27734",
    )
}
# the authors' table for (v, m) = (16, 4) and (32, 8), s = 2: H_1, H_2, ...
TABULATED = {
    (16, 4): (1.4926, 0.5973, 0.2686, 0.1758),
    (32, 8): (2.1266, 1.0060, 0.4300, 0.2491, 0.2025, 0.1911, 0.1883, 0.1876),
}

STEPS = {
    "transformer": ("m^2", "Each further level costs a transformer $m^2$ times the samples"),
    "lcn": ("m^2", "Each further level costs a locally connected network as much as a transformer, $m^2$"),
    "cnn": ("m", "Each further level costs a convolutional network $m$ times the samples"),
}


@dataclass(frozen=True)
class Claim:
    """What is claimed and by whom, its equation, our place for it, and the evidence.

    Each piece of evidence is (what and where, our number, the verdict).
    """

    says: str
    equation: str
    place: str
    evidence: Sequence[tuple[str, str, str]]

    def __str__(self) -> str:
        """As Markdown."""
        head = ["what was looked at", "our number [95%]", "verdict"]
        rows = [head, ["---"] * 3, *self.evidence]
        facts = " · ".join(
            part for part in (self.equation, f"in our code: {self.place}" if self.place else "") if part
        )
        return f"**{self.says}**<br>\n{facts}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def claims(study: Study) -> list[Claim]:
    """The published claims, in the order of the argument."""
    laws = ("transformer", "lcn", "cnn")
    measured = [claim for law in laws for claim in (_of_steps(study, law), _of_exponents(study, law))]
    kept = [claim for claim in [*measured, _of_ratios(study)] if claim.evidence]
    return [
        _of_correlations(),
        _of_plateaus(),
        *kept,
        _of_corpora(),
        *_of_noise(),
        _of_filtered(),
        *_not_measured(),
    ]


def _of_correlations() -> Claim:
    rhm = rt.RHM(v=16, m=4, s=2, L=4)
    exact, formula = (
        np.array([rhm.rms_correlation(level, method=method) ** 2 for level in range(1, rhm.L + 1)])
        for method in ("finite-size", "published")
    )
    off = exact / formula
    return Claim(
        f"Correlations of tokens fall by $m^2$ (mean square) per LCA level ({PAPERS['2406.00048']})",
        r"$C_\ell^2 = (1-f)/(v^3 m^{2\ell-1})$",
        "`formulas.token_correlation`, exact: `ensemble.second_moment`",
        [
            (
                f"exact / formula at {_name(rhm)}, $\\ell = 1, 2, ...$",
                ", ".join(f"{x:.2f}" for x in off),
                f"a limit of large $v$; here off by up to {max(off.max(), 1 / off.min()):.1f} times",
            )
        ],
    )


def _of_plateaus() -> Claim:
    evidence = []
    for (v, m), table in TABULATED.items():
        ours = rt.RHM(v=v, m=m, s=2, L=len(table)).plateaus()[1:]
        worst = float(np.abs(ours / np.array(table) - 1).max())
        evidence.append(
            (
                f"$(v, m, s) = ({v}, {m}, 2)$; tabulated: {', '.join(f'{x:.4f}' for x in table)}",
                ", ".join(f"{x:.4f}" for x in ours),
                f"equal within {100 * worst:.1f}%",
            )
        )
    return Claim(
        "Plateaus $H_1, H_2, ...$ of the loss, as tabulated in the authors' public notebooks",
        r"$H_k = \mathbb{E} \ln n_k$",
        "`ensemble.loss_plateaus`, the chain of compatible symbols",
        evidence,
    )


def _of_steps(study: Study, law: str) -> Claim:
    power, says = STEPS[law]
    evidence = [
        (f"factor of {_who(m)}", str(m.step_factor.measured), _verdicts(m.step_factor))
        for m in _networks(study, law)
    ]
    for one in study.ladders:
        if one.slope.judged[0].law == law:
            sizes = ", ".join(f"{m.curves.rhm.m}" for m in one.fitted)
            looked = f"slope of ln factor against ln m: {one.label}, {one.protocol}, at m = {sizes}, f kept"
            evidence.append((looked, str(one.slope.measured), _verdicts(one.slope)))
    return Claim(
        f"{says} ({PAPERS['2505.07070']})",
        f"$P_{{k+1}}/P_k = {power}$",
        "`theory.LAWS`, `Law.published`, `Law.finite_size`",
        evidence,
    )


def _of_exponents(study: Study, law: str) -> Claim:
    power, _ = STEPS[law]
    evidence = []
    for m in _networks(study, law):
        if not isnan(m.exponent.measured.best):
            limit = f"many levels {rt.predict(m.curves.rhm, law, plateaus=m.curves.mean_plateaus).exponent:.3g}; "
            evidence.append((_who(m), str(m.exponent.measured), limit + _verdicts(m.exponent)))
    return Claim(
        f"Exponent of the excess loss, law of the {law} ({PAPERS['2505.07070']})",
        r"$\alpha = \ln(1/f)/" + (r"\ln m$" if power == "m" else r"(2\ln m)$"),
        "`Law.exponent`, for few levels `theory.staircase_exponent`",
        evidence,
    )


def _of_ratios(study: Study) -> Claim:
    evidence = []
    for comparison in study.comparisons:
        if comparison.ratio:
            one, two = comparison.ratio.labels
            finding = comparison.ratio.finding
            evidence.append((f"{one} : {two} at {_where(comparison)}", str(finding.measured), _verdicts(finding)))
    return Claim(
        f"The exponent of a CNN is twice that of a transformer ({PAPERS['2505.07070']})",
        r"$\alpha_\mathrm{CNN}/\alpha_\mathrm{transformer} = 2$",
        "`comparison.exponent_ratio`",
        evidence,
    )


def _of_corpora() -> Claim:
    rhm = rt.RHM(v=16, m=4, s=2, L=4)
    ours, law = corpus_exponent(rhm.beta, rhm.gamma), rt.LAWS["unshared"].exponent(rhm)
    return Claim(
        f"Two decays of a corpus give the exponent of a language model's loss ({PAPERS['2602.07488']})",
        r"$\alpha = \gamma/(2\beta)$",
        "`formulas.corpus_alpha`, `analyse_corpus`",
        [
            (
                f"{_name(rhm)}: the formula, and the transformer's law",
                f"{ours:.3g}, {law:.3g}",
                "the same for this model" if np.isclose(ours, law) else "not the same",
            ),
            ("language models on natural text", "-", "not measured"),
        ],
    )


def _of_noise() -> Iterator[Claim]:
    moved, denoised = (
        json.loads((NOISE / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("transition_v32_m8_s2_L9", "denoising_v32_m8_s2")
    )
    star, rate = (
        rt.fitting.Estimate(**moved[name]) for name in ("noise_star_of_grammars", "one_over_nu_of_grammars")
    )
    nu = replace(rate, best=1 / rate.best, low=1 / rate.high, high=1 / rate.low)
    collapse = next(row for row in denoised["collapse"] if row["process"] == "epsilon")
    scatter, grammars = collapse["spread"], f"{moved['grammars']} grammars of (32, 8, 2, 9)"
    yield Claim(
        f"Diffusion loses the class of a sentence at a threshold, 0.74 with exponent 1.78 at (32, 8, 2, 9) "
        f"({PAPERS['2402.16991']})",
        r"$\nu = \ln s/\ln F'(p^*)$, epsilon-process",
        "`RHM.noise_transition`, `Grammar.overlaps`",
        [
            (f"threshold: {grammars}, exact inference", f"{star.best:.4f} [{star.low:.4f}, {star.high:.4f}]",
             f"the map {moved['map']['noise']:.4f}; published 0.74 within {100 * (0.74 / star.best - 1):.0f}%"),
            (f"exponent: {grammars}, exact inference", f"{nu.best:.3f} [{nu.low:.3f}, {nu.high:.3f}]",
             f"the map {moved['map']['nu']:.3f}; published 1.78 lies outside"),
            ("scatter of curves of 5 to 9 levels, collapsed with 1.78, over that with the exponent of the map",
             f"{scatter['published'] / scatter['map']:.1f}", "the exponent of the map collapses them better"),
            ("trained diffusion models", "-", "not measured"),
        ],
    )  # fmt: skip
    rows = {(row["process"], row["L"]): row for row in denoised["denoised"]}
    deepest, evidence = max(L for _, L in rows), []
    for process, where in (
        ("epsilon", "the threshold of the map"),
        ("channel", "the threshold of the map, far off"),
    ):
        peak = rt.fitting.Estimate(**rows[process, deepest]["peak"])
        heights = ", ".join(
            f"{max(x for x in rows[process, L]['susceptibility'] if x):.1f} (L = {L})"
            for L in sorted(L for p, L in rows if p == process)
        )
        looked = (
            f"noise at the peak, {process}: {peak.count} grammars of (32, 8, 2, {deepest}); its height {heights}"
        )
        evidence.append((looked, str(peak), f"{where}: {moved['map']['noise']:.3f}"))
    yield Claim(
        f"Tokens change together most at the threshold: the susceptibility peaks there ({PAPERS['2410.13770']})",
        r"$\chi = \sum_{ij} C_{ij} / \sum_i C_{ii}$",
        "`Grammar.denoised`",
        [*evidence, ("trained diffusion models", "-", "not measured")],
    )


def _of_filtered() -> Claim:
    rhm = rt.RHM(v=16, m=4, s=2, L=4)
    found = rhm.grammar(seed=0).filtered_plateaus(samples=2048)
    return Claim(
        "Transformers come to predict as belief propagation on filtered trees does, of one level after the other "
        f"({PAPERS['2408.15138']})",
        r"$p(h_k \mid \mathrm{root})$ independent at level $k$",
        '`Grammar.next_token_filtered`, `evaluate(..., against="filtered")`',
        [
            (
                f"ideal loss of the last token in each filtered law, {_name(rhm)}, $k = 0, ..., L$",
                ", ".join(f"{x:.3f}" for x in found.mean),
                f"standard error at most {found.standard_error.max():.3f}",
            ),
            ("networks held against every level", "-", "not measured"),
        ],
    )


def _not_measured() -> Iterator[Claim]:
    rhm = rt.RHM(v=16, m=4, s=2, L=3)
    classes, latents = (rt.LAWS[name].published(rhm, rhm.L - 1) for name in ("class", "own latents"))
    rows = (
        ("Learning the class of a sentence", "2307.02129", "$P = n m^L$", "`LAWS['class']`",
         f"predicted {classes:g} at {_name(rhm)}"),
        ("Predicting own latents instead of tokens, whatever the depth", "2605.27734", "$P = v m^3$",
         "`LAWS['own latents']`", f"predicted {latents:.4g} at {_name(rhm)}, with the factor 1/(1 - f)"),
        ("Unequal rules leave the exponent of next-token prediction as it is", "2505.07067", "",
         "`RHM.m_eff`, `zipf`", "no network was trained on unequal rules"),
    )  # fmt: skip
    for says, paper, equation, place, looked in rows:
        yield Claim(f"{says} ({PAPERS[paper]})", equation, place, [(looked, "-", "not measured")])


def loose_claims(study: Study) -> list[Claim]:
    """What is said of CNNs and transformers in passing, as far as the recorded runs speak to it."""
    pairs = [(comparison, pair) for comparison in study.comparisons if (pair := _pair(comparison))]
    gains = {_where(comparison): _gains(*pair) for comparison, pair in pairs}
    grows = all(np.all(np.diff(list(gain.values())) > 0) for gain in gains.values())
    losses = [
        (_where(comparison), _loss_ratio(*pair), "no constant: it depends on the samples")
        for comparison, pair in pairs
    ]
    steps = {where: ", ".join(f"{x:.2g} ($k={k}$)" for k, x in gain.items()) for where, gain in gains.items()}
    constant = f"no constant{', it grows from step to step' if grows else ''}"
    return [
        Claim(
            "CNNs learn about 30% faster",
            "would mean: samples of the transformer for step $k$ over those of the CNN are 1.3",
            "`Measurement.crossings`",
            [(where, found, constant) for where, found in steps.items()]
            + [("wall-clock time", "-", "not measured")],
        ),
        Claim(
            "CNNs are 15% more accurate",
            "would mean: test loss of the CNN over that of the transformer, at the same samples, is 0.85",
            "`LearningCurves.mean_loss`",
            [*losses, ("share of right answers", "-", "not measured")],
        ),
    ]


def _pair(comparison: Comparison) -> tuple[Measurement, Measurement] | None:
    first: dict[str, Measurement] = {}
    for m in comparison.measurements:
        if m.curves.laws:
            first.setdefault(m.curves.laws[0], m)
    return (first["cnn"], first["transformer"]) if {"cnn", "transformer"} <= set(first) else None


def _gains(cnn: Measurement, other: Measurement) -> dict[int, float]:
    """By step: samples of the other network over those of the CNN, where both made it."""
    both = enumerate(zip(cnn.crossings, other.crossings, strict=True))
    return {
        k: b.best / a.best
        for k, (a, b) in both
        if isfinite(a.best) and isfinite(b.best) and not (a.at_least or b.at_least)
    }


def _loss_ratio(cnn: Measurement, other: Measurement) -> str:
    """Range of the ratio of mean losses over the sizes that both curves cover."""
    a, b = cnn.curves, other.curves
    seen_a, seen_b = ~np.isnan(a.mean_loss), ~np.isnan(b.mean_loss)
    lowest, highest = b.P[seen_b][[0, -1]]
    P = a.P[seen_a & ((a.P - lowest) * (highest - a.P) >= 0)]
    ln_a = np.interp(np.log(P), np.log(a.P[seen_a]), np.log(a.mean_loss[seen_a]))
    ln_b = np.interp(np.log(P), np.log(b.P[seen_b]), np.log(b.mean_loss[seen_b]))
    return f"from {exp((ln_a - ln_b).min()):.2f} to {exp((ln_a - ln_b).max()):.2f}"


def _networks(study: Study, law: str) -> list[Measurement]:
    return [m for m in study.measurements if m.curves.laws[:1] == (law,)]


def _who(m: Measurement) -> str:
    rows = f"{m.step_factor.measured.count} {m.step_factor.measured.unit}"
    return f"{m.curves.name} at {_name(m.curves.rhm)}, {m.curves.protocol}, {rows}"


def _where(comparison: Comparison) -> str:
    return f"{_name(comparison.rhm)}, {comparison.protocol}"


def _name(rhm: rt.RHM) -> str:
    return f"({rhm.v}, {rhm.m}, {rhm.s}, {rhm.L})"


def _verdicts(finding: Finding) -> str:
    return "; ".join(f"{METHODS[one.method]} {one.predicted:.3g}: **{one.verdict}**" for one in finding.judged[:2])


def recorded(folders: Sequence[Path] = STUDIES) -> Study:
    """The study of the recorded runs; raises where there are none."""
    from rhmvalidation import report

    return report(*folders).study


class Claims(Directive):
    """``{claims} published`` or ``{claims} loose``: the claims, made from the recorded runs."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the claims as Markdown."""
        make = {"published": claims, "loose": loose_claims}[self.arguments[0]]
        container = nodes.container(classes=["claims"])
        text = "\n\n".join(map(str, make(recorded())))
        self.state.nested_parse(StringList(text.splitlines(), "claims"), 0, container)
        return [container]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("claims", Claims)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
