"""A learning curve of one's own against theory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rhmtheory.comparison._units import LEAST_STEP
from rhmtheory.comparison.curves import LearningCurves
from rhmtheory.comparison.measurement import Measurement, measure
from rhmtheory.language.quenched import quenched_plateaus
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_choice, as_numbers
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.theory._staircase import first_step
from rhmtheory.theory.laws import ARCHITECTURES, Law

if TYPE_CHECKING:
    from rhmtheory.language.grammar import Grammar

_BELOW, _BELOW_ALL = 0.9, 0.5
"""Part of the floor of its own grammar below which no test loss falls by noise; and of the lowest drawn grammar."""
_SAMPLE = 48
"""Grammars that tell how far plateaus differ where the curve's own is not known."""
_PLACED = 0.9
"""Part of the grammars on whose step k the level of the ensemble must lie, for the step to be placed."""


def compare(
    P: npt.ArrayLike | Sequence[npt.ArrayLike],
    loss: npt.ArrayLike | Sequence[npt.ArrayLike],
    grammar: Grammar | RHM | Sequence[Grammar],
    *,
    law: str | Law | Sequence[str | Law] = "both",
    loss_error: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    label: str = "own network",
    protocol: str = "",
    batch: int | None = None,
    rate: float | None = None,
    runs_of: Sequence[str] | None = None,
    seed: int = 0,
) -> Measurement:
    """Hold a measured learning curve, from anywhere, against theory: factors, exponent, interval, verdicts.

    Parameters
    ----------
    P : array, shape (sizes,), samples; or a list of them
        Sentences (not tokens) in the training set, or seen. Increasing. Curves of different length come as lists of
        arrays, one P for each loss.
    loss : array, shape (sizes,) or (rows, sizes), nats; or a list of arrays
        Test loss of the last token given all others. NaN where there is none.
    grammar : Grammar, sequence of Grammars, or RHM
        One grammar, of which all rows are runs; one per row, where rows of the same grammar are runs of it; or,
        where the grammars are not known, their ensemble: each row counts as a grammar of its own, and the plateaus
        are means over drawn grammars. Steps whose plateaus differ too much from grammar to grammar are left out.
    law : {"both", "cnn", "lcn", "transformer"}, Law, or sequence of these
        The laws it is held against; both are ``cnn`` and ``transformer``.
    loss_error : as loss, optional
        Standard errors. With one curve alone they make the interval, by draws with this noise.
    label : str
        Name in table and figure.
    protocol : {"", "online", "offline"}
        Whether P counts samples seen, or those of a fixed training set.
    batch, rate : optional
        Sentences per update, and learning rate.
    runs_of : sequence of str, optional
        With an RHM: names that tell which rows are runs of one unknown grammar.
    seed : int
        Of the draws with noise.

    Returns
    -------
    Measurement
        With ``print``, in a notebook, ``.plot()`` and ``.to_dict()``.

    Raises
    ------
    InputError
        For sizes that do not increase, shapes that do not fit, losses that are not positive, or lie below the floor
        of the language, for an unknown law, and where no step can be placed without the grammar.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> grammar = RHM(v=16, m=4, s=2, L=3).grammar(seed=0)
    >>> P = np.geomspace(100, 1e6, 50)
    >>> found = compare(P, 2.7 * (P / 100) ** -0.2, grammar, law="cnn")
    >>> found.steps, round(found.step_factor.against("published").predicted, 9)
    ((1, 2), 4.0)
    """
    laws = _laws(law)
    as_choice("protocol", protocol, ("", "online", "offline"))
    sizes, losses, errors = _points(P, loss, loss_error)
    rhm, names, H, spread = _languages(grammar, len(losses))
    if runs_of is not None and isinstance(grammar, RHM):
        names = _named(runs_of, len(losses))
    _check_losses(losses, H, errors, spread)
    curves = LearningCurves(
        rhm, label, laws, names, H, sizes, losses, errors, protocol=protocol, batch=batch, rate=rate,
        level_spread=None if spread is None else spread[1], known=not isinstance(grammar, RHM),
    )  # fmt: skip
    return measure(curves, seed=seed)


# --- numbers --------------------------------------------------------------------------------------------


def _points(P: Any, loss: Any, loss_error: Any) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Sizes (sizes,), losses and errors (rows, sizes)."""
    if _is_list_of_curves(P):
        P, loss, loss_error = _merged(P, loss, loss_error)
    sizes, losses = as_numbers("P", P), np.atleast_2d(as_numbers("loss", loss))
    if sizes.ndim != 1 or losses.ndim != 2 or losses.shape[1] != len(sizes) or len(sizes) < 2:
        rule = f"has shape {sizes.shape} and loss {losses.shape}"
        way_out = "give two sizes or more, and one loss for each, in one row per curve"
        raise InputError("P", rule=rule, way_out=way_out)
    if not (np.isfinite(sizes).all() and (sizes > 0).all() and (np.diff(sizes) > 0).all()):
        way_out = "sort the sizes and drop repeated ones"
        raise InputError("P", rule="must be positive, finite and increasing", way_out=way_out)
    known = losses[~np.isnan(losses)]
    if not (np.isfinite(known).all() and (known >= 0).all()):
        way_out = "give nats, and NaN where there is none"
        raise InputError("loss", rule="holds values that are infinite or not positive", way_out=way_out)
    if np.isnan(losses).all(axis=1).any():
        raise InputError("loss", rule="has a row without any number", way_out="leave that row out")
    errors = None if loss_error is None else np.atleast_2d(as_numbers("loss_error", loss_error))
    if errors is not None and (errors.shape != losses.shape or not _are_errors(errors[~np.isnan(losses)])):
        rule = f"must hold standard errors: one finite number, not negative, for each loss, {losses.shape}"
        raise InputError("loss_error", rule=rule)
    return sizes, losses, errors


def _is_list_of_curves(P: Any) -> bool:
    return (
        isinstance(P, (list, tuple))
        and len(P) > 0
        and all(np.ndim(one) == 1 for one in P if _is_sized(one))
        and all(map(_is_sized, P))
    )


def _is_sized(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str)


def _merged(P: Any, loss: Any, loss_error: Any) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Curves of different length on all sizes together, NaN where a curve has none."""
    given = [list(P), list(loss)] + ([] if loss_error is None else [list(loss_error)])
    lengths = [[len(one) if _is_sized(one) else 1 for one in part] for part in given]
    if any(length != lengths[0] for length in lengths):
        rule = f"holds curves of {lengths[0]} sizes, and loss of {lengths[1]}"
        raise InputError("P", rule=rule, way_out="give one loss for each size, curve by curve")
    sizes = np.array(sorted({float(x) for one in P for x in as_numbers("P", one)}))
    rows = np.full((len(given) - 1, len(P), len(sizes)), np.nan)
    for i, one in enumerate(P):
        x = as_numbers("P", one)
        if not (np.diff(x) > 0).all():
            way_out = "sort the sizes and drop repeated ones"
            raise InputError("P", rule="must be positive, finite and increasing", way_out=way_out)
        for part, values in zip(rows, given[1:], strict=True):
            part[i, np.searchsorted(sizes, x)] = as_numbers("loss", values[i])
    return sizes, rows[0], rows[1] if loss_error is not None else None


