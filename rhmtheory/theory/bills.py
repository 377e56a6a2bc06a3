"""Predicted bills: the samples and the updates that each step costs a network trained online.

Equations bills-sum, bills-balance, bills-updates and bills-ratio of docs/theory_predictions.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory import formulas
from rhmtheory.ensemble.correlations import effective_numbers
from rhmtheory.ensemble.exponents import overlap_fraction
from rhmtheory.exact.updates import updates_ratio
from rhmtheory.language.rhm import RHM
from rhmtheory.support import tables
from rhmtheory.support.checks import as_int, as_numbers
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue
from rhmtheory.theory._staircase import read_plateaus, staircase_exponent, waiting
from rhmtheory.theory.laws import Law, Predicted, of_last_token

MEASURED_A = {"cnn": 13.0, "lcn": 4.7, "transformer": 21.0}
"""Samples E_k over the law's threshold: measured, not derived.

For the CNN 12 to 17 at k = 1..3. For the LCN it falls from 13 to 2 with k, so that its own law is not that of its
samples. For a decoder, under the transformer's law, 16 to 27 at k = 1, 2.
"""
MEASURED_C = {"cnn": 4.1, "lcn": 4.1}
"""Updates tau_k over the entries of the table: measured at k >= 1, not derived; spread of 25%.

