"""Finished runs as learning curves, held against theory: tables, figures and files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rhmtheory import RHM, InputError
from rhmtheory.comparison import LearningCurves, Study, TwoBills, step_crossings, study
from rhmtheory.plotting import new_figure, plot_context, save_figure
from rhmtheory.plotting.bills import bills_figures
from rhmtheory.support.files import write_atomically
from rhmtheory.support.json import plain
from rhmtheory.support.tables import Table
from rhmtheory.support.types import FloatArray
from rhmvalidation.networks import registry as networks
from rhmvalidation.networks.objectives import WHOLE
from rhmvalidation.studies.bills import bills_of
from rhmvalidation.studies.folder import ResultFolder, with_room
from rhmvalidation.studies.published import published_curves
from rhmvalidation.studies.records import Finished, read_json
from rhmvalidation.studies.runs import Run, curve_of
from rhmvalidation.training.outcome import Outcome, lost, points
from rhmvalidation.training.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Report:
    """The finished runs of some folders, held against theory.

    Attributes
    ----------
    folder : Path
        The first folder; `write` writes there unless it is told another.
    finished : list of (Run, Outcome)
    study : Study
    provenance : dict
    bills : TwoBills, optional
        Samples and updates of every step, where networks were trained online at several batch sizes or rates.
    """

    folder: Path
    finished: list[Finished]
    study: Study
    provenance: dict[str, Any]
    bills: TwoBills | None = None

    def __str__(self) -> str:
        tables = (self.study, _without_laws(self.finished), self.bills)
        return "\n\n\n".join(filter(None, (str(one) for one in tables if one is not None)))

    def _repr_html_(self) -> str:
        """Tables for notebooks."""
        others = _without_laws(self.finished)
        tables = (self.study._repr_html_(), others and others.html(), self.bills and self.bills._repr_html_())
        return "".join(one for one in tables if one)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        bills = {} if self.bills is None else {"bills": self.bills.to_dict()}
        return {"provenance": self.provenance, **self.study.to_dict(), **bills}

    def figures(self) -> dict[str, Figure]:
        """Figures by name: those of the study, ``bills``, and ``context`` where context in use was probed."""
        out: dict[str, Figure] = self.study.figures()
        if self.bills is not None:
            out |= bills_figures(self.bills)
        if probed := divergences(self.finished):
            out["context"], axes = new_figure(columns=len(probed), width=7.2, height=5.2, shown=False)
            for ax, (rhm, curves) in zip(axes, probed.items(), strict=True):
                plot_context(rhm, curves, ax)
        return out

    def write(self, out: str | Path | None = None, ending: str = "png") -> None:
        """Write tables of the runs, ``comparison.json`` and figures into a folder.

        Parameters
        ----------
        out : path, optional
            By default the folder of the runs.
        ending : str
            Of the figures: png, pdf or svg.

        Raises
        ------
        InputError
            For a folder of another study, which is left as it is, and one that cannot be made.
        ResourceError
            Where the disk is full.
        """
        folder = self.folder if out is None else Path(out)
        results = ResultFolder(folder)
        if folder.resolve() != self.folder.resolve():
            results.check_holds_only(self.finished)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the folder {folder}", rule=f"cannot be made ({error})", way_out="choose another with `out`"
            ) from error
        if self.finished:
            results.write_tables(self.finished)
        content = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        with with_room(folder):
            write_atomically(folder / "comparison.json", content)
            for name, figure in self.figures().items():
                save_figure(figure, folder / f"{name}.{ending}")


def report(folder: str | Path, *more: str | Path) -> Report:
    """Compare the runs that folders hold, whether all are finished or not; nothing is trained.

    Parameters
    ----------
    folder : path
        Of `study`, or a folder of ``.pt`` files, which are read as runs of the published training code: see
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
        optimiser, and would be mixed in one curve.
    """
    finished: list[Finished] = []
    curves: list[LearningCurves] = []
    made: dict[str, Any] = {}
    folders = [Path(folder), *map(Path, more)]
    for path in folders:
        if not path.is_dir():
            raise InputError(
                str(path),
                rule="is no results folder",
                way_out=f"make one with 'rhmtheory study PRESET --out {path}'",
            )
        files = sorted(path.glob("*.pt"))
        if files:
            curves += published_curves(files)
            made[str(path)] = {"files": [file.name for file in files]}
            continue
        finished += ResultFolder(path).finished()
        made[str(path)] = recorded_provenance(path)
    unique = list({run.key: (run, outcome) for run, outcome in finished}.values())
    return report_on(folders[0], unique, made if more else made[str(folders[0])], beside=curves)


def report_on(
    folder: Path,
    finished: list[Finished],
    made: dict[str, Any],
    *,
    beside: Sequence[LearningCurves] = (),
    names: Iterable[str] = (),
) -> Report:
    """Hold finished runs against theory.

    Parameters
    ----------
    folder : Path
        Where the report is written by default.
    finished : list of (Run, Outcome)
    made : dict
        Where they come from.
    beside : sequence of LearningCurves
        Further curves.
    names : iterable of str
        Names of further networks, from which labels tell these apart.
    """
    told = _told_curves(finished, names)
    bills = bills_of(((group.network, group.members[0][0].settings, curves) for group, curves in told))
    return Report(folder, finished, compared([*beside, *(curves for _, curves in told)], finished), made, bills)


def recorded_provenance(folder: Path) -> dict[str, Any]:
    """Where the results of a folder come from, as noted when they were made; empty if they were not."""
    stamp = folder / "comparison.json"
    content = read_json(stamp) if stamp.exists() else {}
    made_by = content.get("provenance") if isinstance(content, dict) else None
    return dict(plain(made_by)) if isinstance(made_by, dict) else {}


@dataclass(frozen=True)
class _Group:
    """Runs of one curve, and what tells it from others of the same network."""

    label: str
    network: str
    """The label, and those arguments that other networks of that name have otherwise."""
    variant: str
    members: list[Finished]

    @property
    def name(self) -> str:
        return f"{self.label}, {self.variant}" if self.variant else self.label


def learning_curves(finished: Sequence[Finished], beside: Iterable[str] = ()) -> list[LearningCurves]:
    """Group finished runs into curves: one per ensemble, network, objective, protocol, batch size and rate.

    Runs whose objective has no laws (class, hidden and noisy tokens) are left out.

    Parameters
    ----------
    finished : sequence of (Run, Outcome)
    beside : iterable of str
        Names of further networks, from which labels tell these apart.

    Raises
    ------
    InputError
        Where the runs of one curve differ in any other setting, such as the optimiser.
    """
    return [curves for _, curves in _told_curves(finished, beside)]


def _told_curves(finished: Sequence[Finished], beside: Iterable[str] = ()) -> list[tuple[_Group, LearningCurves]]:
    """Curves of all groups but those whose runs all diverged."""
    out = []
    for group in _groups(finished, beside):
        if group.members[0][0].settings.objective in WHOLE:
            continue  # the laws are those of the last token
        if all(lost(run.settings, outcome) for run, outcome in group.members):
            run = group.members[0][0]
            warnings.warn(
                f"left out: all {len(group.members)} runs of {group.label} on {run.rhm} at rate "
                f"{run.settings.learning_rate:g} diverged",
                stacklevel=2,
            )
            continue
        out.append((group, _curves(group)))
    return out


def compared(curves: Sequence[LearningCurves], finished: Sequence[Finished]) -> Study:
    """Hold curves against theory: a study without comparisons where no run has an objective with laws."""
    without = bool(finished) and all(run.settings.objective in WHOLE for run, _ in finished)
    return Study((), ()) if without and not curves else study(curves)


def _without_laws(finished: Sequence[Finished]) -> Table | None:
    """Losses, and wrong answers, of runs on the class, on hidden and on noisy tokens; None where there are none."""
    rows = []
    for group in _groups(finished):
        if group.members[0][0].settings.objective not in WHOLE:
            continue
        for P in sorted({run.P for run, _ in group.members}):
            found = [outcome for run, outcome in group.members if run.P == P and not lost(run.settings, outcome)]
            wrong = [dict(one.errors)[one.best_step] for one in found if one.errors]
            loss = f"{np.mean([one.best_loss for one in found]):.4f}" if found else "diverged"
            share = f"{np.mean(wrong):.4f}" if wrong else ""
            rows.append((group.name, str(group.members[0][0].rhm), str(P), str(len(found)), loss, share))
    columns = ("network", "ensemble", "P", "runs", "best loss", "wrong answers")
    return Table("Objectives without a law: means over runs", columns, tuple(rows)) if rows else None


def divergences(finished: Sequence[Finished]) -> dict[RHM, list[tuple[str, FloatArray, FloatArray]]]:
    """Mean KL divergence from the ideal predictor of each context level, (label, P, (sizes, L + 1)) by ensemble.

    At the best step offline, along training online; only for runs that were probed.
    """
    out: dict[RHM, list[tuple[str, FloatArray, FloatArray]]] = {}
    for group in _groups(finished):
        sizes: dict[int, list[Sequence[float]]] = {}
        for run, outcome in group.members:
            for step, values in outcome.divergence:
                if run.settings.protocol == "online":
                    sizes.setdefault(step * run.settings.batch_size, []).append(values)
                elif step == outcome.best_step:
                    sizes.setdefault(run.P, []).append(values)
        if sizes:
            P = sorted(sizes)
            means = np.array([np.mean(sizes[size], axis=0) for size in P])
            rhm = group.members[0][0].rhm
            out.setdefault(rhm, []).append((group.name, np.array(P, float), means))
    return out


def _groups(finished: Sequence[Finished], beside: Iterable[str] = ()) -> list[_Group]:
    """Runs by curve, curves of one network side by side."""
    names = {run.network.name for run, _ in finished}.union(beside)
    curves: dict[Any, list[Finished]] = {}
    for run, outcome in finished:
        curves.setdefault(curve_of(run.rhm, run.network, run.settings), []).append((run, outcome))
    alike: dict[Any, list[list[Finished]]] = {}
    for members in curves.values():
        run = members[0][0]
        key = run.rhm, run.network.name, run.settings.objective, run.settings.protocol
        alike.setdefault(key, []).append(members)
    out = []
    for group in alike.values():
        told = [_told(members[0][0]) for members in group]
        differing = [name for name in dict.fromkeys(n for one in told for n in one) if _differs(name, told)]
        for members, one in sorted(zip(group, told, strict=True), key=lambda pair: _order(differing, pair[1])):
            run = members[0][0]
            label = networks.label(run.network.name, run.settings.objective, names)
            variant = {name: f"{name} {_number(one[name])}" for name in differing if name in one}
            network = ", ".join(
                [label, *(variant[name] for name in variant if name in dict(run.network.arguments))]
            )
            out.append(_Group(label, network, ", ".join(variant.values()), members))
    return out


def _told(run: Run) -> dict[str, Any]:
    """Numbers that may tell the curve of a run from others of its network."""
    settings = run.settings
    hidden = {} if settings.hidden is None else {"hidden": str(settings.hidden)}
    return {**dict(run.network.arguments), "batch": settings.batch_size, "rate": settings.learning_rate, **hidden}


def _differs(name: str, told: Sequence[dict[str, Any]]) -> bool:
    return any(one.get(name) != told[0].get(name) for one in told)


def _order(names: Sequence[str], told: dict[str, Any]) -> list[tuple[bool, Any]]:
    """Sorts variants by their numbers; others come last, as they were met."""
    values = [told.get(name) for name in names]
    return [(False, x) if isinstance(x, (int, float)) else (True, 0) for x in values]


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _curves(group: _Group) -> LearningCurves:
    members, first = group.members, group.members[0][0]
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
        known = rows.setdefault(row, {})
        for P, value in points(run.settings, run.P, outcome):
            known[P] = min(value, known.get(P, np.inf))
        if offline:
            times[*row, run.P] = _step_times(run, outcome, H[row[:2]])
    keys, sizes = sorted(rows), sorted({P for known in rows.values() for P in known})
    loss = np.array([[rows[key].get(P, np.nan) for P in sizes] for key in keys]).reshape(len(keys), len(sizes))
    no_time = np.full(first.rhm.L, np.nan)
    time = np.array([[times.get((*key, P), no_time) for P in sizes] for key in keys])
    return LearningCurves(
        rhm=first.rhm,
        label=group.label,
        laws=networks.find(first.network.name).laws,
        grammars=tuple(
            f"published seed {seed}" if rule == "published" else f"seed {seed}" for rule, seed, _ in keys
        ),
        plateaus=np.array([H[key[:2]] for key in keys]).reshape(len(keys), first.rhm.L + 1),
        P=np.array(sizes, float),
        loss=loss,
        protocol=first.settings.protocol,
        batch=first.settings.batch_size,
        rate=first.settings.learning_rate,
        variant=group.variant,
        diverged=diverged,
        time=time.reshape(*loss.shape, first.rhm.L) if offline else None,
        remarks=_enough_steps(members) if offline else (),
    )


def _step_times(run: Run, outcome: Outcome, plateaus: FloatArray) -> FloatArray:
    """Samples seen, repeats counted, until the test loss first crossed each step; NaN where it never did."""
    curve = np.array([point for point in outcome.curve if point[0] > 0], float).reshape(-1, 2)
    seen = curve[:, 0] * run.settings.batch_size
    times: FloatArray = step_crossings(seen, curve[None, :, 1], plateaus[None]).at[0]
    return times


def _enough_steps(members: Sequence[Finished]) -> tuple[str, ...]:
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
    for field in fields(Settings):
        values = {str(getattr(run.settings, field.name)) for run in runs}
        if len(values) > 1 and field.name not in free:
            raise InputError(
                f"runs of {first.network} on {first.rhm}",
                rule=f"differ in {field.name} ({', '.join(sorted(values))}) and would be mixed in one curve",
                way_out="keep each setting in a folder of its own, and report on each",
            )
