"""A learning curve of one's own against theory: from arrays, or from a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rhmtheory.comparison.curves import LearningCurves
from rhmtheory.comparison.measurement import Measurement, measure
from rhmtheory.language.quenched import usual_plateaus
from rhmtheory.language.rhm import RHM
from rhmtheory.support.checks import as_choice, as_numbers
from rhmtheory.support.errors import InputError
from rhmtheory.support.types import FloatArray
from rhmtheory.theory import ARCHITECTURES
from rhmtheory.tree.tables import Tables

if TYPE_CHECKING:
    from rhmtheory.language.grammar import Grammar

_BELOW = 0.9
"""Part of the floor of its own grammar below which no test loss falls by noise."""
_BELOW_MEAN = 0.6
"""The same where only the floor of the ensemble is known, from which that of a grammar may differ by a quarter."""


def compare_curve(
    P: npt.ArrayLike,
    loss: npt.ArrayLike,
    grammar: Grammar | RHM | Sequence[Grammar],
    law: str | Sequence[str] = "both",
    *,
    loss_error: npt.ArrayLike | None = None,
    label: str = "own network",
    seed: int = 0,
) -> Measurement:
    """Hold a learning curve, whoever measured it, against theory: factors, exponent, interval, verdicts.

    Parameters
    ----------
    P : array, shape (sizes,), samples
        Increasing: training-set sizes, or samples seen.
    loss : array, shape (sizes,) or (rows, sizes), nats
        Test loss of the last token given all others. NaN where there is none.
    grammar : Grammar, sequence of Grammars, or RHM
        One grammar, of which all rows are runs; one per row, where rows of the same grammar are runs of it; or,
        where the grammars are not known, their ensemble: each row counts as a grammar of its own, and the plateaus
        are those of the ensemble, by `quenched.usual_plateaus`.
    law : {"both", "cnn", "lcn", "transformer"} or sequence of the latter three
        The learners whose laws it is held against; both are ``cnn`` and ``transformer``.
    loss_error : array, shape of loss, nats, optional
        Standard errors. With one curve alone they make the interval, by draws with this noise (``seed``).
    label : str
        Name in table and figure.
    seed : int
        Of these draws.

    Returns
    -------
    Measurement
        With ``print``, in a notebook, ``.plot()`` and ``.to_dict()``.

    Raises
    ------
    InputError
        For sizes that do not increase, shapes that do not fit, losses that are not positive, or lie below the floor
        of the language, and for an unknown law.

    Examples
    --------
    >>> from rhmtheory import RHM
    >>> grammar = RHM(v=16, m=4, s=2, L=3).grammar(seed=0)
    >>> P = np.geomspace(100, 1e6, 50)
    >>> found = compare_curve(P, 2.7 * (P / 100) ** -0.2, grammar, "cnn")
    >>> found.steps, round(found.step_factor.against("published").predicted, 9)
    ((1, 2), 4.0)
    """
    sizes, losses = as_numbers("P", P), np.atleast_2d(as_numbers("loss", loss))
    if sizes.ndim != 1 or losses.ndim != 2 or losses.shape[1] != len(sizes) or len(sizes) < 2:
        raise InputError(
            f"P has shape {sizes.shape} and loss {losses.shape}: give two sizes or more, and one loss for each, "
            "in one row per curve"
        )
    if not (np.isfinite(sizes).all() and (sizes > 0).all() and (np.diff(sizes) > 0).all()):
        raise InputError("P must be positive, finite and increasing: sort the sizes and drop repeated ones")
    known = losses[~np.isnan(losses)]
    if not (np.isfinite(known).all() and (known > 0).all()):
        raise InputError(
            "loss holds values that are infinite or not positive: give nats, and NaN where there is none"
        )
    if np.isnan(losses).all(axis=1).any():
        raise InputError("loss has a row without any number: leave that row out")
    errors = None if loss_error is None else np.atleast_2d(as_numbers("loss_error", loss_error))
    if errors is not None and (errors.shape != losses.shape or not _are_errors(errors[~np.isnan(losses)])):
        raise InputError(
            f"loss_error must hold standard errors: one finite number, not negative, for each loss, {losses.shape}"
        )
    rhm, names, H = _languages(grammar, len(losses))
    _check_floor(losses, H, errors, alone=isinstance(grammar, RHM))
    laws = _laws(law)
    curves = LearningCurves(rhm, label, laws, names, H, sizes, losses, errors, known=not isinstance(grammar, RHM))
    return measure(curves, seed=seed)


def _are_errors(x: FloatArray) -> bool:
    # what is added to a loss or squared may not overflow
    return bool(((x >= 0) & (x < 1e150)).all())


def _laws(law: str | Sequence[str]) -> tuple[str, ...]:
    laws = ("cnn", "transformer") if law == "both" else (law,) if isinstance(law, str) else tuple(law)
    for one in laws:
        as_choice("law", one, (*ARCHITECTURES, "both"))
    return laws


def _languages(grammar: Grammar | RHM | Sequence[Grammar], rows: int) -> tuple[RHM, tuple[str, ...], FloatArray]:
    """Ensemble, names of the grammars and plateaus of each row."""
    if isinstance(grammar, RHM):
        return grammar, tuple(f"row {i}" for i in range(rows)), np.tile(usual_plateaus(grammar), (rows, 1))
    grammars = [grammar] * rows if isinstance(grammar, Tables) else list(grammar)
    if not all(isinstance(one, Tables) for one in grammars):
        raise InputError("grammar must be a Grammar, a list of them (one per row of loss), or an RHM")
    if len(grammars) != rows:
        raise InputError(f"{len(grammars)} grammars for {rows} rows of loss: give one per row, or one for all")
    if len({one.rhm for one in grammars}) > 1:
        raise InputError(
            "the grammars are of different ensembles: compare the curves of each ensemble by themselves"
        )
    plateaus = {one.fingerprint: one.plateaus() for one in grammars}
    names = tuple(f"grammar {one.fingerprint[:8]}" for one in grammars)
    return grammars[0].require_rhm(), names, np.array([plateaus[one.fingerprint] for one in grammars])


def _check_floor(loss: FloatArray, H: FloatArray, errors: FloatArray | None, *, alone: bool) -> None:
    floor = (_BELOW_MEAN if alone else _BELOW) * H[:, -1:]
    low = loss + (3 * errors if errors is not None else 0) < floor
    if low.any():
        row = int(np.flatnonzero(low.any(axis=1))[0])
        raise InputError(
            f"the loss of row {row} comes down to {np.nanmin(loss[row]):.4g} nats, below the entropy of its "
            f"language, {H[row, -1]:.4g}, and no predictor does that: is it the wrong grammar, or not the loss of "
            "the last token in nats?"
        )


@dataclass(frozen=True, eq=False)
class CurveTable:
    """Learning curves read from a CSV file: one row per grammar and run. Made by `read_curves`."""

    grammars: tuple[str, ...]
    """The entry of the column ``grammar`` of each row; empty text where there is no such column."""
    P: FloatArray
    loss: FloatArray
    loss_error: FloatArray | None


def read_curves(path: str | os.PathLike[str]) -> CurveTable:
    """Read columns ``P`` and ``loss``, and ``grammar``, ``run``, ``error`` where they are there, from a CSV file.

    Raises
    ------
    InputError
        For missing columns (they are named), entries that are not numbers, and two losses of one curve at one P.

    The file at ``path`` is UTF-8 text.
    """
    points: dict[tuple[str, str], dict[float, tuple[float, float]]] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            if missing := [name for name in ("P", "loss") if name not in columns]:
                raise InputError(
                    f"{path} lacks the column {' and '.join(missing)}: its first line must name P and loss, may "
                    f"name grammar, run and error; it names {', '.join(columns) or 'nothing'}"
                )
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                P, loss = _entry(where, "P", row), _entry(where, "loss", row)
                error = _entry(where, "error", row) if "error" in columns else 0.0
                curve = points.setdefault(((row.get("grammar") or "").strip(), (row.get("run") or "").strip()), {})
                if P in curve:
                    raise InputError(
                        f"{where}: a second loss at P={P:g}: tell the curves apart by columns grammar or run"
                    )
                curve[P] = loss, error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: save it as such ({error})") from None
    if not points:
        raise InputError(f"{path} has no rows below its heads: add one per point of the curve")
    for curve in points.values():
        if list(curve) != sorted(curve):
            raise InputError(f"P in {path} does not increase along a curve: sort the lines by P")
    sizes = sorted({P for curve in points.values() for P in curve})
    values = np.array([[curve.get(P, (np.nan, np.nan)) for P in sizes] for curve in points.values()])
    names = tuple(grammar for grammar, _ in points)
    return CurveTable(names, np.array(sizes), values[..., 0], values[..., 1] if "error" in columns else None)


def _entry(where: str, name: str, row: dict[str, str]) -> float:
    try:
        return float(row[name])
    except (TypeError, ValueError):
        raise InputError(f"{where}: {name}={row[name]!r} is not a number") from None


def grammars_of(
    table: CurveTable, rhm: RHM, named: Grammar | None, draw: Callable[[str], Grammar]
) -> list[Grammar] | RHM:
    """The grammar of each row: the one named, or by the column of the file, or the ensemble where neither is given.

    Raises `InputError` where one grammar is named and the file has curves of several.

    ``table`` is what `read_curves` read, ``rhm`` the ensemble, and ``draw`` makes a grammar from a seed.
    """
    entries = list(dict.fromkeys(table.grammars))
    if named is not None:
        if len(entries) > 1:
            raise InputError(
                f"one grammar is named, but the file has curves of {len(entries)}: leave that option out, and give "
                "seeds or .npz files in the column grammar"
            )
        return [named] * len(table.grammars)
    if entries == [""]:
        return rhm
    drawn = {entry: draw(entry) for entry in entries}
    return [drawn[entry] for entry in table.grammars]
