"""
Context in use
==============

Distance (Kullback--Leibler divergence) of a network from the ideal predictors that know the grammar and see 0,
1, 3 or 7 tokens. The lowest curve tells how much context the network uses: it grows level by level. A small
convolutional network, trained here in seconds.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt

import rhmtheory as rt
import rhmvalidation as rv
from rhmtheory.plotting import plot_context

torch.set_num_threads(1)
rhm = rt.RHM(v=12, m=3, s=2, L=3)
grammar = rhm.grammar(seed=0)
torch.manual_seed(0)
network = rv.cnn(rhm, width=64)
optimiser = torch.optim.SGD(network.parameters(), lr=2.0 * network.rate_scale())

seen, divergence = [], []
evaluate_at = set(np.geomspace(4, 2000, 16).astype(int))
for step, batch in zip(range(2001), grammar.stream(128, seed=2), strict=False):
    if step in evaluate_at:
        seen.append(128 * step)
        divergence.append(rv.evaluate(network, grammar, sentences=1024, seed=1).divergence[:, -1])
    optimiser.zero_grad()
    tokens = torch.from_numpy(batch).long()
    torch.nn.functional.cross_entropy(network(tokens), tokens[:, -1]).backward()
    optimiser.step()

plt.style.use("rhmtheory.plotting.house")
fig, ax = plt.subplots()
plot_context(rhm, [("cnn", seen, divergence)], ax)
