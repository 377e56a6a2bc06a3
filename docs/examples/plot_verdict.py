"""
m or m²: the verdict
====================

Networks trained on fresh sentences at every step, many grammars each. *Left:* the loss comes down from plateau
to plateau. *Right:* what each further level costs, on axes where a constant factor per level is a straight
line. The published laws (`arXiv:2505.07070 <https://arxiv.org/abs/2505.07070>`_) say m with weight sharing and
m² without.
"""

from matplotlib import pyplot as plt

from rhmtheory.plotting import plot_verdict
from rhmvalidation import report

study = report("../../validation/results/cpu").study
largest = max(study.comparisons, key=lambda c: (len(c.measurements), c.rhm.m))

plt.style.use("rhmtheory.plotting.house")
fig, axes = plt.subplots(1, 2, figsize=(12, 5))
plot_verdict(largest.measurements, axes)
for m in largest.measurements:
    print(f"{m.curves.name}: factor per level {m.step_factor.measured}")
    for one in m.step_factor.judged:
        print(f"    law of the {one.law}, {one.method}: {one.predicted:.3g}, {one.verdict}")
