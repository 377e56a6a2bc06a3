"""
Two decays of a corpus
======================

How correlations fall with distance, :math:`t^{-\\beta}`, and how the entropy of a token falls with its context,
:math:`n^{-\\gamma}`, predict how fast the loss of a language model falls with data: :math:`\\alpha =
\\gamma/(2\\beta)` (`arXiv:2602.07488 <https://arxiv.org/abs/2602.07488>`_). Here in sentences of one grammar,
counted and exact. For a text of your own: ``rt.analyse_corpus("text.txt")``.
"""

import numpy as np
from matplotlib import pyplot as plt

import rhmtheory as rt
from rhmtheory.corpus import count_pairs, last_token_pairs
from rhmtheory.theory import LAWS, corpus_exponent

rhm = rt.RHM(v=16, m=4, s=2, L=5)
grammar = rhm.grammar(seed=0)
beta, gamma = rhm.beta, rhm.gamma
counts = count_pairs(grammar.sample(200_000, seed=1), rhm.v, pairs=last_token_pairs(rhm.d))
t = np.arange(1, rhm.d)

plt.style.use("rhmtheory.plotting.house")
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
exact = grammar.correlation_function()[1:]
left.plot(t, counts.rms(), "o", ms=4, label=f"{counts.sequences} sentences, noise subtracted")
left.step(t, exact, where="mid", color="black", ls="-", lw=1, label="exact, this grammar")
left.plot(t, exact[0] * t**-beta, color="C1", ls="--", label=rf"$t^{{-\beta}}$, $\beta = \ln m/\ln s = {beta:g}$")
left.plot(t, np.sqrt(counts.noise_mean_square()), color="0.6", ls=":", label="noise floor")
left.set(xscale="log", yscale="log", xlabel="distance $t$ (tokens)", ylabel="RMS covariance", ylim=exact.min() / 3)
left.legend()

H = grammar.plateaus()
n = rhm.s ** np.arange(rhm.L)
excess = H[:-1] - H[-1]
right.plot(n, excess, "o", label="exact, this grammar")
law = excess[1] * (n / n[1]) ** -gamma
right.plot(n, law, color="C1", ls="--", label=rf"$n^{{-\gamma}}$, $\gamma = \ln(1/f)/\ln s = {gamma:g}$")
right.set(xscale="log", yscale="log", xlabel="context and target, $n = s^k$ (tokens)", ylabel="$H_n - H_L$ (nats)")
right.legend()

print(f"alpha = gamma / (2 beta) = {corpus_exponent(beta, gamma):.3g}")
print(f"exponent of the transformer's law: {LAWS['unshared'].exponent(rhm):.3g}")