Of a network trained by AdamW no law of updates is known.
"""
_GRAMMARS = 8
_PAIRS = 1 << 21
"""Pairs (context, token) of all drawn grammars together: of large languages fewer are drawn, but one at least."""


@dataclass(frozen=True, eq=False)
class PredictedBill(ByValue):
    """Samples and updates of every step of one network. Made by `bill`.

    Online, with batch B and learning rate eta, step k is made after ``E_k + (B / eta) tau_k`` samples seen.

    Attributes
    ----------
    rhm : RHM
    architecture : str
    law : Law
    batch : int
        B, sentences per update.
    rate : float
        eta, in units of the width.
    A, C : float
        Prefactors of samples and updates.
    D : array, shape (L,)
        Updates over those with weight sharing.
    E : Predicted, arrays of shape (L,), samples
        ``A`` times the threshold of the law.
    tau : array, shape (L,)
        Updates times rate, ``C D_k`` times the `table_entries`; NaN where no law is known.
    plateaus : array, shape (L + 1,), nats
    """

    rhm: RHM
    architecture: str
    law: Law
    batch: int
    rate: float
    A: float
    C: float
    D: FloatArray
    E: Predicted
    tau: FloatArray
    plateaus: FloatArray

    @property
    def P(self) -> Predicted:
        """``P*_k = E_k + (B / eta) tau_k``, samples seen at which step k is made, arrays of shape (L,)."""
        updates = self.batch / self.rate * self.tau
        return Predicted(*(waiting(E + updates) for E in (self.E.published, self.E.finite_size)))

    @property
    def balance(self) -> Predicted:
        """``(B / eta)_k = E_k / tau_k``, at which both terms are equal, arrays of shape (L,) (arXiv:1812.06162)."""
        return Predicted(self.E.published / self.tau, self.E.finite_size / self.tau)

    @property
    def few_level_exponents(self) -> dict[str, Predicted]:
        """Few-level exponents of the loss, each against one cost of the steps.

        Against ``samples`` (B -> 0), ``updates`` (B -> infinity), and samples ``seen`` at this B / eta.
        """
        costs = {"samples": self.E, "updates": Predicted(self.tau, self.tau), "seen": self.P}
        return {
            name: Predicted(*(staircase_exponent(x, self.plateaus) for x in (P.published, P.finite_size)))
            for name, P in costs.items()
        }

    @property
    def exponents(self) -> dict[str, float]:
        """Exponents of many levels, as `few_level_exponents`.

        NaN where levels differ or no law of updates is known. Of the sum the term that grows faster decides.
        """
        if not self.rhm.has_alike_levels:
            return dict.fromkeys(("samples", "updates", "seen"), nan)
        m, f = self.rhm.m_eff(1), overlap_fraction(self.rhm)
        # without sharing D_k grows by sqrt(m) in the limit: bills-ratio
        powers = {"samples": float(self.law.power), "updates": 1.5 if self.architecture == "lcn" else 1.0}
        if np.isnan(self.tau).any():
            powers["updates"] = nan
        powers["seen"] = float(np.maximum(powers["samples"], powers["updates"]))
        steps = {name: m**power for name, power in powers.items()}
        return {name: formulas.alpha(f, x) if x > 1 else inf if x == 1 else nan for name, x in steps.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        content = vars(self) | {"law": self.law.name, "P": self.P, "balance": self.balance}
        content |= {"exponents": self.exponents, "few_level_exponents": self.few_level_exponents}
        out: dict[str, Any] = plain(content)
        return out

    def tables(self) -> list[tables.Table]:
        """Return the terms of each step, and the exponents, as tables for people."""
        at = f"B/eta = {self.batch / self.rate:g}"
        updates = (
            f"tau_k = {self.C:g} D_k per entry of the table" if isfinite(self.C) else "no law of tau_k is known"
        )
        title = (
            f"{self.architecture}, online: step k is made after P*_k = E_k + (B/eta) tau_k samples seen, {at}. "
            f"Prefactors are measured or given, not derived: E_k = {self.A:g} P_k (finite-size), {updates}"
        )
        P = self.P
        columns = (self.E.finite_size, self.D, self.tau, self.balance.finite_size, P.published, P.finite_size)
        rows = [(str(k), *map(_number, row)) for k, row in enumerate(zip(*columns, strict=True))]
        heads = ("k", "E_k", "D_k", "tau_k", "(B/eta)_k", "P*_k published", "P*_k finite-size")
        names = {"samples": "samples, B -> 0", "updates": "updates, B -> inf", "seen": f"samples seen, {at}"}
        exponents = [
            (names[name], _number(self.exponents[name]), _number(few.published), _number(few.finite_size))
            for name, few in self.few_level_exponents.items()
        ]
        return [
            tables.Table(title, heads, tuple(rows)),
            tables.Table(
                "Exponent of the excess loss against",
                ("", "many levels", "few, published", "few, finite-size"),
                tuple(exponents),
            ),
        ]

    def __str__(self) -> str:
        return tables.text(self.tables())

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return tables.html(self.tables())


def _number(x: float) -> str:
    return "-" if np.isnan(x) else f"{x:.4g}"


def table_entries(rhm: RHM) -> FloatArray:
    """Return the entries of the table of each step, ``v m**(k+1)``, shape (L,): derivations of the spine.

    With unequal rules m is the effective multiplicity, one over the sum of p**2. `exact.table_entries` is that of
    one grammar.
    """
    levels = [effective_numbers(rhm, level) for level in range(1, rhm.L + 1)]
    return np.array([float(levels[k][0] * prod(m for _, m, _ in levels[: k + 1])) for k in range(rhm.L)])


def drawn_updates_ratio(rhm: RHM) -> FloatArray:
    """Return ``D_k``, updates without weight sharing over those with it, shape (L,): mean over drawn grammars.

    The mean is geometric, over up to eight grammars with seeds 0, 1, .., those that have a residual at step k.
    Where the contexts of step k are too many to be listed, or no grammar has a residual, it is the limit
    ``m**((k-1)/2)`` (bills-ratio of docs/theory_predictions.md).
    """
    out, pairs = np.ones(rhm.L), rhm.n_symbols(0) ** rhm.n_children(1)
    for k in range(2, rhm.L):
        rules = [effective_numbers(rhm, level)[1] for level in range(2, k + 1)]
        pairs *= rhm.n_symbols(k - 1) ** (rhm.n_children(k) - 1)
        grammars = max(1, min(_GRAMMARS, _PAIRS // pairs))
        found = [x for x in (_ratio(rhm, seed, k) for seed in range(grammars)) if isfinite(x)]
        out[k] = np.exp(np.mean(np.log(found))) if found else float(prod(rules)) ** 0.5
    return out


def _ratio(rhm: RHM, seed: int, k: int) -> float:
    try:
        return updates_ratio(rhm.grammar(seed=seed), k)
    except InputError:  # too many contexts, or no residual
        return nan


def bill(
    rhm: RHM,
    architecture: str | Law,
    *,
    batch: int = 128,
    rate: float = 1.0,
    plateaus: npt.ArrayLike | None = None,
    A: float | None = None,
    C: float | None = None,
    D: npt.ArrayLike | None = None,
) -> PredictedBill:
    """Predict the samples and the updates of every step of online training.

    ``E_k = A`` times the threshold of the law, ``tau_k = C D_k`` times the entries of the table. A and C are
    measured numbers, not derived ones; ratios from step to step do not depend on them.

    Parameters
    ----------
    rhm : RHM
    architecture : str or Law
        See `predict`. A law of updates is known for ``"cnn"`` and ``"lcn"``, trained by gradient descent.
    batch : int
        B, sentences per update.
    rate : float
        eta, in units of the width.
    plateaus : array of shape (L + 1,), optional
        For the exponents, in nats; by default those of `predict`.
    A, C : float, optional
        By default `MEASURED_A` and `MEASURED_C` of the architecture.
    D : array of shape (L,), optional
        Updates over those with weight sharing: `exact.updates_ratio` of one grammar. By default ones, and
        `drawn_updates_ratio` for ``"lcn"``.

    Raises
    ------
    InputError
        For a batch below one, a rate or prefactor that is not positive, and as `predict`.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> found = bill(RHM(v=12, m=3, s=2, L=4), "cnn", batch=128)
    >>> found.tau.round(), found.balance.published.round(1)
    (array([ 148.,  443., 1328., 3985.]), array([ 4.2, 12.7, 12.7, 12.7]))
    """
    name, law = of_last_token(architecture)
    batch = as_int("batch", batch, low=1)
    A = MEASURED_A.get(name, MEASURED_A["cnn"]) if A is None else A
    known = C is not None or name in MEASURED_C
    C = MEASURED_C.get(name, nan) if C is None else C
    for label, value in (("rate", rate), ("A", A), *([("C", C)] if known else [])):
        if not 0 < value < inf:
            raise InputError(label, value, "is no positive number", "give one, such as 1")
    if D is None:
        D = drawn_updates_ratio(rhm) if name == "lcn" else np.ones(rhm.L)
    ratio = as_numbers("D", D)
    if ratio.shape != (rhm.L,):
        raise InputError("D", NOT_SAID, f"has shape {ratio.shape}", f"give one ratio per step, {rhm.L}")
    steps, H = law.steps(rhm), read_plateaus(rhm, plateaus)
    E = Predicted(A * steps.published, A * steps.finite_size)
    return PredictedBill(rhm, name, law, batch, float(rate), A, C, ratio, E, C * ratio * table_entries(rhm), H)
