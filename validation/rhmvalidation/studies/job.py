"""The whole job from preset to verdict: train what is missing, compare, and write all of it into a folder."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from rhmtheory import InputError, comparison
from rhmtheory.support.checks import as_int
from rhmtheory.support.provenance import provenance
from rhmvalidation.networks import registry as networks
from rhmvalidation.studies.execution import Shard, execute, groups
from rhmvalidation.studies.folder import ResultFolder
from rhmvalidation.studies.preset import Preset, Sweep, load_preset
from rhmvalidation.studies.progress import Display
from rhmvalidation.studies.report import Report, learning_curves, recorded_provenance, report_on
from rhmvalidation.training.devices import pick_device
from rhmvalidation.training.signals import terminated_as_interrupted


def study(
    preset: str | PathLike[str] | Preset,
    folder: str | PathLike[str] | None = None,
    *,
    device: str = "auto",
    shard: str = "1/1",
    scheduler: str | None = None,
    workers: int | None = None,
    until_width: float | None = None,
    most_grammars: int = 64,
    progress: bool = True,
) -> Report:
    """Train the missing runs of a preset, compare them with theory, and write all of it into a folder.

    Interrupted (Ctrl-C, SIGTERM), it goes on from there when it is called again.

    Parameters
    ----------
    preset : str, path or Preset
        A preset of this package, a TOML file, or a part of one (`Preset.select`). The report is on all runs in the
        folder.
    folder : path, optional
        ``results/NAME`` by default.
    device : str
        ``auto``, the GPU where there is one, or the name of a torch device.
    shard : str
        ``i/n`` trains every n-th program only, beginning with the i-th: for array jobs that share a folder.
    scheduler : str, optional
        Address of a Dask cluster that trains in place of this machine.
    workers : int, optional
        Processes on the CPU, one thread each; by default as many as cores. With 1 this process trains.
    until_width : float, optional
        Add grammars, the next seeds, to sweeps whose step factor has an interval ``ln(high / low)`` of that width
        or more. A factor that is only a lower bound gets none.
    most_grammars : int
        Largest number of grammars that ``until_width`` gives a sweep.
    progress : bool
        Tell on the standard error stream how far training is.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        For a preset, device or shard that is not there, a folder of another study, and ``until_width`` with shards.
    ResourceError
        For networks that memory does not hold, full disks, and workers or a scheduler that are gone.
    """
    chosen = preset if isinstance(preset, Preset) else load_preset(preset)
    part = Shard.parse(shard)
    _check_widening(until_width, most_grammars, part)
    if scheduler is None:
        device = str(pick_device(device))
    _check_shard(chosen, part)
    results = ResultFolder.open(Path("results") / chosen.name if folder is None else folder, chosen)
    training = _Training(results, device, part, scheduler, workers, progress)
    all_there = True
    for wider in _widened(chosen, results, until_width, most_grammars):
        all_there = training.of(wider) and all_there
    finished = results.finished(wider.runs())
    made_by = recorded_provenance(results.path) if all_there else {}
    out = report_on(results.path, finished, made_by or _provenance(device), names=_names(chosen))
    out.write()
    return out


def _check_widening(until_width: float | None, most_grammars: int, part: Shard) -> None:
    if until_width is None:
        return
    if not until_width > 0:
        raise InputError("until_width", until_width, "must be positive", "give a width in logarithms, such as 0.2")
    if part.count > 1:
        shard = f"{part.index}/{part.count}"
        raise InputError("shard", shard, "sees a part of the grammars only", "give `until_width` without shards")
    as_int("most_grammars", most_grammars, low=1)


def _widened(
    preset: Preset, results: ResultFolder, until_width: float | None, most_grammars: int
) -> Iterator[Preset]:
    """The preset, and once it is trained that with more grammars, until every interval is narrow enough."""
    yield preset
    while until_width is not None:
        curves = learning_curves(results.finished(preset.runs()), _names(preset))
        wider = more_grammars(preset, comparison.study(curves), until_width, most_grammars)
        if wider == preset:
            return
        preset = wider
        yield preset


def more_grammars(preset: Preset, found: comparison.Study, until_width: float, most: int) -> Preset:
    """Return the preset with further grammars in every sweep whose step factor is not yet narrow enough.

    Parameters
    ----------
    preset : Preset
    found : Study
        Of all that is measured so far.
    until_width : float
        Of the interval, ``ln(high / low)``.
    most : int
        Grammars of a sweep.
    """

    def grown(sweep: Sweep) -> Sweep:
        here = len(sweep.seeds)
        measured = [m.step_factor.measured for m in found.measurements if _is_of(m.curves, sweep, _names(preset))]
        counts = [_wanted(one, here, until_width) for one in measured]
        # not more than twice as many at once
        count = min(max(counts, default=here), max(2 * here, 3), most) - here
        following = range(max(sweep.seeds) + 1, max(sweep.seeds) + 1 + max(count, 0))
        return replace(sweep, seeds=(*sweep.seeds, *following))

    return replace(preset, sweeps=tuple(grown(sweep) for sweep in preset.sweeps))


def _wanted(measured: Any, here: int, until_width: float) -> int:
    """Grammars with which a factor becomes narrow enough."""
    if measured.at_least or math.isnan(measured.best) or measured.width < until_width:
        return here
    # the width falls as one over the root of their number
    return 3 if math.isnan(measured.width) else max(math.ceil(here * (measured.width / until_width) ** 2), here + 1)


def _is_of(curves: comparison.LearningCurves, sweep: Sweep, names: set[str]) -> bool:
    """Whether these are curves of a sweep, at one of its rates."""
    settings = sweep.settings
    if curves.label != networks.label(sweep.network.name, settings.objective, names):
        return False
    rates = {one.learning_rate for one in sweep.each_rate()}
    return (
        (curves.rhm, curves.protocol) == (sweep.rhm, settings.protocol)
        and curves.batch in (None, settings.batch_size)
        and (curves.rate is None or curves.rate in rates)
    )


def _names(preset: Preset) -> set[str]:
    return {sweep.network.name for sweep in preset.sweeps}


def _check_shard(preset: Preset, part: Shard) -> None:
    if not groups(preset, part):
        raise InputError(
            f"shard {part.index}/{part.count}",
            rule=f"is empty: the preset has {len(groups(preset))} programs",
            way_out="use at most as many shards",
        )


@dataclass(frozen=True)
class _Training:
    """Where and by whom programs are trained."""

    results: ResultFolder
    device: str
    part: Shard
    scheduler: str | None
    workers: int | None
    progress: bool

    def of(self, preset: Preset) -> bool:
        """Train what is missing of a preset; returns whether nothing was."""
        programs, results = groups(preset, self.part), self.results
        all_there = not any(results.load(one) is None for runs in programs for one in runs)
        try:
            with (
                terminated_as_interrupted(),
                Display(preset, self.device, results, self.part, shown=self.progress) as display,
            ):
                execute(
                    programs, results, self.device,
                    scheduler=self.scheduler, workers=self.workers, on_done=display.done, on_step=display.step,
                )  # fmt: skip
        except KeyboardInterrupt:
            kept, wanted = results.finished(preset.runs()), {run.key for run in preset.runs()}
            results.write_tables(kept)
            there = sum(run.key in wanted for run, _ in kept)
            print(
                f"{there} of {len(wanted)} runs are kept in {results.path}: the same command goes on from there",
                file=sys.stderr,
            )
            raise
        return all_there


def _provenance(device: str) -> dict[str, Any]:
    # with a scheduler the device is that of its workers
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") and torch.cuda.is_available() else device
    return provenance(("rhmtheory", "numpy", "numba", "torch")) | {"device": name}
