"""Theory against experiment: crossings, step factors, exponents and a verdict, from finished runs. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rhmtheory import RHM, Grammar, InputError, predict
from rhmtheory._json import plain
from rhmtheory._types import FloatArray
from rhmtheory.predictions import Prediction, crossing_levels, first_step, staircase_exponent
from rhmtheory.scaling import SlopeFit, bootstrap, crossing, resamples, slope

CONFIDENCE = 0.95


@dataclass(frozen=True)
class LearningCurves:
    """Best test loss of one architecture against training-set size, for several grammars of one ensemble.

    ``loss`` has shape (grammars, sizes), nats, NaN where a run is missing or diverged.
    """

    rhm: RHM
    architecture: str
    grammar_seeds: tuple[int, ...]
    P: FloatArray
    loss: FloatArray


@dataclass(frozen=True)
class Measurement:
    """One architecture set against its prediction. Made by `measure`.

    Attributes
    ----------
    prediction : Prediction
        With the mean exact plateaus of the very grammars that were trained on.
    plateaus : array, shape (grammars, L + 1), nats
        Exact, grammar by grammar.
    crossings : array, shape (grammars, L), samples
        ``P*_k``: where the curve of a grammar crosses ``sqrt(H_k H_(k+1))`` of that grammar; NaN if it does not.
    steps : tuple of int
        The steps k that every grammar crossed, from the first that enters fits: the window of the fits.
    step_factor : SlopeFit
        ``exp`` of the slope of the mean ``ln P*_k`` against k.
    exponent : SlopeFit
        By `rhmtheory.predictions.staircase_exponent`, within the window.
    predicted_exponent : float
        The same estimator, in the same window and with the same plateaus, on the predicted ``P_k``.
    verdict : str
        ``agrees``, ``disagrees`` or ``undecided``, on the step factor: see `verdict`.
    """

    curves: LearningCurves
    prediction: Prediction
    plateaus: FloatArray
    crossings: FloatArray
    steps: tuple[int, ...]
    step_factor: SlopeFit
    exponent: SlopeFit
    predicted_exponent: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        content: dict[str, Any] = plain(self)
        content["prediction"] = self.prediction.to_dict()
        return content


@dataclass(frozen=True)
class Comparison:
    """All architectures of one ensemble, and the ratio of the exponents with and without weight sharing.

    ``ratio`` is that of the CNN's exponent over the transformer's, on the steps both have resolved, with the
    grammars resampled together; ``predicted_ratio`` the same on the predicted staircases. Either is None
    where an architecture is missing.
    """

    rhm: RHM
    measurements: tuple[Measurement, ...]
    ratio: SlopeFit | None
    predicted_ratio: float | None
    ratio_verdict: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        content: dict[str, Any] = plain(self)
        content["measurements"] = {m.curves.architecture: m.to_dict() for m in self.measurements}
        return content


def learning_curves(rows: Sequence[dict[str, Any]]) -> list[LearningCurves]:
    """Group finished runs (dicts with v, m, s, L, architecture, P, grammar_seed, best_loss, diverged)."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["v"], row["m"], row["s"], row["L"], row["architecture"]), []).append(row)
    curves = []
    for (v, m, s, L, architecture), members in groups.items():
        sizes = sorted({row["P"] for row in members})
        seeds = sorted({row["grammar_seed"] for row in members})
        loss = np.full((len(seeds), len(sizes)), np.nan)
        for row in members:
            if not row["diverged"]:
                loss[seeds.index(row["grammar_seed"]), sizes.index(row["P"])] = row["best_loss"]
        curves.append(LearningCurves(RHM(v, m, s, L), architecture, tuple(seeds), np.array(sizes, float), loss))
    return curves


