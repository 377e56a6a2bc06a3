"""Training many runs: in processes of this machine, on its GPU, as one shard of an array job, or on a cluster."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from rhmtheory import InputError
from rhmtheory.support.checks import as_int
from rhmtheory.support.memory import memory_size
from rhmtheory.support.parallel import thread_count
from rhmvalidation.studies.folder import ResultFolder
from rhmvalidation.studies.preset import Preset
from rhmvalidation.studies.programs import train_runs
from rhmvalidation.studies.runs import Run, multiplications
from rhmvalidation.training.devices import pick_device
from rhmvalidation.training.outcome import Outcome

_LONGEST_STEP = 60.0
"""Seconds within which a worker that is to end has made its step and written its checkpoint."""


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count`` (counted from one) of the work: for array jobs."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``."""
        parts = text.split("/")
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            raise InputError(f"shard={text!r} must have the form i/n, such as 2/8")
        count = as_int("n of the shard", int(parts[1]), low=1)
        return cls(as_int("i of the shard", int(parts[0]), low=1, high=count), count)


def groups(preset: Preset, shard: Shard = Shard()) -> list[list[Run]]:
    """The programs of a preset, each a list of runs that train as replicas; the longest first.

    A shard gets every n-th program, so that shards have like shares of long and short ones.
    """
    programs = []
    for sweep in preset.sweeps:
        runs = sweep.runs()
        programs += [runs[i : i + sweep.replicas] for i in range(0, len(runs), sweep.replicas)]
    # small training sets stop early, so that the cost of all steps is a poor guess of the time they take
    programs.sort(key=lambda runs: -cost(runs) * max(run.P for run in runs))
    return programs[shard.index - 1 :: shard.count]


def cost(runs: Sequence[Run]) -> float:
    """Multiplications of a program at most, if no replica stops early."""
    return float(sum(multiplications(run) * run.steps for run in runs))


def memory(runs: Sequence[Run]) -> int:
    """Bytes that a program takes, about: weights with gradients and moments, activations, and sentences."""
    run, settings = runs[0], runs[0].settings
    weights = sum(parameter.numel() for parameter in run.network.on_paper(run.rhm).parameters())
    # of a network of one's own only the weights are known
    activations = settings.batch_size * run.rhm.d * run.network.get("width", 0) * (run.rhm.L + 1)
    sentences = settings.test_size + settings.batch_size
    sentences += max(one.P for one in runs) if settings.protocol == "offline" else 0
    return len(runs) * (16 * weights + 16 * activations + sentences * run.rhm.d)


def check_memory(runs: Sequence[Run], device: torch.device) -> None:
    """Raise `InputError` for a program that a device cannot hold; on a GPU, where it may be halved, for one run."""
    if device.type == "cuda":
        needed, there = memory(runs[:1]), float(torch.cuda.get_device_properties(device).total_memory)
    else:
        needed, there = memory(runs), memory_size()
    if needed > there:
        raise InputError(
            f"{len(runs)} replicas of {runs[0].network.name} on {runs[0].rhm} need about {needed / 2**30:.3g} GiB, "
            f"and {device} has {there / 2**30:.3g}: lower replicas, width, batch_size, test_size or the largest P"
        )


