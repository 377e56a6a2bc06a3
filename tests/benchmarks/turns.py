"""Times of calls on a machine on which other work runs: several in turns, which it meets alike; by thread."""

import time

import numpy as np

from rhmtheory.support.parallel import thread_count


def in_turns(calls, rounds):
    """Processor seconds of each call in each round, by name: arrays (rounds,), after one call that is not timed."""
    times = {name: np.empty(rounds) for name in calls}
    for call in calls.values():
        call()
    for i in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name][i] = time.process_time() - start
    return times


def quartiles(values):
    """First quartile, median and third quartile."""
    return [float(x) for x in np.percentile(values, [25, 50, 75])]


def at_best_on_two_cores(call):
    """Seconds that one waits at least on two idle cores: what the calling thread computes, and half of the rest.

    Processor times, so that it can be said of a busy machine; what two cores take from each other is not in it.
    """
    assert thread_count() == 2, "measured with two threads: set NUMBA_NUM_THREADS=2"
    alone, whole = time.thread_time(), time.process_time()
    call()
    alone, whole = time.thread_time() - alone, time.process_time() - whole
    return alone + (whole - alone) / 2
