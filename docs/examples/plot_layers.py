"""
Which layer knows which level
=============================

Redraw one hidden symbol, or only its production rule, which makes a synonym. A layer represents a level when it
reacts to the first and is blind to the second (`arXiv:2505.07070 <https://arxiv.org/abs/2505.07070>`_). A small
convolutional network, trained here in seconds: layers turn blind in the order of the levels.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt

import rhmtheory as rt
import rhmvalidation as rv

torch.set_num_threads(1)
grammar = rt.RHM(v=12, m=3, s=2, L=3).grammar(seed=0)
torch.manual_seed(0)
network = rv.cnn(grammar.rhm, width=64)
optimiser = torch.optim.SGD(network.parameters(), lr=2.0 * network.rate_scale())

seen, blindness = [], []
for step, batch in zip(range(2001), grammar.stream(128, seed=2), strict=False):
    if step in (0, 125, 250, 500, 1000, 2000):
        seen.append(128 * step)
        blindness.append(rv.sensitivity(network, grammar, sentences=1024).blindness)
    optimiser.zero_grad()
    tokens = torch.from_numpy(batch).long()
    torch.nn.functional.cross_entropy(network(tokens), tokens[:, -1]).backward()
    optimiser.step()

plt.style.use("rhmtheory.plotting.house")
fig, axes = plt.subplots(1, len(seen), figsize=(12, 2.8), sharey=True)
for ax, P, values in zip(axes, seen, np.array(blindness), strict=True):
    image = ax.imshow(values, vmin=0, vmax=1)
    for (layer, level), value in np.ndenumerate(values):
        ax.text(level, layer, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.5 else "black")
    ax.set(xticks=range(values.shape[1]), xticklabels=range(1, values.shape[1] + 1), xlabel="hidden level")
    ax.set(yticks=range(len(values)), yticklabels=range(1, len(values) + 1), title=f"{P} samples")
axes[0].set_ylabel("layer")
fig.colorbar(image, ax=axes, label="blindness to synonyms")
