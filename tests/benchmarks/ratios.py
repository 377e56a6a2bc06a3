"""Fast forms against plain forms of the same work, in one run: a ratio far below the usual one is a regression.

``python tests/benchmarks/ratios.py`` prints the ratios and fails where one leaves its band. Times are processor
times of this process, so that a busy machine does not matter much, and bands are wide.
"""

import sys
import time
from statistics import median
from unittest.mock import patch

from rhmtheory import RHM
from rhmtheory.exact import _spine as spine
from rhmtheory.exact import entropy
from rhmtheory.exact.entropy import next_token_entropies


def seconds(call, rounds=3):
    """Median processor time of some calls, after one that compiles."""
    call()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return median(times)


def sampling(rhm):
    """Expansion tables against the same choices followed rule by rule (which also fills the upper levels)."""
    grammar, n = rhm.grammar(seed=0), 1_000_000 // rhm.d
    return (
        seconds(lambda: grammar.sample_trees(n, threads=1).levels)
        / seconds(lambda: [grammar.sample(n, threads=1) for _ in range(10)])
        * 10
    )


def last_token(rhm):
    """The filter down the spine against the sum-product."""
    grammar = rhm.grammar(seed=0)
    tokens = grammar.sample(100_000, seed=1)
    fast = seconds(lambda: grammar.posterior(tokens, threads=1))
    with patch.object(spine, "fits", lambda rhm, window: False):
        return seconds(lambda: grammar.posterior(tokens[:4_000], threads=1)) * 25 / fast


def all_entropies(rhm):
    """The chain rule and two levels at once against beliefs about every token."""
    grammar = rhm.grammar(seed=0)
    views = {x: [spine.see(grammar, x, p) for p in range(rhm.n_children(x))] for x in range(1, rhm.L + 1)}
    certain, step = entropy._certain(grammar.prior), entropy._exact(grammar, views)
    plain = seconds(lambda: sum(len(end.beliefs) for end in entropy._leaves(rhm.L, certain, step)), rounds=1)
    return plain / seconds(lambda: next_token_entropies(grammar))


CASES = [
    (sampling, RHM(v=32, m=8, s=2, L=3), 5),
    (sampling, RHM(v=16, m=4, s=2, L=8), 5),
    (last_token, RHM(v=16, m=4, s=2, L=4), 5),
    (last_token, RHM(v=16, m=4, s=2, L=8), 3),
    (all_entropies, RHM(v=32, m=8, s=2, L=6), 2),
]


def main():
    """Print every ratio; one if some are too small."""
    slow = 0
    for work, rhm, least in CASES:
        ratio = work(rhm)
        slow += ratio < least
        verdict = "" if ratio >= least else f"   too small: at least {least}"
        print(f"{work.__name__:14} {rhm!r:28} plain / fast = {ratio:6.1f}{verdict}")
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
