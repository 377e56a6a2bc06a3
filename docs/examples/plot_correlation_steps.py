"""
Correlations fall in steps
==========================

Covariance of a token with the last one, against distance: all tokens with the same lowest common ancestor are
correlated alike, and each level up costs a factor m. *P* sentences show correlations down to a noise floor, and
so let a learner see only so far (`arXiv:2406.00048 <https://arxiv.org/abs/2406.00048>`_).
"""

import numpy as np
from matplotlib import pyplot as plt

import rhmtheory as rt
from rhmtheory.corpus import count_pairs, last_token_pairs

rhm = rt.RHM(v=32, m=8, s=2, L=4)
grammar = rhm.grammar(seed=0)
t = np.arange(1, rhm.d)

plt.style.use("rhmtheory.plotting.house")
fig, ax = plt.subplots()
ax.step(t, grammar.correlation_function()[1:], where="mid", color="black", ls="-", label="exact, this grammar")
levels = np.arange(1, rhm.L + 1)
ensemble = np.repeat([rhm.rms_correlation(level) for level in levels], rhm.s ** (levels - 1) * (rhm.s - 1))
ax.step(t, ensemble, where="mid", color="0.5", ls="--", label="exact, mean over grammars")
for P, marker, color in ((10**3, "o", "C1"), (10**4, "s", "C2"), (10**5, "^", "C0")):
    counts = count_pairs(grammar.sample(P, seed=1), rhm.v, pairs=last_token_pairs(rhm.d))
    seen = np.sqrt((counts.covariance() ** 2).mean(axis=(1, 2)))
    ax.plot(t, seen, marker, color=color, ms=5, label=f"{P} sentences")
    ax.axhline(np.sqrt(counts.noise_mean_square().mean()), color=color, ls=":", lw=1)
ax.set(xscale="log", yscale="log", xlabel="distance from the last token", ylabel="RMS covariance")
ax.set_title("dotted: noise floor of as many sentences")
ax.legend()
