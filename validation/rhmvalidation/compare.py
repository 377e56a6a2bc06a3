"""Theory against experiment: crossings, step factors, exponents and a verdict, from finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory import RHM, Grammar, InputError, predict
from rhmtheory._support.json import plain
from rhmtheory._support.types import FloatArray
from rhmtheory.fitting.curves import collapse_quality
from rhmtheory.fitting.intervals import SlopeFit, bootstrap, resamples
from rhmtheory.fitting.slopes import crossing, slope
from rhmtheory.theory.predictions import Prediction, crossing_levels, first_step, staircase_exponent
from rhmvalidation.training import sample_points

if TYPE_CHECKING:
    from rhmvalidation.training import Outcome, Run

CONFIDENCE = 0.95
THEORY = {
    "cnn": "cnn",
    "lcn": "lcn",
    "fcn": "lcn",
    "attention": "transformer",
    "decoder": "transformer",
}
"""The prediction that each network is held against. The fully connected one has none of its own: it shares no
weights, and is held against that of the locally connected network."""


@dataclass(frozen=True)
class LearningCurves:
    """Best test loss of one network against training-set size, for several grammars of one ensemble.

    ``grammars`` names them (by seed, as a rule), and ``plateaus``, shape (grammars, L + 1), are their exact ones.
    ``loss`` has shape (grammars, sizes), nats, NaN where a run is missing or diverged. ``divergence``, where it
    was probed, has shape (sizes, L + 1): the mean KL divergence from the ideal predictor of context level k.
    """

    rhm: RHM
    network: str
    grammars: tuple[str, ...]
    plateaus: FloatArray
    P: FloatArray
    loss: FloatArray
    divergence: FloatArray | None
    diverged: int
    """Runs that ended in a loss that is not finite; they are not averaged in."""


@dataclass(frozen=True)
class Measurement:
    """One network set against its prediction. Made by `measure`.

    Attributes
    ----------
    prediction, exact : Prediction
        With the published sample complexities, and with those of the exact second moment at this size; both with
        the mean exact plateaus of the very grammars that were trained on.
    crossings : array, shape (grammars, L), samples
        ``P*_k``: where the curve of a grammar crosses ``sqrt(H_k H_(k+1))`` of that grammar; NaN if it does not.
    steps : tuple of int
        The steps k that every grammar crossed, from the first that enters fits: the window of the fits.
    step_factor : SlopeFit
        ``exp`` of the slope of the mean ``ln P*_k`` against k.
    exponent : SlopeFit
        By `rhmtheory.theory.predictions.staircase_exponent`, within the window.
    predicted_step_factor, exact_step_factor : float
        The same fit to the ``P_k`` of the two predictions, in the same window.
    predicted_exponent, exact_exponent : float
        The same estimator, in the same window and with the same plateaus, on the ``P_k`` of the two predictions.
    excess : array, shape (sizes,), nats
        Mean over grammars of loss less the floor ``H_L`` of each.
    collapse : float
        How well the steps of the mean curve (see `step_curves`) fall onto one when P is divided by the predicted
        ``P_k``: 0 perfect, about 1 not at all; NaN with fewer than two steps.
    verdict, exact_verdict : str
        ``agrees``, ``disagrees`` or ``undecided``, on the step factor of the two predictions: see `verdict`.
    """

    curves: LearningCurves
    prediction: Prediction
    exact: Prediction
    crossings: FloatArray
    steps: tuple[int, ...]
    step_factor: SlopeFit
    predicted_step_factor: float
    exact_step_factor: float
    exponent: SlopeFit
    predicted_exponent: float
    exact_exponent: float
    excess: FloatArray
    collapse: float
    verdict: str
    exact_verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        content: dict[str, Any] = plain(self)
        content["prediction"], content["exact"] = self.prediction.to_dict(), self.exact.to_dict()
        return content


@dataclass(frozen=True)
class Comparison:
    """All networks of one ensemble, and the ratio of the exponents with and without weight sharing.

    ``ratio`` is that of the CNN's exponent over the transformer's, on the steps both have resolved, with the
    grammars resampled together; ``predicted_ratio`` and ``exact_ratio`` the same on the predicted staircases.
    The verdicts are on the ratio. All are None where a network is missing.
    """

    rhm: RHM
    measurements: tuple[Measurement, ...]
    ratio: SlopeFit | None
    predicted_ratio: float | None
    exact_ratio: float | None
    ratio_verdict: str | None
    exact_ratio_verdict: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        content: dict[str, Any] = plain(self)
        content["measurements"] = {m.curves.network: m.to_dict() for m in self.measurements}
        return content


def learning_curves(finished: Sequence[tuple[Run, Outcome]]) -> list[LearningCurves]:
    """Group finished runs into curves, one an ensemble and network."""
    groups: dict[tuple[RHM, str], list[tuple[Run, Outcome]]] = {}
    for run, outcome in finished:
        groups.setdefault((run.rhm, run.network), []).append((run, outcome))
    curves = []
    for (rhm, network), members in groups.items():
        points = [(run.grammar_seed, P, loss) for run, out in members for P, loss in sample_points(run, out)]
        sizes = sorted({P for _, P, _ in points})
        seeds = sorted({run.grammar_seed for run, _ in members})
        loss = np.full((len(seeds), len(sizes)), np.nan)
        for seed, P, value in points:
            loss[seeds.index(seed), sizes.index(P)] = value
        divergence = _mean_divergence(members, sizes)
        diverged = sum(outcome.diverged for _, outcome in members)
        H = np.array([Grammar.from_ensemble(rhm, seed).plateaus() for seed in seeds])
        names = tuple(f"seed {seed}" for seed in seeds)
        curves.append(LearningCurves(rhm, network, names, H, np.array(sizes, float), loss, divergence, diverged))
    return curves


def _mean_divergence(members: Sequence[tuple[Run, Outcome]], sizes: list[int]) -> FloatArray | None:
    """Mean over grammars at every size: at the best step offline, along training online."""
    found: dict[int, list[list[float]]] = {}
    for run, outcome in members:
        for step, values in outcome.divergence:
            if run.settings.protocol == "online":
                found.setdefault(step * run.settings.batch_size, []).append(values)
            elif step == outcome.best_step:
                found.setdefault(run.P, []).append(values)
    if not found:
        return None
    levels = members[0][0].rhm.L + 1
    return np.array([np.mean(found[P], axis=0) if P in found else [np.nan] * levels for P in sizes])


def measure(curves: LearningCurves, seed: int = 0) -> Measurement:
    """Crossings, step factor and exponent of one network, with bootstrap intervals over grammars."""
    rhm, H = curves.rhm, curves.plateaus
    crossings = np.array(
        [
            [crossing(curves.P, loss, G) if G > 0 else np.nan for G in crossing_levels(plateaus)]
            for loss, plateaus in zip(curves.loss, H, strict=True)
        ]
    )
    prediction, exact = (
        predict(rhm, THEORY[curves.network], H.mean(axis=0), method=method) for method in ("asymptotic", "exact")
    )
    # a step that theory never makes (f = 1) is no step, whatever a noisy curve does
    made = ~np.isnan(crossings).any(axis=0) & np.isfinite(prediction.sample_complexity)
    steps = tuple(k for k in range(first_step(rhm.L), rhm.L) if made[k])
    published_P, exact_P = (_predicted_crossings(p, len(H)) for p in (prediction, exact))
    published_factor, exact_factor = _step_factor(published_P, steps), _step_factor(exact_P, steps)
    draws = resamples(len(H), seed)
    factors = [_step_factor(crossings[draw], steps) for draw in draws]
    exponents = [_exponent(crossings[draw], H[draw], steps) for draw in draws]
    factor = bootstrap(factors, _step_factor(crossings, steps), CONFIDENCE, len(H))
    return Measurement(
        curves=curves,
        prediction=prediction,
        exact=exact,
        crossings=crossings,
        steps=steps,
        step_factor=factor,
        predicted_step_factor=published_factor,
        exact_step_factor=exact_factor,
        exponent=bootstrap(exponents, _exponent(crossings, H, steps), CONFIDENCE, len(H)),
        predicted_exponent=_exponent(published_P, H, steps),
        exact_exponent=_exponent(exact_P, H, steps),
        excess=(curves.loss - H[:, -1:]).mean(axis=0),
        collapse=_collapse(curves, prediction, steps),
        verdict=verdict(factor, published_factor),
        exact_verdict=verdict(factor, exact_factor),
    )


def compare(curves: Sequence[LearningCurves], seed: int = 0) -> list[Comparison]:
    """Set learning curves against theory, one `Comparison` an ensemble; `InputError` if there are none."""
    if not curves:
        raise InputError("there is no finished run to compare: train some first")
    comparisons = []
    for rhm in dict.fromkeys(c.rhm for c in curves):
        measurements = tuple(measure(c, seed) for c in curves if c.rhm == rhm)
        comparisons.append(Comparison(rhm, measurements, *_exponent_ratio(measurements, seed)))
    return comparisons


def step_curves(
    curves: LearningCurves, prediction: Prediction, steps: Sequence[int]
) -> list[tuple[FloatArray, FloatArray]]:
    """Each step of the mean curve as (P / P_k, part of the step in ln loss that is still to go).

    The part is one at ``H_k``, a half at the crossing level, zero at ``H_(k+1)``; the outer tenths are left out,
    where plateaus and neighbouring steps are seen more than the step itself.
    """
    log_loss, log_H = np.log(curves.loss.mean(axis=0)), np.log(prediction.plateaus)
    out = []
    for k in steps:
        to_go = (log_loss - log_H[k + 1]) / (log_H[k] - log_H[k + 1])
        shown = (to_go > 0.1) & (to_go < 0.9)
        out.append((curves.P[shown] / prediction.sample_complexity[k], to_go[shown]))
    return out


def _collapse(curves: LearningCurves, prediction: Prediction, steps: Sequence[int]) -> float:
    parts = [(x, y) for x, y in step_curves(curves, prediction, steps) if len(x) > 1]
    try:
        return collapse_quality(parts)
    except InputError:  # fewer than two, or apart
        return float("nan")


def verdict(measured: SlopeFit, predicted: float) -> str:
    """``disagrees`` if the interval leaves the prediction out, ``agrees`` if it has it and is narrow.

    Narrow means that the upper bound is less than twice the lower one; a wider interval, or none, is ``undecided``.
    """
    if not np.isfinite([measured.best, measured.low, measured.high, predicted]).all():
        return "undecided"
    if not measured.low <= predicted <= measured.high:
        return "disagrees"
    return "agrees" if 0 < measured.high < 2 * measured.low else "undecided"


def _exponent_ratio(measurements: Sequence[Measurement], seed: int) -> tuple[Any, ...]:
    """The fields of `Comparison` about the ratio."""
    by_name = {m.curves.network: m for m in measurements}
    if not {"cnn", "decoder"} <= set(by_name):
        return (None,) * 5
    cnn, transformer = by_name["cnn"], by_name["decoder"]
    if cnn.curves.grammars != transformer.curves.grammars:
        return (None,) * 5
    steps = tuple(k for k in cnn.steps if k in transformer.steps)
    H = cnn.curves.plateaus
    everyone = np.arange(len(H))

    def ratio(first: FloatArray, second: FloatArray, draw: Any) -> float:
        return _exponent(first[draw], H[draw], steps) / _exponent(second[draw], H[draw], steps)

    values = [ratio(cnn.crossings, transformer.crossings, draw) for draw in resamples(len(H), seed)]
    fit = bootstrap(values, ratio(cnn.crossings, transformer.crossings, everyone), CONFIDENCE, len(H))

    def of_staircases(first: Prediction, second: Prediction) -> float:
        return ratio(_predicted_crossings(first, len(H)), _predicted_crossings(second, len(H)), everyone)

    predicted = of_staircases(cnn.prediction, transformer.prediction)
    exact = of_staircases(cnn.exact, transformer.exact)
    return fit, predicted, exact, verdict(fit, predicted), verdict(fit, exact)


def _step_factor(crossings: FloatArray, steps: tuple[int, ...]) -> float:
    return float(np.exp(slope(steps, np.log(crossings[:, steps]).mean(axis=0))))


def _exponent(crossings: FloatArray, H: FloatArray, steps: tuple[int, ...]) -> float:
    """Exponent of the staircase through the mean crossings (in ln P) and the mean plateaus, within the window."""
    P = np.full(crossings.shape[1], np.nan)
    P[list(steps)] = np.exp(np.log(crossings[:, steps]).mean(axis=0))
    return staircase_exponent(P, H.mean(axis=0))


def _predicted_crossings(prediction: Prediction, grammars: int) -> FloatArray:
    return np.tile(prediction.sample_complexity, (grammars, 1))
