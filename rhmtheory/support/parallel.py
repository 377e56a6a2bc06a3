"""Threads for the compiled kernels: they release the GIL, and every output row depends on its index alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from rhmtheory.support.checks import as_int
from rhmtheory.support.errors import InputError


def thread_count(threads: int | None = None) -> int:
    """Number of threads to use: as asked, else ``NUMBA_NUM_THREADS``, else the cores this process may use."""
    if threads is not None:
        return as_int("threads", threads, low=1)
    asked = os.environ.get("NUMBA_NUM_THREADS")
    if asked:
        digits = asked.strip()
        if not (digits.isdecimal() and len(digits) < 10 and int(digits)):
            raise InputError(
                "NUMBA_NUM_THREADS", asked, "is no number of threads", "set it to 1 or more, or unset it"
            )
        return int(digits)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def for_ranges(
    work: Callable[[int, int], object], count: int, *, threads: int | None = None, least: int = 1
) -> None:
    """Call ``work(start, stop)`` over a partition of ``range(count)``, in parallel threads.

    Ranges hold at least ``least`` items, so that small jobs stay on one thread. ``work`` must write
    disjoint outputs for disjoint ranges.
    """
    workers = min(thread_count(threads), max(1, count // max(1, least)))
    if workers == 1:
        work(0, count)
        return
    # a few ranges a thread even out the load without many hand-overs
    pieces = min(4 * workers, max(workers, count // max(1, least)))
    edges = [count * i // pieces for i in range(pieces + 1)]
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, a, b) for a, b in pairwise(edges)]:
            done.result()
