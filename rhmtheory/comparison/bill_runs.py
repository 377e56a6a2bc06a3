"""Runs at several batch sizes and rates: what they were trained with, and where they cross."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import Any

import numpy as np

from rhmtheory.comparison._units import step_crossings
from rhmtheory.comparison.curves import LearningCurves
from rhmtheory.comparison.reading import CurveTable
from rhmtheory.language.rhm import RHM
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue

_COLUMNS = ("batch", "rate", "grammar", "P", "loss")


@dataclass(frozen=True, eq=False)
class Run(ByValue):
    """One learning curve of one run, and what it was trained with.

    Attributes
    ----------
    label : str
        The network.
    rhm : RHM
    grammar : str
        Name of its grammar.
    plateaus : array, shape (L + 1,), nats
        Exact ``H_k`` of that grammar.
    batch : int
    rate : float
    P : array, shape (points,), samples
        Samples seen.
    loss : array, shape (points,), nats
        Test loss.
    optimiser : str
        ``sgd``: B / eta is the variable. ``adamw``: rates are compared only within a series, see `two_bills`.
    """

    label: str
    rhm: RHM
    grammar: str
    plateaus: FloatArray
    batch: float
    rate: float
    P: FloatArray
    loss: FloatArray
    optimiser: str = "sgd"

    def crossings(self, height: float) -> FloatArray:
        """Return the samples at which the loss crosses each step at this height, shape (L,); NaN for none.

        Parameters
        ----------
        height : float
            0 at the upper plateau, 1 at the lower.
        """
        made: FloatArray = step_crossings(self.P, self.loss[None], self.plateaus[None], height).at[0]
        return made


Curves = Sequence[LearningCurves | Run] | CurveTable | Mapping[str, Sequence[Any]]
"""Forms that `two_bills` takes."""


def runs_of(curves: Curves, rhm: RHM | None, adamw: Collection[str]) -> list[Run]:
    """Return the runs of curves, a file, or columns; raises `InputError` for those that tell no bill.

    Parameters
    ----------
    curves, rhm, adamw
        As in `two_bills`.
    """
    runs: list[Run] = []
    if isinstance(curves, CurveTable):
        curves = _columns_of(curves)
    for one in _read_columns(curves, rhm) if isinstance(curves, Mapping) else curves:
        runs += [one] if isinstance(one, Run) else _of_curves(one, adamw)
    if not runs:
        raise InputError("curves", rule="holds no run", way_out="give learning curves at two batch sizes at least")
    for run in runs:
        for name in ("batch", "rate"):
            value = getattr(run, name)
            if not (value is not None and isfinite(value) and value > 0):
                raise InputError(
                    name, value, f"of a run of {run.label} is not known",
                    f"say at which {name} each curve was measured: the variable is `batch` / `rate`",
                )  # fmt: skip
        if run.batch > run.P.max():
            raise InputError(
                "batch", run.batch, f"is larger than all {run.P.max():g} samples of a run of {run.label}",
                "P must count samples seen, not updates, and the batch its samples",
            )  # fmt: skip
    return runs


def _of_curves(curves: LearningCurves, adamw: Collection[str]) -> list[Run]:
    if curves.protocol == "offline":
        raise InputError(
            "curves", rule=f"of {curves.name} are of fixed training sets, whose P* counts samples alone",
            way_out="give online runs, in which P counts the samples seen",
        )  # fmt: skip
    rows = []
    batch, rate = curves.batch or nan, curves.rate or nan
    optimiser = "adamw" if curves.label in adamw else "sgd"
    for grammar, H, loss in zip(curves.grammars, curves.plateaus, curves.loss, strict=True):
        known = ~np.isnan(loss)
        if known.any():
            rows.append(
                Run(curves.label, curves.rhm, grammar, H, batch, rate, curves.P[known], loss[known], optimiser)
            )
    return rows


def _columns_of(table: CurveTable) -> dict[str, list[Any]]:
    """Long columns of the curves of a file."""
    row, at = np.nonzero(~np.isnan(table.loss))
    unknown = (nan,) * len(table.grammars)
    of_rows = {"batch": table.batch or unknown, "rate": table.rate or unknown, "grammar": table.grammars}
    columns: dict[str, list[Any]] = {name: [values[i] for i in row] for name, values in of_rows.items()}
    return columns | {"run": row.tolist(), "P": table.P[at].tolist(), "loss": table.loss[row, at].tolist()}


def _read_columns(columns: Mapping[str, Sequence[Any]], rhm: RHM | None) -> list[Run]:
    """Runs of a long table: one row per point."""
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise InputError(
            "curves", rule=f"lacks the column {' and '.join(missing)}",
            way_out="give batch, rate, grammar, P and loss of every point",
        )  # fmt: skip
    count = len(columns["P"])
    fill: dict[str, Sequence[Any]] = {"run": [""] * count, "network": ["own network"] * count}
    rows = {**fill, "optimiser": ["sgd"] * count, **columns}
    keys = ("network", "optimiser", "batch", "rate", "grammar", "run")
    points: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for i in range(count):
        points.setdefault(tuple(rows[key][i] for key in keys), []).append((rows["P"][i], rows["loss"][i]))
    drawn: dict[Any, Any] = {}
    runs = []
    for (network, optimiser, batch, rate, name, _), curve in points.items():
        if name not in drawn:
            drawn[name] = _grammar(name, rhm)
            drawn[name] = drawn[name], drawn[name].plateaus()
        grammar, H = drawn[name]
        P, loss = np.array(sorted(curve), float).T
        ensemble = grammar.require_rhm()
        runs.append(Run(network, ensemble, f"{name}", H, float(batch), float(rate), P, loss, optimiser))
    return runs


def _grammar(name: Any, rhm: RHM | None) -> Any:
    if hasattr(name, "plateaus"):
        return name
    try:
        seed = int(name)
    except ValueError:
        raise InputError("grammar", name, "is neither a Grammar nor a seed", "give one of them") from None
    if rhm is None:
        raise InputError("rhm", rule="is needed where grammars are named by seeds", way_out="give the ensemble")
    return rhm.grammar(seed=seed)


def series_of(label: str, runs: list[Run]) -> list[tuple[str, float, list[Run]]]:
    """Return name, rate that x is in units of, and runs of each series.

    Parameters
    ----------
    label : str
        The network.
    runs : list of Run
    """
    if runs[0].optimiser == "sgd":
        return [(label, 1.0, runs)]
    out = []
    for rate in sorted({run.rate for run in runs}):
        out.append((f"{label}, rate {rate:g}", rate, [run for run in runs if run.rate == rate]))
    scaled: dict[float, list[Run]] = {}
    for run in runs:
        scaled.setdefault(float(f"{run.rate / sqrt(run.batch):.3g}"), []).append(run)
    middle = float(np.median([run.batch for run in runs]))
    for members in scaled.values():
        if len({run.rate for run in members}) > 1:
            rate = float(np.median([run.rate * sqrt(middle / run.batch) for run in members]))
            out.append((f"{label}, rate {rate:.2g} sqrt(B / {middle:g})", rate, members))
    return out
