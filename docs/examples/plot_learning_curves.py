"""
Learning curves over steps and plateaus
=======================================

Mean test loss of each network with its 95% band over grammars; horizontal lines are the exact plateaus
:math:`H_k`, the entropy of the last token given :math:`s^k - 1` tokens before it. Thin steps are the published
prediction, with one prefactor for each network (`arXiv:2505.07070 <https://arxiv.org/abs/2505.07070>`_).
"""

from matplotlib import pyplot as plt

from rhmtheory.plotting import plot_curves
from rhmvalidation import report

comparisons = report("../../validation/results/cpu").study.comparisons

rows = (len(comparisons) + 1) // 2
plt.style.use("rhmtheory.plotting.house")
fig, axes = plt.subplots(rows, 2, figsize=(13, 4.6 * rows), squeeze=False)
for comparison, ax in zip(comparisons, axes.flat, strict=False):
    plot_curves(comparison.measurements, ax)
for ax in axes.flat[len(comparisons) :]:
    ax.remove()
