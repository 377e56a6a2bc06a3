"""Runs made with the authors' published training code, read from its ``.pt`` files.

Such a file holds ``{"config": namespace, "output": {"rules", "best", "dynamics", ...}}``: the arguments of the run,
the rule tables from the root down, and the test losses along training (``t``, ``testloss``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rhmtheory import Grammar, InputError
from rhmtheory.comparison import LearningCurves
from rhmtheory.support.checks import as_int
from rhmvalidation.networks import registry as networks
from rhmvalidation.studies._archives import saved

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
        members = groups.setdefault((grammar.require_rhm(), network, protocol), {})
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
        with saved(path) as content:
            config, output = content["config"], content["output"]
            rules, best = (
                {int(i): table.numpy() for i, table in output["rules"].items()},
                float(output["best"]["loss"]),
            )
            dynamics = ((as_int("t", int(x["t"]), high=1 << 62), float(x["testloss"])) for x in output["dynamics"])
            steps, losses = zip(*dynamics, strict=True)
        model, v = str(config.model), config.num_features
        numbers = config.max_epochs, config.train_size, config.batch_size, getattr(config, "accumulation", 1) or 1
        epochs, P, batch, accumulation = (as_int("numbers of config", x, low=1, high=1 << 62) for x in numbers)
    except Exception as error:  # a file that is cut, altered or of another kind fails in many ways
        said = str(error).splitlines()[0][:200] if str(error) else ""
        raise InputError(
            str(path),
            rule="is no run of the published training code",
            way_out="it must hold config and output with rules, best and dynamics "
            f"({type(error).__name__}{': ' if said else ''}{said})",
        ) from error
    if model not in _NETWORKS:
        raise InputError(
            str(path),
            rule=f"holds a run of {model[:80]!r}",
            way_out=f"losses of the last token come from {', '.join(_NETWORKS)}; leave the file out",
        )
    grammar = Grammar.from_rules(rules, v=v)
    if epochs > 1:
        return grammar, _NETWORKS[model], "offline", [(P, best)]
    batch *= accumulation
    lowest = np.minimum.accumulate(losses).tolist()
    points = [(step * batch, loss) for step, loss in zip(steps, lowest, strict=True)]
    return grammar, _NETWORKS[model], "online", [(samples, loss) for samples, loss in points if samples > 0]
