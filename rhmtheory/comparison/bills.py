"""Two bills of a step: the samples it costs, and the updates, told apart by runs at several batch sizes and rates.

Online, with batch B and learning rate eta, step k is made after ``P*_k = E_k + (B / eta) tau_k`` samples seen. The
first term are samples, the second are ``tau_k / eta`` updates. It is the trade-off of large-batch training
(arXiv:1812.06162) at a fixed rate; ``(B / eta)_k = E_k / tau_k`` is where both terms are equal.

The sum is bills-two of docs/theory_bills.md; bills-sde, bills-samples and bills-growth say where it comes from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from math import isfinite, isnan
from typing import Any

import numpy as np

from rhmtheory.comparison._units import predicted_steps
from rhmtheory.comparison.bill_fits import LAWS, Bills, StepBill, bills_of, pseudo_factors, step_factor
from rhmtheory.comparison.bill_runs import Curves, Run, runs_of, series_of
from rhmtheory.fitting.intervals import LEAST, Estimate, line_coefficients, t_estimate
from rhmtheory.language.rhm import RHM
from rhmtheory.support.errors import InputError
from rhmtheory.support.json import plain
from rhmtheory.support.tables import Table, html, text
from rhmtheory.support.values import ByValue


@dataclass(frozen=True, eq=False)
class TwoBills(ByValue):
    """Both bills of all networks and ensembles. Made by `two_bills`; it prints as tables.

    Attributes
    ----------
    series : tuple of Bills
    notes : tuple of str
        Networks left out, and why.
    slopes : dict of str to Estimate
        Slope over ln m of ln factor of the last step, in samples (``E``) and updates (``tau``), by network and kind
        of ensemble; where three values of m were measured.
    """

    series: tuple[Bills, ...]
    notes: tuple[str, ...]
    slopes: dict[str, Estimate]

    def __str__(self) -> str:
        notes = [*self.notes, *(f"{one.name}: {note}" for one in self.series for note in one.notes)]
        return "\n\n".join([text(_tables(self), notes), *(_sentence(one) for one in self.series if one.steps)])

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return html(_tables(self), [_sentence(one) for one in self.series if one.steps])

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        out = []
        for one in self.series:
            content = {field.name: getattr(one, field.name) for field in fields(one) if field.name != "steps"}
            content["steps"] = [_step_content(one, step) for step in one.steps]
            content["E_factors"], content["tau_factors"] = one.E_factors, one.tau_factors
            content["summary"] = _sentence(one)
            out.append(plain(content))
        return {"series": out, "notes": list(self.notes), "slopes": plain(self.slopes)}

    def ratios(self, label: str, other: str, *, rhm: RHM | None = None) -> dict[int, tuple[Estimate, Estimate]]:
        """Return E and tau of one network over those of another, by step, in pairs over the grammars of both.

        Parameters
        ----------
        label, other : str
            Networks, as in `series`.
        rhm : RHM, optional
            The ensemble; by default the first that has both.

        Raises
        ------
        InputError
            Where no ensemble has both.
        """
        for a in self.series:
            for b in self.series:
                if (a.label, b.label) == (label, other) and a.rhm == b.rhm and rhm in (None, a.rhm):
                    pairs = [(step, beside) for step in a.steps if (beside := b.step(step.k)) is not None]
                    return {x.k: (step_factor(y, x, 0), step_factor(y, x, 1)) for x, y in pairs}
        labels = [one.name for one in self.series]
        raise InputError("label", (label, other), "are not on one ensemble", f"choose two of {labels}")

    def plot(self, axes: Any = None, *, rhm: RHM | None = None) -> Any:
        """Draw ``P*_k`` against B / eta and both terms against k, by `plotting.plot_bills`; returns the axes.

        Parameters
        ----------
        axes, rhm
            As there.
        """
        from rhmtheory.plotting import plot_bills

        return plot_bills(self, axes, rhm=rhm)


def two_bills(
    curves: Curves, rhm: RHM | None = None, *, adamw: Collection[str] = ("decoder", "attention")
) -> TwoBills:
    """Tell the samples of each step from its updates, by learning curves at several batch sizes or rates.

    Parameters
    ----------
    curves : sequence of LearningCurves or Run, CurveTable, or mapping of columns
        Online runs: P counts samples seen. `read_curves` makes a table of a CSV file with columns batch and rate.
        A mapping has the columns ``batch``, ``rate``, ``grammar`` (a seed, or a Grammar), ``P`` and ``loss``, with
        one entry per point; ``run``, ``network`` and ``optimiser`` may be there.
    rhm : RHM, optional
        The ensemble, where columns name grammars by seeds.
    adamw : collection of str
        Labels of LearningCurves of networks that were trained by AdamW. A Run says so itself.

    Returns
    -------
    TwoBills
        Where the optimiser is ``adamw``, the runs of one rate make a series, and so do those whose rate grows as
        the square root of the batch. P* is fitted against the batch at the rate of the series; ``S_k`` are updates.

    Raises
    ------
    InputError
        For curves at one B / eta (the terms cannot be told apart), without batch or rate, with a batch larger than
        the samples of the curve, and of fixed training sets.

    Notes
    -----
    The error of ``P*`` is about the same part of it everywhere. So ``ln P*`` is fitted, per grammar, with E and tau
    at least zero. See `fitting.terms.TwoTerms` for means and intervals over grammars.

    Examples
    --------
    >>> g = RHM(v=12, m=3, s=2, L=2).grammar(seed=0)
    >>> H = g.plateaus()
    >>> P = np.geomspace(100, 1e6, 60)
    >>> def run(batch, seed):
    ...     made = (1e3 + 20 * batch) * (1 + seed / 20)
    ...     loss = H[0] - (H[0] - H[2]) / (1 + (made / P) ** 2)
    ...     return Run("own", g.rhm, f"grammar {seed}", H, batch, 1.0, P, loss)
    >>> found = two_bills([run(batch, seed) for batch in (16, 64, 256) for seed in range(4)])
    >>> round(found.series[0].steps[0].balance.best)
    50
    """
    runs = runs_of(curves, rhm, adamw)
    groups: dict[tuple[str, RHM, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.label, run.rhm, run.optimiser), []).append(run)
    series, notes = [], []
    for (label, of, _), members in groups.items():
        for name, scale, chosen in series_of(label, members):
            x = np.array([run.batch * scale / run.rate for run in chosen])
            if len(np.unique(x)) >= 2:
                series.append(bills_of(name, of, chosen, x))
            elif members[0].optimiser == "sgd":
                notes.append(f"{name} on {of} is left out: it ran at one B / eta alone")
    if not series:
        batches = sorted({run.batch for run in runs})
        raise InputError(
            "batch", batches, "is one value of `batch` / `rate` for every network",
            "add runs at another one: from one alone the samples and the updates of a step cannot be told apart",
        )  # fmt: skip
    return TwoBills(tuple(series), tuple(notes), _slopes(series))


def _slopes(series: Sequence[Bills]) -> dict[str, Estimate]:
    """Slopes over ln m of the last factor, for each network on ensembles that differ in m and v alone."""
    kinds: dict[tuple[str, int, int], dict[float, Bills]] = {}
    for one in series:
        rhm = one.rhm
        if len({(rhm.n_symbols(i), rhm.n_rules(i), rhm.n_children(i)) for i in range(1, rhm.L + 1)}) == 1:
            ladder = kinds.setdefault((one.label, rhm.n_children(1), rhm.L), {})
            ladder[rhm.m_eff(1)] = one
    out = {}
    for (label, s, L), ladder in kinds.items():
        for term, name in enumerate(("E", "tau")):
            values = {}
            for m, one in sorted(ladder.items()):
                steps = one.step(L - 2), one.step(L - 1)
                if steps[0] is None or steps[1] is None or one.factors(term)[L - 2].is_bound:
                    continue
                if np.isfinite(found := pseudo_factors(steps[0], steps[1], term)).all():
                    values[m] = found
            if len(values) >= LEAST:
                coefficients = line_coefficients(np.log(list(values))).tolist()
                out[f"{label}, s = {s}, L = {L}, {name}"] = t_estimate(list(values.values()), coefficients)
    return out


# --- tables -------------------------------------------------------------------------------------------------


def _tables(found: TwoBills) -> list[Table]:
    return [table for one in found.series for table in (_costs(one), _laws(one), _quality(one))] + [
        _slope_table(found)
    ]


def _costs(one: Bills) -> Table:
    rows = [(str(step.k), *(_cell(x) for x in (step.E, step.tau, step.balance))) for step in one.steps]
    heads = ("k", "samples E_k [95%]", f"updates {_updates(one)}", "(B/eta)_k")
    at = ", ".join(f"{x:g}" for x in one.x)
    return Table(f"{one.name}: P*_k = E_k + (B/eta) {_updates(one)}, from B/eta = {at}", heads, tuple(rows))


def _quality(one: Bills) -> Table:
    rows = []
    for step in one.steps:
        square, freedom, chance = step.fit.chi_square
        per = "-" if isnan(square) else f"{square / freedom:.1f} (p = {chance:.2f})"
        ranges = [f"{_short(min(v))} to {_short(max(v))}" for v in zip(*step.heights.values(), strict=True)]
        rows.append((str(step.k), "-" if isnan(step.misfit) else f"{step.misfit:.0%}", per, *ranges))
    heads = ("k", "misfit", "chi2 / freedom", "E_k", _updates(one))
    return Table(
        f"{one.name}: how well the sum fits (misfit of P* per degree of freedom; chi-square against the scatter "
        "of runs), and both terms with the crossing at a quarter to three quarters between plateaus",
        heads,
        tuple(rows),
    )


def _updates(one: Bills) -> str:
    return "tau_k" if one.optimiser == "sgd" else "S_k"


def _cell(estimate: Estimate) -> str:
    return str(estimate).replace("e+0", "e")


def _laws(one: Bills) -> Table:
    shared, unshared = one.prefactors("shared"), one.prefactors("unshared")
    E, tau = one.E_factors, one.tau_factors
    rows = []
    for step in one.steps:
        k = step.k
        factors = [_cell(x[k]) if k in x else "" for x in (E, tau)]
        null = f"{_short(one.lookup[k])}{'' if one.tests_a_law(k) else ' *'}"
        bound = "<= " if step.E.at_most else ""
        numbers = [f"{bound}{shared[k]:.3g}", f"{bound}{unshared[k]:.3g}", _short(one.per_entry(k))]
        rows.append((str(k), *factors, *numbers, null))
    said = "; ".join(f"{_law_factors(one, law)} {name}" for name, law in LAWS.items())
    title = (
        f"{one.name}: factors to the next step (finite-size laws of samples: {said}); E_k over these laws; "
        f"{_updates(one)} per entry of the table; samples of the look-up null (* under three times P*_k: the step "
        "tests no law)"
    )
    heads = ("k", "E factor", "tau factor", "shared", "unshared", "per entry", "null")
    return Table(title, heads, tuple(rows))


def _law_factors(one: Bills, law: str) -> str:
    P = predicted_steps(one.rhm, law, "finite_size")
    return ", ".join(_short(P[step.k + 1] / P[step.k]) for step in one.steps if step.k + 1 < len(P))


def _slope_table(found: TwoBills) -> Table:
    rows = tuple((name, str(slope)) for name, slope in found.slopes.items())
    return Table("slope of ln factor of the last step against ln m", ("network", "slope [95%]"), rows)


def _sentence(one: Bills) -> str:
    """What the next level costs, in samples and in updates."""
    last = one.steps[-1]
    parts = []
    for estimate, term in (
        (one.E_factors.get(last.k - 1), "samples"),
        (one.tau_factors.get(last.k - 1), "updates"),
    ):
        if estimate is not None and not isnan(estimate.best):
            sign = "at least " if estimate.at_least else "at most " if estimate.at_most else ""
            parts.append(f"{sign}{estimate.best:.2g} times the {term}")
    at = float(np.median(one.x))
    share = f"at B/eta = {at:g} updates make {last.updates_share(at):.0%} of its bill"
    cost = " and ".join(parts) or "an unknown number of samples and updates"
    return f"{one.name}: level {last.k} costs {cost} of level {last.k - 1}; {share}."


def _step_content(one: Bills, step: StepBill) -> dict[str, Any]:
    E, tau = step.fit.of_units()
    square, freedom, chance = step.fit.chi_square
    return {
        "k": step.k, "E": step.E, "tau": step.tau, "balance": step.balance, "misfit": step.misfit,
        "chi_square": square, "freedom": freedom, "chance": chance, "heights": step.heights,
        "left_out": step.left_out, "with_all": step.with_all, "grammars": step.fit.units, "E_of_grammars": E,
        "tau_of_grammars": tau, "x": step.fit.x, "P": np.exp(step.fit.ln_y), "per_entry": one.per_entry(step.k),
        "prefactors": {law: one.prefactors(law)[step.k] for law in LAWS}, "tests_a_law": one.tests_a_law(step.k),
    }  # fmt: skip


def _short(value: float) -> str:
    return "-" if not isfinite(value) else f"{value:.3g}".replace("e+0", "e")
