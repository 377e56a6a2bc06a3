"""What finished runs say: their learning curves, held against theory, as tables, figures and files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory import RHM, InputError
from rhmtheory.comparison import LearningCurves, Study, step_levels, study
from rhmtheory.fitting.levels import crossings
from rhmtheory.plotting import new_figure, plot_context, save_figure
from rhmtheory.support.files import write_atomically
from rhmtheory.support.json import plain
from rhmtheory.support.types import FloatArray
from rhmvalidation.networks import registry as networks
from rhmvalidation.studies.folder import all_runs, read_json, write_tables
from rhmvalidation.studies.published import published_curves
from rhmvalidation.studies.runs import Run, curve_of
from rhmvalidation.training.outcome import Outcome, lost, points
from rhmvalidation.training.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Report:
    """What the finished runs of a folder say."""

    folder: Path
    finished: list[tuple[Run, Outcome]]
    study: Study
    provenance: dict[str, Any]

    def __str__(self) -> str:
        return str(self.study)

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        return self.study._repr_html_()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        return {"provenance": self.provenance, **self.study.to_dict()}

    def figures(self) -> dict[str, Figure]:
        """Those of the study (see `study_figures`), and ``context`` where it was probed."""
        out: dict[str, Figure] = self.study.figures()
        if probed := divergences(self.finished):
            out["context"], axes = new_figure(columns=len(probed), width=7.2, height=5.2)
            for ax, (rhm, curves) in zip(axes, probed.items(), strict=True):
                plot_context(rhm, curves, ax)
        return out

    def write(self, out: str | Path | None = None, ending: str = "png") -> None:
        """Write tables of the runs, ``comparison.json`` and figures into a folder; by default that of the runs."""
        folder = self.folder if out is None else Path(out)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder} ({error}): choose another with --out") from error
        if self.finished:
            write_tables(folder, self.finished)
        write_atomically(folder / "comparison.json", json.dumps(self.to_dict(), indent=1, allow_nan=False))
        for name, figure in self.figures().items():
            save_figure(figure, folder / f"{name}.{ending}")


def report(folder: str | Path, *more: str | Path) -> Report:
    """Compare the runs that folders hold, whether all are finished or not; nothing is trained.

    Parameters
    ----------
    folder : path
        Of `run`, or a folder of ``.pt`` files, which are read as runs of the published training code: see
        `published`. `Report.write` writes here unless it is told another folder.
    *more : path
        Further folders, reported on together with the first, such as those of one ensemble online and offline. A
        run that stands in several counts once.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        For what is no folder, damaged records, files of other code, and runs that differ in a setting, such as the
        width, and would be mixed in one curve.
    """
    finished: list[tuple[Run, Outcome]] = []
    curves: list[LearningCurves] = []
    made: dict[str, Any] = {}
    folders = [Path(folder), *map(Path, more)]
    for path in folders:
        if not path.is_dir():
            raise InputError(f"{path} is no results folder: make one with 'rhmtheory compare --out {path}'")
        files = sorted(path.glob("*.pt"))
        if files:
            curves += published_curves(files)
            made[str(path)] = {"files": [file.name for file in files]}
            continue
        finished += all_runs(path)
        made[str(path)] = recorded_provenance(path)
    unique = list({run.key: (run, outcome) for run, outcome in finished}.values())
    curves += learning_curves(unique)
    return Report(folders[0], unique, study(curves), made if more else made[str(folders[0])])


def recorded_provenance(folder: Path) -> dict[str, Any]:
    """Where the results of a folder come from, as noted when they were made; empty if they were not."""
    stamp = folder / "comparison.json"
    content = read_json(stamp) if stamp.exists() else {}
    made_by = content.get("provenance") if isinstance(content, dict) else None
    return dict(plain(made_by)) if isinstance(made_by, dict) else {}


def learning_curves(finished: Sequence[tuple[Run, Outcome]], beside: Iterable[str] = ()) -> list[LearningCurves]:
    """Group finished runs into curves, one per ensemble, network and protocol; in a scan, one per learning rate.

    Labels tell their networks apart, and from those named in ``beside``.

    Raises
    ------
    InputError
        Where the runs of one curve differ in any other setting or argument, such as the width.
    """
    names = {run.network.name for run, _ in finished}.union(beside)
    curves: dict[Any, dict[float, list[tuple[Run, Outcome]]]] = {}
    for run, outcome in finished:
        rates = curves.setdefault(curve_of(run.rhm, run.network.name, run.settings), {})
        rates.setdefault(run.settings.learning_rate, []).append((run, outcome))
    out = []
    for rates in curves.values():
        for rate, members in sorted(rates.items()):
            variant = f"rate {rate:g}" if len(rates) > 1 else ""
            if all(lost(run.settings, outcome) for run, outcome in members):
                run = members[0][0]
                warnings.warn(
                    f"left out: all {len(members)} runs of {run.network.name} on {run.rhm} at rate {rate:g} "
                    "diverged",
                    stacklevel=2,
                )
                continue
            first = members[0][0]
            out.append(
                _curves(members, networks.label(first.network.name, first.settings.objective, names), variant)
            )
    return out


def divergences(finished: Sequence[tuple[Run, Outcome]]) -> dict[RHM, list[tuple[str, FloatArray, FloatArray]]]:
    """Mean KL divergence from the ideal predictor of each context level, (label, P, (sizes, L + 1)) by ensemble.

    At the best step offline, along training online; only for runs that were probed.
    """
    names = {run.network.name for run, _ in finished}
    found: dict[tuple[RHM, str], dict[int, list[list[float]]]] = {}
    for run, outcome in finished:
        label = networks.label(run.network.name, run.settings.objective, names)
        for step, values in outcome.divergence:
            sizes = found.setdefault((run.rhm, label), {})
            if run.settings.protocol == "online":
                sizes.setdefault(step * run.settings.batch_size, []).append(values)
            elif step == outcome.best_step:
                sizes.setdefault(run.P, []).append(values)
    out: dict[RHM, list[tuple[str, FloatArray, FloatArray]]] = {}
    for (rhm, label), by_size in found.items():
        P = sorted(by_size)
        means = np.array([np.mean(by_size[size], axis=0) for size in P])
        out.setdefault(rhm, []).append((label, np.array(P, float), means))
    return out


def _curves(members: Sequence[tuple[Run, Outcome]], label: str, variant: str) -> LearningCurves:
    first = members[0][0]
    _check_alike(first, [run for run, _ in members])
    seeds = {(run.seed_rule, run.grammar_seed): run for run, _ in members}
    H = {key: run.grammar().plateaus() for key, run in seeds.items()}
    offline = first.settings.protocol == "offline"
    rows: dict[tuple[str, int, int], dict[int, float]] = {}
    times: dict[tuple[str, int, int, int], FloatArray] = {}
    diverged = 0
    for run, outcome in members:
        if lost(run.settings, outcome):
            diverged += 1
            continue
        row = run.seed_rule, run.grammar_seed, run.run_seed
        here = rows.setdefault(row, {})
        for P, value in points(run.settings, run.P, outcome):
            here[P] = min(value, here.get(P, np.inf))
        if offline:
            times[*row, run.P] = _step_times(run, outcome, H[row[:2]])
    keys, sizes = sorted(rows), sorted({P for points in rows.values() for P in points})
    loss = np.array([[rows[key].get(P, np.nan) for P in sizes] for key in keys]).reshape(len(keys), len(sizes))
    no_time = np.full(first.rhm.L, np.nan)
    time = np.array([[times.get((*key, P), no_time) for P in sizes] for key in keys])
    return LearningCurves(
        rhm=first.rhm,
        label=label,
        laws=first.network.record.laws,
        grammars=tuple(
            f"published seed {seed}" if rule == "published" else f"seed {seed}" for rule, seed, _ in keys
        ),
        plateaus=np.array([H[key[:2]] for key in keys]).reshape(len(keys), first.rhm.L + 1),
        P=np.array(sizes, float),
        loss=loss,
        protocol=first.settings.protocol,
        variant=variant,
        diverged=diverged,
        time=time.reshape(*loss.shape, first.rhm.L) if offline else None,
        remarks=_enough_steps(members) if offline else (),
    )


def _step_times(run: Run, outcome: Outcome, plateaus: FloatArray) -> FloatArray:
    """Samples seen, repeats counted, until the test loss first crossed each step; NaN where it never did."""
    curve = np.array([point for point in outcome.curve if point[0] > 0], float).reshape(-1, 2)
    seen = curve[:, 0] * run.settings.batch_size
    times: FloatArray = crossings(seen, curve[None, :, 1], step_levels(plateaus[None])).at[0]
    return times


def _enough_steps(members: Sequence[tuple[Run, Outcome]]) -> tuple[str, ...]:
    """Whether more steps could still have lowered the best loss of a run on a fixed training set, size by size.

    A run that stopped by patience has waited for as long again as its best loss took, or longer; one that was cut
    off by ``max_steps`` before that could have become better.
    """
    waits: list[float] = []
    cut: dict[int, int] = {}
    for run, outcome in members:
        if lost(run.settings, outcome):
            continue
        waits.append(outcome.steps / max(1, outcome.best_step))
        if outcome.steps <= run.settings.patience * outcome.best_step:
            cut[run.P] = cut.get(run.P, 0) + 1
    if not cut:
        return (f"more steps lowered no loss: every run went on for {min(waits):.2g} times the steps of its best",)
    sizes = ", ".join(f"P = {P} ({count} runs)" for P, count in sorted(cut.items()))
    return (f"cut off by max_steps, more steps might lower the loss: {sizes}",)


def _check_alike(first: Run, runs: Sequence[Run]) -> None:
    # when to stop, and on how many sentences to test, changes no curve
    free = ("max_steps", "patience", "after_last_step", "context_probe")
    given = {field.name: {str(getattr(run.settings, field.name)) for run in runs} for field in fields(Settings)}
    for name in {name for run in runs for name, _ in run.network.arguments}:
        given[name] = {str(run.network.get(name)) for run in runs}
    for name, values in given.items():
        if len(values) > 1 and name not in free:
            raise InputError(
                f"runs of {first.network.name} on {first.rhm} differ in {name} ({', '.join(sorted(values))}) and "
                "would be mixed in one curve: keep each setting in a folder of its own, and report on each"
            )
