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
from typing import Protocol

import torch

from rhmtheory import InputError
from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import ResourceError
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
        """Read ``i/n``; raises `InputError` for anything else."""
        parts = text.split("/")
        if len(parts) != 2 or not all(part.isdecimal() and len(part) < 10 for part in parts):
            raise InputError("shard", text, "must have the form i/n with two numbers", "give one such as 2/8")
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
    # of a custom network only the weights are known
    width = 0 if run.network.record.custom else run.network.get("width", 0)
    activations = settings.batch_size * run.rhm.d * width * (run.rhm.L + 1)
    sentences = settings.test_size + settings.batch_size
    sentences += max(one.P for one in runs) if settings.protocol == "offline" else 0
    return len(runs) * (16 * weights + 16 * activations + sentences * run.rhm.d)


def check_memory(runs: Sequence[Run], device: torch.device) -> None:
    """Raise `ResourceError` for a program that a device cannot hold; on a GPU, which may halve it, for one run."""
    if device.type == "cuda":
        needed, there = memory(runs[:1]), float(torch.cuda.get_device_properties(device).total_memory)
    else:
        needed, there = memory(runs), memory_size()
    if needed > there:
        raise ResourceError(
            f"{len(runs)} replicas of {runs[0].network.name} on {runs[0].rhm}",
            rule=f"need about {needed / 2**30:.3g} GiB, and {device} has {there / 2**30:.3g}",
            way_out="lower replicas, width, batch_size, test_size or the largest P",
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
    """Train what the folder does not have yet, and keep the runs of every program as soon as it is finished.

    Parameters
    ----------
    programs : sequence of sequences of Run
        See `groups`.
    folder : ResultFolder
    device : str or torch.device
        On a GPU programs run one after another in this process.
    scheduler : str, optional
        Address of a Dask cluster that trains in place of this machine; each worker looks for the device.
    workers : int, optional
        Processes on the CPU, one thread each; by default as many as cores. With 1 this process trains.
    on_done, on_step : callable
        Are told of finished programs and, where this process trains, of each step.

    Raises
    ------
    ResourceError
        For networks that memory does not hold, full disks, and workers or a scheduler that are gone.
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

    count = thread_count(None) if workers is None else as_int("workers", workers, low=1)
    if missing:
        with _back_end(missing, folder, device, scheduler, min(count, len(missing)), on_step) as end:
            for runs in missing:
                end.submit(runs, keep)
            end.wait()


Keep = Callable[[Sequence[Run], Sequence[Outcome]], None]


class BackEnd(Protocol):
    """Trains programs, and hands their runs to ``keep`` when they are finished; a context manager."""

    def submit(self, runs: Sequence[Run], keep: Keep) -> None:
        """Train a program, now or later."""

    def wait(self) -> None:
        """Return when all programs are finished and kept."""


@contextmanager
def _back_end(
    programs: Sequence[Sequence[Run]],
    folder: ResultFolder,
    device: str | torch.device,
    scheduler: str | None,
    workers: int,
    on_step: Callable[[Sequence[Run], int], None],
) -> Iterator[BackEnd]:
    """Choose by what was asked for and what there is: a cluster, this process, or processes of this machine."""
    if scheduler is not None:
        with Dask(scheduler, device) as cluster:
            yield cluster
        return
    here = pick_device(device)
    for runs in programs:
        check_memory(runs, here)
    if here.type != "cpu" or workers == 1:
        yield Here(here, folder.checkpoint, on_step)
        return
    with Processes(workers, here, folder.checkpoint) as processes:
        yield processes


@dataclass(frozen=True)
class Here:
    """This process trains, one program after another."""

    device: torch.device
    checkpoint: Callable[[Sequence[Run]], Path]
    on_step: Callable[[Sequence[Run], int], None]

    def submit(self, runs: Sequence[Run], keep: Keep) -> None:
        """Train a program, and keep each part of it as soon as it is finished."""
        for part, outcomes in train_in_parts(runs, self.device, self.checkpoint, self.on_step):
            keep(part, outcomes)

    def wait(self) -> None:
        """Nothing is under way."""


class _Futures:
    """Programs under way in other processes."""

    losses: tuple[type[Exception], ...]
    """Raised where those who train are gone."""
    trainers: str
    """Whom the error names."""

    def __init__(self, executor: Executor, device: str, checkpoint: Callable[[Sequence[Run]], Path] | None) -> None:
        self._executor, self._device, self._checkpoint = executor, device, checkpoint
        self._under_way: dict[Future[list[Outcome]], tuple[Sequence[Run], Keep]] = {}

    def submit(self, runs: Sequence[Run], keep: Keep) -> None:
        """Hand a program to whoever is free."""
        future = self._executor.submit(_in_worker, runs, self._device, self._checkpoint)
        self._under_way[future] = runs, keep

    def wait(self) -> None:
        """Keep programs as they are finished."""
        try:
            for future in as_completed(self._under_way):
                runs, keep = self._under_way[future]
                keep(runs, future.result())
        except self.losses as error:
            raise ResourceError(
                self.trainers,
                rule="was ended from outside, often for lack of memory",
                way_out="use fewer `workers`, or fewer replicas in the preset; finished runs are kept, and the "
                "same command goes on from there",
            ) from error


class Processes(_Futures):
    """Processes of this machine, with one thread each."""

    losses = (BrokenProcessPool,)
    trainers = "a worker process"

    def __init__(self, workers: int, device: torch.device, checkpoint: Callable[[Sequence[Run]], Path]) -> None:
        # small networks gain more from a process per core than from threads within a matrix product
        self._pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (os.getpid(),))
        super().__init__(self._pool, str(device), checkpoint)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._pool.shutdown()
            return
        processes = list(self._pool._processes.values())
        for process in processes:
            process.terminate()  # those that train write a checkpoint first
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.join(_LONGEST_STEP)


class Dask(_Futures):
    """Workers of a Dask cluster, which need not share this disk: no checkpoints."""

    def __init__(self, scheduler: str, device: str | torch.device) -> None:
        try:
            from distributed import Client
            from distributed.scheduler import KilledWorker
        except ModuleNotFoundError:
            raise InputError(
                "scheduler",
                scheduler,
                "needs dask.distributed, which is missing",
                "pip install 'rhmtheory[cluster]'",
            ) from None
        self.losses, self.trainers = (CancelledError, KilledWorker), f"a worker or the scheduler at {scheduler}"
        try:
            self._client = Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(
                "scheduler",
                scheduler,
                f"does not answer ({error})",
                "start one with 'dask scheduler --host 127.0.0.1' and workers with 'dask worker', give its address",
            ) from error
        super().__init__(self._client.get_executor(), str(device), None)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Dask:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()  # type: ignore[no-untyped-call]


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
    """Two halves of a program; raises `ResourceError` for one run, which cannot be halved."""
    if len(runs) == 1:
        raise ResourceError(
            f"one replica of {runs[0].network} (batch {runs[0].settings.batch_size})",
            rule=f"does not fit in the memory of {device}",
            way_out="lower width or batch_size",
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
