"""Learning curves made up to have known crossings."""

import numpy as np

from rhmtheory import predict
from rhmtheory.comparison import LearningCurves, study

SIZES = np.unique(np.geomspace(10, 1e8, 400).astype(int)).astype(float)


def smooth_staircase(plateaus, P_k, sizes):
    """Curves through (P_k, geometric mean of the plateaus), power laws in between; both of shape (..., levels)."""
    H, ln_P = np.log(plateaus), np.log(P_k)
    x = np.concatenate([ln_P[..., :1] - np.log(10), ln_P, ln_P[..., -1:] + np.log(10)], axis=-1)
    y = np.concatenate([H[..., :1], (H[..., :-1] + H[..., 1:]) / 2, H[..., -1:]], axis=-1)
    rise = np.diff(x)[..., None]
    ramps = np.clip(np.log(sizes) - x[..., :-1, None], 0, rise) / rise
    return np.exp(y[..., :1] + np.sum(ramps * np.diff(y)[..., None], axis=-2))


def logistic_staircase(sizes, plateaus, P_k, width):
    """A curve whose steps are logistic functions of ln P with centres P_k, all of one width."""
    ln_P = np.log(np.reshape(sizes, (-1, 1)))
    drops = np.diff(np.log(plateaus)) / (1 + np.exp(-(ln_P - np.log(P_k)) / width))
    return plateaus[0] * np.exp(drops.sum(axis=1))


def curves(
    rhm,
    label,
    law,
    *,
    true=None,
    constant=1.0,
    grammars=4,
    runs=1,
    noise=0.0,
    sizes=SIZES,
    seed=0,
    until=None,
    **rest,
):
    """Staircases of the law ``true`` (``law`` by default), with noise in ln P_k, cut off after ``until``."""
    rng = np.random.default_rng(seed)
    P_k = predict(rhm, true or law or "lcn").P.published
    H = np.repeat([rhm.grammar(seed).plateaus() for seed in range(grammars)], runs, axis=0)
    loss = np.array(
        [smooth_staircase(h, constant * P_k * np.exp(noise * rng.standard_normal(rhm.L)), sizes) for h in H]
    )
    ends = np.full(len(H), np.inf) if until is None else np.repeat(until, len(H)) if np.ndim(until) == 0 else until
    loss[sizes > np.reshape(ends, (-1, 1))] = np.nan
    names = tuple(f"seed {seed}" for seed in range(grammars) for _ in range(runs))
    return LearningCurves(rhm, label, (law,) if law else (), names, H, sizes, loss, **rest)


def comparisons(given, **options):
    """Those of a study, in its order."""
    return list(study(given, **options).comparisons)
