"""
Learning curves over steps and plateaus
=======================================

Mean test loss of each network with its 95% band over grammars; horizontal lines are the exact plateaus
:math:`H_k`, the entropy of the last token given :math:`s^k - 1` tokens before it. Thin steps are the published
prediction, with one prefactor for each network (`arXiv:2505.07070 <https://arxiv.org/abs/2505.07070>`_).
"""

from matplotlib import pyplot as plt
from rhmvalidation.report import report

from rhmtheory.plotting import plot_curves

comparisons = report("../../validation/results/cpu").study.comparisons

fig, axes = plt.subplots(len(comparisons), 1, figsize=(7, 4.6 * len(comparisons)), squeeze=False)
for comparison, ax in zip(comparisons, axes[:, 0], strict=True):
    plot_curves(comparison.measurements, ax)
