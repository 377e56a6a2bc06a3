"""Many predictions at once: over a grid of ensembles, and of all laws on one ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import isnan, nan
from typing import Any

import numpy as np

from rhmtheory.language.rhm import RHM
from rhmtheory.support import tables
from rhmtheory.support.json import plain
from rhmtheory.theory.laws import ARCHITECTURES, LAWS, Law
from rhmtheory.theory.prediction import predict


@dataclass(frozen=True)
class Rows:
    """Rows of named values, which print as a table.

    Attributes
    ----------
    title : str
    rows : tuple of dict
        The same names in each.
    """

    title: str
    rows: tuple[dict[str, Any], ...]

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one line per row.

        Raises
        ------
        ResourceError
            Where pandas is not installed.
        """
        return tables.frame(self.rows, "rows")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        out: dict[str, Any] = plain({"title": self.title, "rows": self.rows})
        return out

    def _table(self) -> tables.Table:
        columns = tuple(self.rows[0]) if self.rows else ()
        return tables.Table(self.title, columns, tuple(tuple(map(_cell, row.values())) for row in self.rows))

    def __str__(self) -> str:
        return tables.text([self._table()])

    def _repr_html_(self) -> str:
        """Table for notebooks."""
        return tables.html([self._table()])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if isnan(value) else f"{value:.4g}"
    return str(value)


def predictions(
    *,
    v: Any,
    m: Any,
    s: Any = 2,
    L: Any,
    n: int | None = None,
    architectures: Sequence[str | Law] = tuple(ARCHITECTURES),
) -> Rows:
    """Predict every step of every combination of parameters.

    Parameters
    ----------
    v, m, s, L : int, tuple, or list of these
        As for `RHM`: a tuple is one value per level. A list holds several values, and all combinations are made.
    n : int, optional
        Number of root symbols; by default v.
    architectures : sequence of str or Law, optional
        See `predict`.

    Returns
    -------
    Rows
        One row per ensemble, architecture and step: ``P_published`` and ``P_finite_size`` (samples), ``H_before``
        and ``H_after`` (nats), and the exponent of many levels ``alpha``.

    Raises
    ------
    InputError
        For a combination that is no ensemble, and as `predict`.

    Examples
    --------
    >>> found = predictions(v=[8, 16], m=[2, 4], s=2, L=3, architectures=["cnn"])
    >>> len(found.rows), found.rows[0]["k"], round(found.rows[0]["P_published"], 2)
    (12, 0, 21.33)
    """
    rows = []
    grid = product(*(x if isinstance(x, list | np.ndarray) else [x] for x in (v, m, s, L)))
    for rhm in [RHM(v=v, m=m, s=s, L=L, n=n) for v, m, s, L in grid]:
        plateaus = None
        for architecture in architectures:
            found = predict(rhm, architecture, plateaus=plateaus)
            plateaus = found.plateaus
            for k in range(rhm.L):
                shape = {"v": rhm.v, "m": rhm.m, "s": rhm.s, "L": rhm.L, "architecture": found.architecture, "k": k}
                P = {"P_published": float(found.P.published[k]), "P_finite_size": float(found.P.finite_size[k])}
                H = {"H_before": float(plateaus[k]), "H_after": float(plateaus[k + 1])}
                rows.append(shape | P | H | {"alpha": found.exponent})
    return Rows("samples of each step, loss (nats) before and after, exponent of many levels", tuple(rows))


def laws_table(rhm: RHM, *, laws: Iterable[Law] = tuple(LAWS.values())) -> Rows:
    """Return the samples of every law at every hidden level: by what is predicted and how tuples are read.

    Parameters
    ----------
    rhm : RHM
    laws : iterable of Law, optional
        By default all of `LAWS`.

    Returns
    -------
    Rows
        Per law and k: the ``target`` level, the level of the symbols whose tuples are read (``tuples_of``: 0 for
        tokens), the ``context`` level that is known, the number of rules ``r``, and the samples ``published``
        and ``finite_size`` (NaN without a closed form).

    Raises
    ------
    InputError
        Where samples exceed 1e308.
    """
    rows = []
    for law in laws:
        for k in range(rhm.L):
            context = 0 if law.context_level is None else law.context_level(k)
            tuples_of = law.side_level(k) - 1 if law.tuples(k) else "-"
            ends = {"target": law.target_level(k), "tuples_of": tuples_of, "context": context}
            finite = law.finite_size(rhm, k)
            P = {"published": law.published(rhm, k), "finite_size": nan if finite is None else finite}
            rows.append({"law": law.name, "k": k, **ends, "r": len(law.path(k)), **P})
    return Rows(f"{rhm}: samples P_k of each law, by levels of target, tuples and context", tuple(rows))
