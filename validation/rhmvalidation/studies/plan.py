"""Cost of a preset before anything is trained: programs, memory and time, from a few timed steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import torch

from rhmtheory.support.parallel import thread_count
from rhmvalidation.studies.execution import Shard, check_memory, groups, memory
from rhmvalidation.studies.preset import Preset, load_preset
from rhmvalidation.studies.programs import train_runs
from rhmvalidation.studies.runs import Run
from rhmvalidation.training.devices import pick_device

_WARM_UP, _TIMED = 2, 6


@dataclass(frozen=True)
class Plan:
    """Programs of a preset, one dict each, and the time for all of them."""

    programs: list[dict[str, Any]]
    seconds: float
    """All programs on this machine, if none stops early; evaluations between the steps are not counted."""


def plan(
    preset: str | PathLike[str] | Preset, device: str = "auto", *, shard: str = "1/1", workers: int | None = None
) -> Plan:
    """List the programs of a preset with memory and estimated time, from a few timed steps of each kind.

    Nothing is trained. The parameters are those of `study`.
    """
    loaded, chosen = preset if isinstance(preset, Preset) else load_preset(preset), pick_device(device)
    measured: dict[Any, tuple[float, int]] = {}
    programs, estimates = [], [0.0]
    for runs in groups(loaded, Shard.parse(shard)):
        first = runs[0]
        kind = first.network, first.rhm, first.settings, len(runs)
        check_memory(runs, chosen)
        if kind not in measured:
            measured[kind] = _seconds_a_step(runs, chosen), _bytes(runs, chosen)
        per_step, memory = measured[kind]
        estimates.append(per_step * first.steps)
        programs.append(
            {
                "network": first.network.name,
                "ensemble": str(first.rhm),
                "P": sorted({run.P for run in runs}),
                "replicas": len(runs),
                "steps": first.steps,
                "memory_MiB": round(memory / 2**20, 1),
                "seconds": round(estimates[-1], 1),
            }
        )
    together = thread_count(workers) if chosen.type == "cpu" else 1
    return Plan(programs, max(*estimates, sum(estimates) / together))


def _seconds_a_step(runs: Sequence[Run], device: torch.device) -> float:
    settings = replace(
        runs[0].settings,
        protocol="offline",
        test_size=64,
        max_steps=_WARM_UP + _TIMED,
        patience=1e9,
        after_last_step=None,
        context_probe=False,
    )
    timed = [replace(run, settings=settings, P=min(run.P, 4096)) for run in runs]
    ticks: list[float] = []

    def tick(step: int) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        ticks.append(time.perf_counter())

    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)  # as in the worker processes
    try:
        train_runs(timed, device, tick)
    finally:
        torch.set_num_threads(threads)
    return (ticks[-1] - ticks[_WARM_UP - 1]) / _TIMED


def _bytes(runs: Sequence[Run], device: torch.device) -> int:
    """Peak on a GPU since the last call; on the CPU an estimate."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return peak
    return memory(runs)
