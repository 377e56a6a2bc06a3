"""Both bills of networks that were trained online at several batch sizes or rates."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rhmtheory import RHM
from rhmtheory.comparison import LearningCurves, TwoBills, two_bills
from rhmtheory.comparison.bill_runs import Run, series_of
from rhmvalidation.training.settings import Settings


def bills_of(curves: Iterable[tuple[str, Settings, LearningCurves]]) -> TwoBills | None:
    """Return samples and updates of every step; None where each network has one batch over rate alone.

    Parameters
    ----------
    curves : iterable of (str, Settings, LearningCurves)
        What tells networks apart, settings that all runs of a curve share, and the curve.
    """
    networks: dict[tuple[RHM, str], list[Run]] = {}
    for network, settings, one in curves:
        if settings.protocol == "online":
            networks.setdefault((one.rhm, network), []).extend(_runs(network, settings, one))
    several = [runs for (_, network), runs in networks.items() if _tells_terms_apart(network, runs)]
    return two_bills([run for runs in several for run in runs]) if several else None


def _runs(network: str, settings: Settings, curves: LearningCurves) -> list[Run]:
    out = []
    for grammar, plateaus, loss in zip(curves.grammars, curves.plateaus, curves.loss, strict=True):
        known = ~np.isnan(loss)
        out.append(
            Run(
                network, curves.rhm, grammar, plateaus, settings.batch_size, settings.learning_rate,
                curves.P[known], loss[known], settings.optimiser,
            )
        )  # fmt: skip
    return [run for run in out if len(run.P)]


def _tells_terms_apart(network: str, runs: list[Run]) -> bool:
    return any(
        len({run.batch * scale / run.rate for run in members}) > 1 for _, scale, members in series_of(network, runs)
    )