def execute(
    programs: Sequence[Sequence[Run]],
    folder: ResultFolder,
    device: str | torch.device = "auto",
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    on_done: Callable[[Sequence[Run]], None] = lambda runs: None,
    on_step: Callable[[Sequence[Run], int], None] = lambda runs, step: None,
) -> None:
    """Train what the folder does not have yet, and keep every program's runs as soon as they are finished.

    On a GPU programs run one after another in this process; on the CPU one thread each, in ``workers`` processes
    (as many as cores by default); with ``scheduler``, on the Dask cluster at that address, where each worker
    looks for the device. ``on_done`` is told of finished programs, ``on_step`` (in this process only) of their
    steps.
    """
    missing = []
    for runs in programs:
        left = [run for run in runs if folder.load(run) is None]
        if len(left) < len(runs):
            on_done([run for run in runs if run not in left])
        if left:
            missing.append(left)

    def keep(runs: Sequence[Run], outcomes: Sequence[Outcome]) -> None:
        folder.save_program(runs, outcomes)
        # only now, when the result is safe
        folder.checkpoint(runs).unlink(missing_ok=True)
        on_done(runs)

    workers = thread_count(None) if workers is None else as_int("workers", workers, low=1)
    here = None if scheduler else pick_device(device)
    for runs in missing:
        if here:
            check_memory(runs, here)
    if here and (here.type != "cpu" or workers == 1 or len(missing) < 2):
        for runs in missing:
            for part, outcomes in train_in_parts(runs, here, folder.checkpoint, on_step):
                keep(part, outcomes)
        return
    with _executor(scheduler, min(workers, len(missing))) as pool:
        futures: dict[Future[list[Outcome]], list[Run]] = {}
        for runs in missing:
            # a cluster's workers may not share this disk
            checkpoint = None if scheduler else folder.checkpoint
            futures[pool.submit(_in_worker, runs, str(device), checkpoint)] = runs
        try:
            for future in as_completed(futures):
                keep(futures[future], future.result())
        except _losses(scheduler) as error:
            what = f"a worker or the scheduler at {scheduler}" if scheduler else "a worker process"
            raise InputError(
                f"{what} was ended from outside, often for lack of memory: use fewer --workers, or fewer replicas "
                "in the preset; finished runs are kept, and the same command goes on from there"
            ) from error


def _losses(scheduler: str | None) -> tuple[type[Exception], ...]:
    """What is raised where those who train are gone."""
    if scheduler is None:
        return (BrokenProcessPool,)
    from distributed.scheduler import KilledWorker

    return CancelledError, KilledWorker


def train_in_parts(
    runs: Sequence[Run],
    device: torch.device,
    checkpoint: Callable[[Sequence[Run]], Path] | None = None,
    on_step: Callable[[Sequence[Run], int], None] = lambda runs, step: None,
) -> Iterator[tuple[Sequence[Run], list[Outcome]]]:
    """Train a program; where memory does not hold it, its halves, each yielded with its outcomes once done."""
    try:
        outcomes = train_runs(runs, device, lambda step: on_step(runs, step), checkpoint and checkpoint(runs))
    except torch.OutOfMemoryError as error:
        halves = _halves(runs, device, error)
    else:
        yield runs, outcomes
        return
    for half in halves:
        yield from train_in_parts(half, device, checkpoint, on_step)


def _halves(runs: Sequence[Run], device: torch.device, error: Exception) -> tuple[Sequence[Run], Sequence[Run]]:
    """Two halves of a program; raises `InputError` for one run, which cannot be halved."""
    if len(runs) == 1:
        raise InputError(
            f"one replica of {runs[0].network} (batch "
            f"{runs[0].settings.batch_size}) does not fit in the memory of {device}: lower width or batch_size"
        ) from error
    if device.type == "cuda":
        torch.cuda.empty_cache()
    half = len(runs) // 2
    return runs[:half], runs[half:]


def _in_worker(
    runs: Sequence[Run], device: str, checkpoint: Callable[[Sequence[Run]], Path] | None
) -> list[Outcome]:
    torch.set_num_threads(1)
    parts = train_in_parts(runs, pick_device(device), checkpoint)
    try:
        return [outcome for _, outcomes in parts for outcome in outcomes]
    except KeyboardInterrupt:
        if threading.current_thread() is not threading.main_thread():
            raise
        os._exit(1)  # the checkpoint is written; the pool would hand on the next program


@contextmanager
def _executor(scheduler: str | None, workers: int) -> Iterator[Executor]:
    """Processes of this machine, or a Dask cluster behind the same interface."""
    if scheduler is None:
        # small networks gain more from a process a core than from threads within a matrix product
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (os.getpid(),))
        try:
            yield pool
        except BaseException:
            processes = list(pool._processes.values())
            for process in processes:
                process.terminate()  # those that train write a checkpoint first
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.join(_LONGEST_STEP)
            raise
        pool.shutdown()
        return
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise InputError(
            "--scheduler needs dask.distributed, which is missing: pip install 'rhmtheory[cluster]'"
        ) from None
    try:
        client = Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler} ({error}): start one with 'dask scheduler', workers with "
            "'dask worker', and give its address"
        ) from error
    with client:
        yield client.get_executor()  # type: ignore[no-untyped-call]


def _start_worker(parent: int) -> None:
    """A worker is ended by its parent, not by the keyboard, and outlives it by a step and a checkpoint only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["NUMBA_NUM_THREADS"] = "1"

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LONGEST_STEP)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
