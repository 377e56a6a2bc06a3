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
from rhmtheory.plotting import plot_context
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.training.context import ContextProbe

torch.set_num_threads(1)
rhm = rt.RHM(v=12, m=3, s=2, L=3)
grammar = rhm.grammar(seed=0)
network = NetworkSpec("cnn", {"width": 64}).build(rhm)
network.initialise([torch.Generator().manual_seed(0)])
optimiser = torch.optim.SGD(network.parameters(), lr=2.0 * network.rate_scale())
test = torch.from_numpy(grammar.sample(1024, seed=1))[None]
probe = ContextProbe([grammar], test)

seen, divergence = [], []
evaluate_at = set(np.geomspace(4, 2000, 16).astype(int))
for step, batch in zip(range(2001), grammar.stream(128, seed=2), strict=False):
    if step in evaluate_at:
        seen.append(128 * step)
        with torch.no_grad():
            divergence.append(probe.divergence(network(test))[0])
    optimiser.zero_grad()
    tokens = torch.from_numpy(batch)[None]
    torch.nn.functional.cross_entropy(network(tokens)[0], tokens[0, :, -1].long()).backward()
    optimiser.step()

fig, ax = plt.subplots()
plot_context(rhm, [("cnn", seen, divergence)], ax)
