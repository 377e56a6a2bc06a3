"""Values that must not change: what a seed stands for, and what exact computations give.

    python tests/data/make_reference.py            # shows them as JSON
    python tests/data/make_reference.py --write    # freezes them in tests/data/reference.json

Recorded experiments name their grammars and sentences by seeds. A value that changes on purpose is frozen anew with
``--write``, and the change is told in the changelog.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import rhmtheory as rt
from rhmtheory.language.quenched import quenched_correlations, quenched_plateaus

FILE = Path(__file__).with_name("reference.json")
ENSEMBLES = {
    "binary": rt.RHM(v=16, m=4, s=2, L=3),
    "levels differ": rt.RHM(v=(6, 5, 7), m=(2, 3, 1), s=(2, 3, 2), L=3, n=4),
    "zipf": rt.RHM(v=8, m=3, s=2, L=3, rule_probabilities=rt.zipf(3, 0.7)),
}
MANY = 400_000
"""Sentences: enough for several threads."""


def digest(*arrays):
    """The bytes of arrays in one number, the same whatever the order of bytes in the machine."""
    h = hashlib.sha256()
    for x in arrays:
        x = np.asarray(x)
        h.update(f"{x.dtype.kind}{x.dtype.itemsize}{x.shape}".encode())
        h.update(x.astype(x.dtype.newbyteorder("<"), copy=False).tobytes())
    return h.hexdigest()


def drawn():
    """What is drawn from a seed: the same bytes everywhere."""
    for name, rhm in ENSEMBLES.items():
        g = rhm.grammar(seed=3)
        yield f"grammar, {name}", g.fingerprint
        yield f"first sentences, {name}", g.sample(2, seed=5).tolist()
        yield f"sentences, {name}", digest(g.sample(MANY, seed=5))
        yield f"trees, {name}", digest(*g.sample_trees(MANY // 8, seed=6).levels)
        yield (
            f"stream, {name}",
            digest(*(batch for batch, _ in zip(g.stream(1000, seed=7), range(3), strict=False))),
        )
        tokens = g.sample(500, seed=8)
        hidden = np.arange(rhm.d) % 3 == 0
        yield (
            f"draws from the posterior, {name}",
            digest(g.sample_posterior(tokens, mask=hidden, samples=4, seed=9)),
        )
    small = rt.RHM(v=8, m=2, s=2, L=2).grammar(seed=0)
    yield "rules of the root's level", small.rules(2)[:3].tolist()
    yield "first sentences, weighted root", small.reweighted(prior=np.arange(8) / 28).sample(3, seed=1).tolist()
    published = rt.Grammar.from_published_seed(rt.RHM(v=16, m=4, s=2, L=4), 2362346)
    yield "grammar of a published seed", published.fingerprint
    counts = rt.count_pairs(ENSEMBLES["binary"].grammar(seed=3).sample(50_000, seed=1), 16, distances=[1, 4])
    yield "pair counts", digest(counts.counts)
    for sharing in (True, False):
        rhm = rt.RHM(v=8, m=2, s=2, L=3)
        model = rt.learn(rhm, rhm.grammar(seed=0).sample(20_000, seed=1), sharing=sharing)
        yield f"groups of the clustering learner, sharing={sharing}", digest(*model.tables)


def computed():
    """What is computed: equal within rounding on other machines, and to the last bit on this one."""
    for name, rhm in ENSEMBLES.items():
        g = rhm.grammar(seed=3)
        tokens = g.sample(3000, seed=5)
        yield f"plateaus, {name}", g.plateaus().tolist()
        yield f"entropies of all tokens, {name}", g.next_token_entropies().tolist()
        estimate = g.estimate_next_token_entropies(samples=2000, seed=1)
        yield f"estimated entropies, {name}", [estimate.mean.tolist(), estimate.standard_error.tolist()]
        yield f"mean posterior of the last token, {name}", g.posterior(tokens).mean(axis=0).tolist()
        yield f"covariance of the outermost tokens, {name}", g.covariance(0, rhm.d - 1)[0].tolist()
        if rhm.rule_probabilities is None:
            yield f"chain of compatible symbols, {name}", rhm.plateaus().tolist()
        yield f"ensemble's correlations, {name}", [rhm.rms_correlation(k) for k in range(1, rhm.L + 1)]
        yield f"plateaus of drawn grammars, {name}", quenched_plateaus(rhm, grammars=6, seed=2).values.tolist()
        drawn = quenched_correlations(rhm, grammars=6, seed=2)
        yield f"correlations of drawn grammars, {name}", drawn.values.tolist()
    for law in rt.ARCHITECTURES:
        p = rt.predict(ENSEMBLES["binary"], law)
        yield f"prediction, {law}", [p.P.finite_size.tolist(), p.exponent, p.few_level_exponent.finite_size]


def reference():
    """All values by name, in two groups."""
    return {"drawn": dict(drawn()), "computed": dict(computed())}


def in_lines(groups):
    """JSON with one value per line."""
    parts = [
        f"{json.dumps(group)}: {{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(x)}" for k, x in found.items())
        for group, found in groups.items()
    ]
    return "{\n" + "\n},\n".join(parts) + "\n}\n}\n"


if __name__ == "__main__":
    text = in_lines(reference())
    if "--write" in sys.argv[1:]:
        FILE.write_text(text)
    else:
        print(text, end="")