def _are_errors(x: FloatArray) -> bool:
    # what is added to a loss or squared may not overflow
    return bool(((x >= 0) & (x < 1e150)).all())


def _laws(law: str | Law | Sequence[str | Law]) -> tuple[str | Law, ...]:
    laws = ("cnn", "transformer") if law == "both" else (law,) if isinstance(law, (str, Law)) else tuple(law)
    for one in laws:
        if not isinstance(one, Law):
            as_choice("law", one, (*ARCHITECTURES, "both"))
    return laws


# --- languages ------------------------------------------------------------------------------------------


def _languages(grammar: Any, rows: int) -> tuple[RHM, tuple[str, ...], FloatArray, tuple[float, FloatArray] | None]:
    """Ensemble, names of the grammars, plateaus of each row; of an ensemble, its lowest floor and spread of
    levels."""
    from rhmtheory.language.grammar import Grammar

    if isinstance(grammar, RHM):
        H, lowest, spread = _ensemble(grammar)
        return grammar, tuple(f"row {i}" for i in range(rows)), np.tile(H, (rows, 1)), (lowest, spread)
    grammars = [grammar] * rows if isinstance(grammar, Grammar) else list(grammar)
    if not all(isinstance(one, Grammar) for one in grammars):
        raise InputError("grammar", rule="must be a Grammar, a list of them (one per row of loss), or an RHM")
    if len(grammars) != rows:
        rule = f"{len(grammars)} grammars for {rows} rows of loss"
        raise InputError("", rule=rule, way_out="give one per row, or one for all")
    if len({one.rhm for one in grammars}) > 1:
        way_out = "compare the curves of each ensemble by themselves"
        raise InputError("the grammars", rule="are of different ensembles", way_out=way_out)
    plateaus = {one.fingerprint: one.plateaus() for one in grammars}
    names = tuple(f"grammar {one.fingerprint[:8]}" for one in grammars)
    return grammars[0].require_rhm(), names, np.array([plateaus[one.fingerprint] for one in grammars]), None


def _ensemble(rhm: RHM) -> tuple[FloatArray, float, FloatArray]:
    """Mean plateaus over drawn grammars, their lowest floor, and the spread of ln levels: see `LearningCurves`."""
    drawn = quenched_plateaus(rhm, _SAMPLE).values
    H = drawn.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.sqrt(H[:-1] * H[1:])
        inside = (drawn[:, 1:] < level) & (level < drawn[:, :-1])
        spread = np.log(np.sqrt(drawn[:, :-1] * drawn[:, 1:])).std(axis=0, ddof=1)
    steps = (H[1:] > 0) & (H[:-1] > H[1:] * np.exp(LEAST_STEP))
    placed = steps & (inside.mean(axis=0) >= _PLACED) & np.isfinite(spread)
    first = first_step(rhm.L)
    if placed[first:].sum() < 2 <= steps[first:].sum():
        rule = f"{rhm} has plateaus that differ too much from grammar to grammar to place two steps of a curve"
        raise InputError("", rule=rule, way_out="name the grammar of each curve")
    return H, float(drawn[:, -1].min()), np.where(placed, spread, np.nan)


def _named(runs_of: Sequence[str], rows: int) -> tuple[str, ...]:
    if len(runs_of) != rows:
        raise InputError(
            "runs_of", rule=f"has {len(runs_of)} names for {rows} rows of loss", way_out="give one per row"
        )
    return tuple(map(str, runs_of))


def _check_losses(
    loss: FloatArray, H: FloatArray, errors: FloatArray | None, spread: tuple[float, FloatArray] | None
) -> None:
    floor = H[:, -1:] if spread is None else np.full((len(loss), 1), spread[0])
    low = loss + (3 * errors if errors is not None else 0) < (_BELOW if spread is None else _BELOW_ALL) * floor
    if low.any():
        row = int(np.flatnonzero(low.any(axis=1))[0])
        rule = (
            f"of row {row} comes down to {np.nanmin(loss[row]):.4g} nats, below the entropy of its language, "
            f"{floor[row, 0]:.4g}, and no predictor does that"
        )
        way_out = "is it the wrong grammar, or not the loss of the last token in nats?"
        raise InputError("the loss", rule=rule, way_out=way_out)
