"""Runs made with the authors' published training code, read from its ``.pt`` files.

Such a file holds ``{"config": namespace, "output": {"rules", "best", "dynamics", ...}}``: the arguments of the run,
the rule tables from the root down, and the test losses along training (``t``, ``testloss``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rhmtheory import Grammar, InputError
from rhmtheory.comparison import LearningCurves
from rhmtheory.support.checks import as_int
from rhmvalidation.networks import registry as networks
from rhmvalidation.studies._archives import saved

_NETWORKS = {"hcnn": "cnn", "hlcn": "lcn", "fcn": "fcn", "transformer_mla": "attention"}


@dataclass(frozen=True)
class _File:
    """One run: its grammar, what tells its curve from others, and its points (P, loss)."""

    name: str
    grammar: Grammar
    network: str
    protocol: str
    batch: int
    rate: float | None
    seeds: tuple[str, ...]
    points: list[tuple[int, float]]

    @property
    def order(self) -> tuple[Any, ...]:
        """Place among runs of one curve, by what the file holds and not by its name."""
        return self.grammar.fingerprint, self.seeds, [(P, repr(loss)) for P, loss in self.points]


def published_curves(paths: Sequence[Path]) -> list[LearningCurves]:
    """Learning curves from files of the published training code: one per ensemble, network, protocol, batch and
    rate.

    A run of one epoch is online, every one of its evaluations a point; a run of several contributes its best
    test loss at its training-set size. Grammars are told apart by their tables; several runs of one grammar are
    rows of their own. An evaluation whose loss is no number is no value, and a remark says so.

    Raises
    ------
    InputError
        For a file of another kind, and for models whose loss is not that of the last token alone.
    """
    groups: dict[Any, list[_File]] = {}
    for file in map(_read, paths):
        key = file.grammar.require_rhm(), file.network, file.protocol, file.batch, file.rate
        groups.setdefault(key, []).append(file)
    curves = []
    for (rhm, network, protocol, batch, rate), files in groups.items():
        rows = _rows(sorted(files, key=lambda file: file.order), protocol)
        sizes = sorted({P for _, points in rows for P in points})
        loss = np.array([[points.get(P, np.nan) for P in sizes] for _, points in rows])
        plateaus = {grammar.fingerprint: grammar.plateaus() for grammar, _ in rows}
        curves.append(
            LearningCurves(
                rhm, network, networks.find(network).laws, tuple(grammar.fingerprint[:12] for grammar, _ in rows),
                np.array([plateaus[grammar.fingerprint] for grammar, _ in rows]), np.array(sizes, float),
                np.where(np.isfinite(loss), loss, np.nan), protocol=protocol, batch=batch, rate=rate,
                remarks=_spoilt(files),
            )
        )  # fmt: skip
    return curves


def _rows(files: Sequence[_File], protocol: str) -> list[tuple[Grammar, dict[int, float]]]:
    """One row per run online; offline the i-th runs of all sizes of a grammar make its i-th row."""
    rows: dict[tuple[str, int], tuple[Grammar, dict[int, float]]] = {}
    for i, file in enumerate(files):
        if protocol == "online":
            rows[file.grammar.fingerprint, i] = file.grammar, dict(file.points)
            continue
        ((P, loss),) = file.points
        row = 0
        while P in rows.setdefault((file.grammar.fingerprint, row), (file.grammar, {}))[1]:
            row += 1
        rows[file.grammar.fingerprint, row][1][P] = loss
    return [rows[key] for key in sorted(rows)]


def _spoilt(files: Sequence[_File]) -> tuple[str, ...]:
    counts = {file.name: sum(not np.isfinite(loss) for _, loss in file.points) for file in files}
    return tuple(f"{n} losses of {name} are no numbers and are left out" for name, n in counts.items() if n)


def _read(path: Path) -> _File:
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
    batch *= accumulation
    rate = getattr(config, "lr", None)
    seeds = tuple(str(getattr(config, name, "")) for name in ("seed_model", "seed_sample"))
    points = [(P, best)] if epochs > 1 else [(step * batch, loss) for step, loss in zip(steps, losses, strict=True)]
    return _File(
        path.name, grammar, _NETWORKS[model], "offline" if epochs > 1 else "online", batch,
        float(rate) if isinstance(rate, (int, float)) else None, seeds, [point for point in points if point[0] > 0],
    )  # fmt: skip
