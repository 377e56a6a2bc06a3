"""The ratio of two networks' exponents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import log, nan

import numpy as np

from rhmtheory.comparison._estimates import combined_variance, exponent_of, exponent_weights
from rhmtheory.comparison._units import predicted_steps
from rhmtheory.comparison.findings import METHODS, Finding, finding_table, judge
from rhmtheory.comparison.measurement import Measurement
from rhmtheory.fitting.intervals import LEAST, no_estimate, pseudo_values, t_estimate
from rhmtheory.support.tables import Table
from rhmtheory.support.types import IntArray
from rhmtheory.support.values import ByValue


@dataclass(frozen=True, eq=False)
class Ratio(ByValue):
    """The exponent of one network over that of another, on the steps that both made. Made by `exponent_ratio`.

    ``paired`` says whether both met the same grammars: the interval is then Student's on the difference of the
    logarithms grammar by grammar, else Welch's.
    """

    labels: tuple[str, str]
    steps: tuple[int, ...]
    paired: bool
    finding: Finding

    def table(self) -> Table:
        """Return the table of the ratio and its predictions."""
        how = "the same grammars, in pairs" if self.paired else "different grammars"
        steps = ", ".join(map(str, self.steps)) or "none"
        title = f"exponent of {self.labels[0]} over that of {self.labels[1]}, steps {steps}, {how}"
        return finding_table(title, [("ratio", self.finding)])

    def __str__(self) -> str:
        return str(self.table())


def exponent_ratio(first: Measurement, second: Measurement) -> Ratio:
    """Return the exponent of ``first`` over that of ``second``.

    It is two for a network with weight sharing over one without. The interval is Student's on jackknife
    pseudo-values of the logarithm. Where the networks share three grammars or more, these alone enter, as pairs;
    else it is Welch's. Grammars are the same where they are known by the same name and of one ensemble. Without a
    law of both networks the ratio is held against nothing.

    Parameters
    ----------
    first, second : Measurement
    """
    steps = tuple(k for k in first.steps if k in second.steps)
    one, two = ([m.units.names[i] for i in m.used] for m in (first, second))
    shared = [name for name in one if name in two] if _meet(first, second) else []
    paired = len(shared) >= LEAST
    names = (shared, shared) if paired else (one, two)
    rows = [[m.units.names.index(name) for name in mine] for m, mine in zip((first, second), names, strict=True)]
    data = [(m.units.ln_P[mine], m.units.plateaus[mine]) for m, mine in zip((first, second), rows, strict=True)]

    def ln_exponent(i: int, which: IntArray) -> float:
        value = exponent_of(*data[i], steps, which)
        return log(value) if value > 0 else nan

    censored = first.step_factor.measured.at_least or second.step_factor.measured.at_least
    if censored or len(steps) < 2 or not all(names):
        measured = no_estimate(min(map(len, names)))
    else:
        best = ln_exponent(0, np.arange(len(names[0]))) - ln_exponent(1, np.arange(len(names[1])))
        known = 0.0
        for m, mine, (ln_P, H) in zip((first, second), rows, data, strict=True):
            known += combined_variance(m.units, mine, exponent_weights(ln_P.mean(axis=0), H.mean(axis=0), steps))
        if paired:
            values = pseudo_values(lambda which: ln_exponent(0, which) - ln_exponent(1, which), len(shared))
            measured = t_estimate([values], best=best, known=known).exp()
        else:
            both = [pseudo_values(partial(ln_exponent, i), len(names[i])) for i in (0, 1)]
            measured = t_estimate(both, (1.0, -1.0), best=best, known=known).exp()
    judged = []
    if first.curves.laws and second.curves.laws:
        title = f"{first.curves.law_names[0]} : {second.curves.law_names[0]}"
        for method in METHODS:
            exponents = [nan, nan]
            if len(steps) > 1:  # else there may be no grammar, either
                for i, (m, (_, H)) in enumerate(zip((first, second), data, strict=True)):
                    ln_P = np.log(predicted_steps(m.curves.rhm, m.curves.laws[0], method))
                    exponents[i] = exponent_of(ln_P[None], H.mean(axis=0)[None], steps, np.array([0]))
            predicted = exponents[0] / exponents[1] if exponents[1] else nan
            judged.append(judge(measured, title, method, predicted))
    return Ratio((first.curves.name, second.curves.name), steps, paired, Finding(measured, tuple(judged)))


def _meet(first: Measurement, second: Measurement) -> bool:
    """Whether a name stands for the same grammar in both."""
    grammars = all(m.curves.known and m.units.unit == "grammars" for m in (first, second))
    return grammars and first.curves.rhm == second.curves.rhm
