"""The learning curve that theory predicts for a network: its steps, its plateaus, and the exponents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rhmtheory import formulas
from rhmtheory.language.rhm import RHM
from rhmtheory.support import tables
from rhmtheory.support.checks import as_numbers
from rhmtheory.support.errors import NOT_SAID, InputError
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray
from rhmtheory.support.values import ByValue
from rhmtheory.theory._staircase import read_plateaus, staircase_exponent
from rhmtheory.theory.bills import PredictedBill, bill
from rhmtheory.theory.laws import Law, Predicted, of_last_token


@dataclass(frozen=True, eq=False)
class Prediction(ByValue):
    """Predicted learning curve of one law on one ensemble. Made by `predict`; its arrays are read-only.

    Attributes
    ----------
    rhm : RHM
    architecture : str
        The architecture that was asked for, or the name of the law.
    law : Law
    P : Predicted, arrays of shape (L,), samples
        ``P_k``, k = 0..L-1: with ``P_k`` samples hidden level k is learnt (k = 0: the tokens of the last
        tuple), and the loss falls from ``H_k`` to ``H_(k+1)``. Orders of magnitude, with prefactor one. A step
        waits for those before it: see `Law.steps`.
    plateaus : array, shape (L + 1,), nats
        ``H_k``.
    step_factor : float
        ``P_(k+1) / P_k`` for k >= 1 in the limit of large v, ``m**law.power``. NaN where levels differ.
    exponent : float
        ``alpha`` of ``loss - floor ~ P**-alpha`` in the limit of large v and many levels: see `Law.exponent`.
    few_level_exponent : Predicted, floats
        The slope that this staircase shows with its few levels: see `staircase_exponent`.
    bill : PredictedBill or None
        Samples and updates of each step of online training, where a batch was given.
    """

    rhm: RHM
    architecture: str
    law: Law
    P: Predicted
    plateaus: FloatArray
    step_factor: float
    exponent: float
    few_level_exponent: Predicted
    bill: PredictedBill | None = None

    def loss(self, P: npt.ArrayLike, *, finite_size: bool = False) -> Any:
        """Predicted loss in nats with P samples: the staircase that drops to ``H_(k+1)`` at ``P_k``.

        Parameters
        ----------
        P : number or array, samples
        finite_size : bool
            Whether the steps are those of the finite-size prediction, instead of the published one.

        Returns
        -------
        float or array of the shape of P

        Raises
        ------
        InputError
            For a negative number of samples, and for finite-size steps without a closed form.
        """
        P = as_numbers("P", P)
        if not (P >= 0).all():
            raise InputError("P", P, "must be a number of samples, zero or more")
        steps = self.P.finite_size if finite_size else self.P.published
        if np.isnan(steps).any():
            raise InputError(
                "finite_size", True, f"is not known for the law {self.law.name!r}", "use the published steps"
            )
        return self.plateaus[np.searchsorted(steps, P, side="right")][()]

    def plot(self, ax: Any = None, *, finite_size: bool = False) -> Any:
        """Draw the staircase of the loss into matplotlib axes: see `plotting.plot_predictions`.

        Parameters
        ----------
        ax : Axes, optional
            By default those of a new figure.
        finite_size : bool
            Whether the steps are those of the finite-size prediction.
        """
        from rhmtheory.plotting import plot_predictions

        return plot_predictions([self], ax, finite_size=finite_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON; what is infinite or undefined is None."""
        fraction = self.rhm.f if self.rhm.has_alike_levels else None
        content = {name: value for name, value in vars(self).items() if name != "law"}
        content |= {
            "law": self.law.name,
            "bill": self.bill and self.bill.to_dict(),
            "rhm": plain(self.rhm) | {"d": self.rhm.d, "f": fraction},
        }
        out: dict[str, Any] = plain(content)
        return out

    def to_frame(self) -> Any:
        """Return a pandas DataFrame, one line per step; raises `ResourceError` where pandas is not installed."""
        H, P = self.plateaus, self.P
        names = "k", "H_before", "H_after", "P_published", "P_finite_size"
        columns = range(len(H) - 1), H[:-1], H[1:], P.published, P.finite_size
        return tables.frame([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])

    def __repr__(self) -> str:
        steps = ", ".join(f"{P:.3g}" for P in self.P.published)
        return f"<Prediction {self.architecture} on {self.rhm}: P_k = {steps}; exponent {self.exponent:.4g}>"

    def _tables(self) -> list[tables.Table]:
        H = self.plateaus
        title = f"{self.architecture} on {self.rhm}: samples P_k of step k, and loss (nats) before and after"
        steps = zip(H, H[1:], self.P.published, self.P.finite_size, strict=False)
        rows = [(str(k), f"{a:.4f}", f"{b:.4f}", f"{P:.4g}", _number(Q)) for k, (a, b, P, Q) in enumerate(steps)]
        few = self.few_level_exponent
        factor = f"{self.law.step_text} = {self.step_factor:.4g}"
        slopes = (
            _number(x, ".4f") if np.isfinite(P).any() else "no step"  # with f = 1 nothing can be learnt
            for x, P in ((few.published, self.P.published), (few.finite_size, self.P.finite_size))
        )
        exponents = f"{self.exponent:.4f}", *slopes
        heads = "factor per level", "many levels", "few, published", "few, finite-size"
        return [
            tables.Table(title, ("k", "H_k", "H_(k+1)", "P_k published", "P_k finite-size"), tuple(rows)),
            tables.Table("Excess loss ~ P**-exponent: many levels, and these few", heads, ((factor, *exponents),)),
            *(self.bill.tables() if self.bill else ()),
        ]

    def __str__(self) -> str:
        return tables.text(self._tables())

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return tables.html(self._tables())