def measure(curves: LearningCurves, seed: int = 0) -> Measurement:
    """Crossings, step factor and exponent of one architecture, with bootstrap intervals over grammars."""
    rhm = curves.rhm
    H = np.array([Grammar.draw(rhm, grammar).plateaus() for grammar in curves.grammar_seeds])
    crossings = np.array(
        [
            [crossing(curves.P, loss, G) if G > 0 else np.nan for G in crossing_levels(plateaus)]
            for loss, plateaus in zip(curves.loss, H, strict=True)
        ]
    )
    steps = tuple(k for k in range(first_step(rhm.L), rhm.L) if not np.isnan(crossings[:, k]).any())
    prediction = predict(rhm, curves.architecture, plateaus=H.mean(axis=0))
    draws = resamples(len(H), seed)
    factors = [_step_factor(crossings[draw], steps) for draw in draws]
    exponents = [_exponent(crossings[draw], H[draw], steps) for draw in draws]
    factor = bootstrap(factors, _step_factor(crossings, steps), CONFIDENCE, len(H))
    return Measurement(
        curves=curves,
        prediction=prediction,
        plateaus=H,
        crossings=crossings,
        steps=steps,
        step_factor=factor,
        exponent=bootstrap(exponents, _exponent(crossings, H, steps), CONFIDENCE, len(H)),
        predicted_exponent=_exponent(_predicted_crossings(prediction, len(H)), H, steps),
        verdict=verdict(factor, prediction.step_factor),
    )


def compare(rows: Sequence[dict[str, Any]], seed: int = 0) -> list[Comparison]:
    """Set all finished runs against theory, one `Comparison` an ensemble; raises `InputError` if there are none."""
    curves = learning_curves(rows)
    if not curves:
        raise InputError("there is no finished run to compare: train some first")
    comparisons = []
    for rhm in dict.fromkeys(c.rhm for c in curves):
        measurements = tuple(measure(c, seed) for c in curves if c.rhm == rhm)
        comparisons.append(Comparison(rhm, measurements, *_exponent_ratio(measurements, seed)))
    return comparisons


def verdict(measured: SlopeFit, predicted: float) -> str:
    """``disagrees`` if the interval leaves the prediction out, ``agrees`` if it has it and is narrow.

    Narrow means that the upper bound is less than twice the lower one; a wider interval, or none, is ``undecided``.
    """
    if np.isnan([measured.best, measured.low, measured.high]).any():
        return "undecided"
    if not measured.low <= predicted <= measured.high:
        return "disagrees"
    return "agrees" if 0 < measured.high < 2 * measured.low else "undecided"


def _exponent_ratio(
    measurements: Sequence[Measurement], seed: int
) -> tuple[SlopeFit | None, float | None, str | None]:
    by_name = {m.curves.architecture: m for m in measurements}
    if not {"cnn", "transformer"} <= set(by_name):
        return None, None, None
    cnn, transformer = by_name["cnn"], by_name["transformer"]
    if cnn.curves.grammar_seeds != transformer.curves.grammar_seeds:
        return None, None, None
    steps = tuple(k for k in cnn.steps if k in transformer.steps)
    H, everyone = cnn.plateaus, np.arange(len(cnn.plateaus))

    def ratio(first: FloatArray, second: FloatArray, draw: Any) -> float:
        return _exponent(first[draw], H[draw], steps) / _exponent(second[draw], H[draw], steps)

    values = [ratio(cnn.crossings, transformer.crossings, draw) for draw in resamples(len(H), seed)]
    fit = bootstrap(values, ratio(cnn.crossings, transformer.crossings, everyone), CONFIDENCE, len(H))
    first, second = (_predicted_crossings(m.prediction, len(H)) for m in (cnn, transformer))
    predicted = ratio(first, second, everyone)
    return fit, predicted, verdict(fit, predicted)


def _step_factor(crossings: FloatArray, steps: tuple[int, ...]) -> float:
    return float(np.exp(slope(steps, np.log(crossings[:, steps]).mean(axis=0))))


def _exponent(crossings: FloatArray, H: FloatArray, steps: tuple[int, ...]) -> float:
    """Exponent of the staircase through the mean crossings (in ln P) and the mean plateaus, within the window."""
    P = np.full(crossings.shape[1], np.nan)
    P[list(steps)] = np.exp(np.log(crossings[:, steps]).mean(axis=0))
    return staircase_exponent(P, H.mean(axis=0))


def _predicted_crossings(prediction: Prediction, grammars: int) -> FloatArray:
    return np.tile(prediction.sample_complexity, (grammars, 1))
