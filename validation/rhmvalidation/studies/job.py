"""The whole job from preset to verdict: train what is missing, compare, and write all of it into a folder."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from rhmtheory import InputError
from rhmtheory.comparison import Study, study
from rhmtheory.support.checks import as_int
from rhmtheory.support.provenance import provenance
from rhmvalidation.networks import registry as networks
from rhmvalidation.studies.execution import Shard, execute, groups
from rhmvalidation.studies.folder import ResultFolder, write_tables
from rhmvalidation.studies.preset import Preset, Sweep, load_preset
from rhmvalidation.studies.progress import Display
from rhmvalidation.studies.report import Report, learning_curves, recorded_provenance
from rhmvalidation.training.devices import pick_device
from rhmvalidation.training.signals import terminated_as_interrupted


def run(
    name: str | PathLike[str],
    folder: str | PathLike[str] | None = None,
    device: str = "auto",
    *,
    shard: str = "1/1",
    scheduler: str | None = None,
    workers: int | None = None,
    only: str = "",
    until_width: float | None = None,
    most_grammars: int = 64,
    progress: bool = True,
) -> Report:
    """Train the missing runs of a preset, compare them with theory, and write all of it into a folder.

    Interrupted (Ctrl-C, SIGTERM), it goes on from there when it is called again.

    Parameters
    ----------
    name : str or path
        A preset of this package, or the path of a TOML file that ends in ``.toml``.
    folder : path, optional
        ``results/NAME`` by default. ``runs.csv`` holds one row per run, ``runs.jsonl`` their curves, too,
        ``comparison.json`` numbers and provenance, ``comparison.png`` the main figure.
    device : str
        ``auto``, the GPU where there is one, or the name of a torch device.
    shard : str
        ``i/n`` trains every n-th program only, beginning with the i-th: for array jobs that share a folder.
    scheduler : str, optional
        Address of a Dask cluster that trains in place of this machine.
    workers : int, optional
        Processes on the CPU, one thread each; by default as many as cores. With 1 this process trains.
    only : str
        Train the sweeps whose title has this text, one part of a long study; the report is on all that is there.
    until_width : float, optional
        Add grammars (the next seeds) to every sweep trained here whose step factor has an interval of that width in
        its logarithm or more, ``ln(high / low)``. A factor that is only a lower bound does not become narrower by
        more grammars, and gets none.
    most_grammars : int
        Grammars that ``until_width`` gives a sweep at most.
    progress : bool
        Tell on the standard error stream how far training is.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        For a preset that is not there or says no study, a folder of another preset or one that cannot be written,
        a device that is not there, ``only`` in no title, a shard of no program, ``until_width`` that is not
        positive or goes with shards, networks that memory does not hold, and workers or a scheduler that are gone.
    """
    preset = load_preset(name)
    path = Path("results") / preset.name if folder is None else Path(folder)
    part, wanted = Shard.parse(shard), preset.only(only)
    if until_width is not None:
        if not until_width > 0:
            raise InputError(
                f"until_width={until_width} must be positive: it is a width in logarithms, such as 0.2"
            )
        if part.count > 1:
            raise InputError(f"shard={shard} sees a part of the grammars only: give until_width without shards")
        as_int("most_grammars", most_grammars, low=1)
    while True:
        all_there = _train(preset, wanted, path, device, part, scheduler, workers, progress)
        results = ResultFolder(path, preset)
        finished = results.finished(preset.runs())
        found = study(learning_curves(finished, _names(preset)))
        wider = preset if until_width is None else more_grammars(preset, found, until_width, most_grammars, only)
        if wider == preset:
            break
        preset, wanted = wider, wider.only(only)
    made_by = recorded_provenance(path) if all_there else {}
    out = Report(path, finished, found, made_by or _provenance(device if scheduler else str(pick_device(device))))
    out.write()
    return out


def more_grammars(preset: Preset, found: Study, until_width: float, most: int, only: str = "") -> Preset:
    """The preset with further grammars in every sweep whose step factor is not yet narrow enough.

    Sweeps without ``only`` in their title are not trained, and stay as they are.
    """
    widths = {(m.curves.rhm, m.curves.label, m.curves.protocol): m.step_factor.measured for m in found.measurements}

    def grown(sweep: Sweep) -> Sweep:
        if only not in sweep.title:
            return sweep
        label = networks.label(sweep.network.name, sweep.settings.objective, _names(preset))
        measured = widths.get((sweep.rhm, label, sweep.settings.protocol))
        here = len(sweep.seeds)
        if measured is None or measured.at_least or math.isnan(measured.best) or measured.width < until_width:
            return sweep
        # the width falls as one over the root of their number; not more than twice as many at once
        wanted = 3 if math.isnan(measured.width) else math.ceil(here * (measured.width / until_width) ** 2)
        count = min(max(wanted, here + 1), max(2 * here, 3), most) - here
        following = range(max(sweep.seeds) + 1, max(sweep.seeds) + 1 + max(count, 0))
        return replace(sweep, seeds=(*sweep.seeds, *following))

    return replace(preset, sweeps=tuple(grown(sweep) for sweep in preset.sweeps))


def _names(preset: Preset) -> set[str]:
    return {sweep.network.name for sweep in preset.sweeps}


def _train(
    preset: Preset,
    wanted: Preset,
    path: Path,
    device: str,
    part: Shard,
    scheduler: str | None,
    workers: int | None,
    progress: bool,
) -> bool:
    """Train what is missing of the wanted sweeps; returns whether nothing was."""
    programs = groups(wanted, part)
    if not programs:
        raise InputError(
            f"shard {part.index}/{part.count} is empty: the preset has {len(groups(wanted))} programs, use at most "
            "as many shards"
        )
    if scheduler is None:
        device = str(pick_device(device))
    results = ResultFolder(path, preset)
    all_there = not any(results.load(one) is None for runs in programs for one in runs)
    try:
        with terminated_as_interrupted(), Display(wanted, device, results, part, shown=progress) as display:
            execute(
                programs, results, device,
                scheduler=scheduler, workers=workers, on_done=display.done, on_step=display.step,
            )  # fmt: skip
    except KeyboardInterrupt:
        kept = results.finished(preset.runs())
        write_tables(path, kept)
        print(
            f"{len(kept)} of {len(preset.runs())} runs are kept in {path}: the same command goes on from there",
            file=sys.stderr,
        )
        raise
    return all_there


def _provenance(device: str) -> dict[str, Any]:
    # with a scheduler the device is that of its workers
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") and torch.cuda.is_available() else device
    return provenance(("rhmtheory", "numpy", "numba", "torch")) | {"device": name}