def _number(x: float, form: str = ".4g") -> str:
    return "no closed form" if np.isnan(x) else format(x, form)


def predict(
    rhm: RHM,
    architecture: str | Law,
    *,
    plateaus: str | npt.ArrayLike | None = None,
    batch: int | None = None,
    rate: float = 1.0,
) -> Prediction:
    """Predict the learning curve of last-token prediction, published and finite-size side by side.

    Parameters
    ----------
    rhm : RHM
    architecture : str or Law
        ``"transformer"`` (attention only), ``"lcn"`` (locally connected network), ``"cnn"`` (convolutional
        network); or a law of `LAWS`, by its name; or one of your own.
    plateaus : str or array of shape (L + 1,), optional
        Method of `RHM.plateaus`, or the plateaus themselves (those of one grammar, say), in nats. By default
        `quenched.usual_plateaus`: ``"chain"``, or the mean over drawn grammars where rules are not equally likely.
    batch, rate : int and float, optional
        Of online training, the rate in units of the width. With a batch the prediction has a `bill`: the samples
        and the updates of each step. Its prefactors are measured; for other ones see `theory.bill`.

    Raises
    ------
    InputError
        For an unknown architecture, a law of another task than the last token, plateaus that are not L + 1 numbers,
        ``P_k`` beyond 1e308, and for the `Grammar.rhm` of a grammar whose symbols weigh their rules each in its own
        way.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> rhm = RHM(v=16, m=4, s=2, L=4)
    >>> predict(rhm, "transformer").exponent, predict(rhm, "cnn").exponent
    (0.5, 1.0)
    >>> print(predict(rhm, "cnn"))
    cnn on RHM(v=16, m=4, s=2, L=4): samples P_k of step k, and loss (nats) before
    and after
    ...
    """
    name, law = of_last_token(architecture)
    P, H = law.steps(rhm), read_plateaus(rhm, plateaus)
    return Prediction(
        rhm=rhm,
        architecture=name,
        law=law,
        P=P,
        plateaus=H,
        step_factor=law.step_factor(rhm),
        exponent=law.exponent(rhm),
        few_level_exponent=Predicted(*(staircase_exponent(x, H) for x in (P.published, P.finite_size))),
        bill=None if batch is None else bill(rhm, architecture, batch=batch, rate=rate, plateaus=H),
    )


def corpus_exponent(beta: float, gamma: float) -> float:
    """Data-limited exponent ``alpha = gamma / (2 beta)`` from two statistics of a corpus (arXiv:2602.07488).

    With `RHM.beta` and `RHM.gamma` it is that of the transformer.

    Parameters
    ----------
    beta, gamma : float
        Decay of correlations with distance, and of the entropy of a token with the length of its context; positive.

    Raises
    ------
    InputError
        For exponents that are not positive.
    """
    if not (beta > 0 and gamma > 0):
        raise InputError(f"beta={beta} and gamma={gamma}", NOT_SAID, "must be positive", "nothing decays otherwise")
    return float(formulas.corpus_alpha(beta, gamma))
