"""Runs made with the authors' published training code, read from its ``.pt`` files.

Such a file holds ``{"config": namespace, "output": {"rules", "best", "dynamics", ...}}``: the arguments of the run,
the rule tables from the root down, and the test losses along training (``t``, ``testloss``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rhmtheory import Grammar, InputError
from rhmtheory.comparison import LearningCurves
from rhmtheory.support.checks import as_int
from rhmvalidation.networks import registry as networks

# what such files hold beside tensors and plain Python: the arguments, and losses that numpy averaged
_SAFE: list[Any] = [argparse.Namespace, np._core.multiarray.scalar, np.dtype]  # type: ignore[attr-defined]
_SAFE += [type(np.dtype(kind)) for kind in ("float32", "float64", "int64")]
_NETWORKS = {"hcnn": "cnn", "hlcn": "lcn", "fcn": "fcn", "transformer_mla": "attention"}


def published_curves(paths: Sequence[Path]) -> list[LearningCurves]:
    """Learning curves from files of the published training code, one per ensemble, network and protocol.

    A run of one epoch is online, every one of its evaluations a point; a run of several contributes its best
    test loss at its training-set size. Grammars are told apart by their tables.

    Raises
    ------
    InputError
        For a file of another kind, and for models whose loss is not that of the last token alone.
    """
    groups: dict[Any, dict[str, tuple[Grammar, dict[int, float]]]] = {}
    for path in paths:
        grammar, network, protocol, points = _read(path)
        members = groups.setdefault((grammar.rhm, network, protocol), {})
        _, known = members.setdefault(grammar.fingerprint[:12], (grammar, {}))
        for P, value in points:
            known[P] = min(value, known.get(P, np.inf))
    curves = []
    for (rhm, network, protocol), members in groups.items():
        members = dict(sorted(members.items()))  # the same order for every network
        sizes = sorted({P for _, points in members.values() for P in points})
        loss = np.array([[points.get(P, np.nan) for P in sizes] for _, points in members.values()])
        H = np.array([grammar.plateaus() for grammar, _ in members.values()])
        names, laws, at = tuple(members), networks.find(network).laws, np.array(sizes, float)
        curves.append(LearningCurves(rhm, network, laws, names, H, at, loss, protocol=protocol))
    return curves


def _read(path: Path) -> tuple[Grammar, str, str, list[tuple[int, float]]]:
    try:
        with torch.serialization.safe_globals(_SAFE):
            content = torch.load(path, weights_only=True, map_location="cpu")
        config, output = content["config"], content["output"]
        rules, best = output["rules"], float(output["best"]["loss"])
        dynamics = ((as_int("t", int(x["t"]), high=1 << 62), float(x["testloss"])) for x in output["dynamics"])
        steps, losses = zip(*dynamics, strict=True)
        model, v = str(config.model), config.num_features
        numbers = config.max_epochs, config.train_size, config.batch_size, getattr(config, "accumulation", 1) or 1
        epochs, P, batch, accumulation = (as_int("numbers of config", x, low=1, high=1 << 62) for x in numbers)
    except Exception as error:  # what is cut, altered or of another kind fails in many ways
        raise InputError(
            f"{path} is no run of the published training code: it must hold config and output with rules, best and "
            f"dynamics ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
        ) from error
    if model not in _NETWORKS:
        raise InputError(
            f"{path} holds a run of {model!r}: losses of the last token come from {', '.join(_NETWORKS)}; "
            "leave the file out"
        )
    grammar = Grammar.from_rules(rules, v=v)
    if epochs > 1:
        return grammar, _NETWORKS[model], "offline", [(P, best)]
    batch *= accumulation
    lowest = np.minimum.accumulate(losses).tolist()
    points = [(step * batch, loss) for step, loss in zip(steps, lowest, strict=True)]
    return grammar, _NETWORKS[model], "online", [(samples, loss) for samples, loss in points if samples > 0]
