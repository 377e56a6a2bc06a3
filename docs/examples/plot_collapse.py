"""
Collapse of the steps
=====================

Each step of the learning curves, as the part that is still to go, against :math:`P/P_k`. Where a law has the
factor between the steps right, the steps of a network fall onto one curve; its distance from one on the axis is
the prefactor, which theory leaves open.
"""

from matplotlib import pyplot as plt

from rhmtheory.plotting import plot_collapse
from rhmvalidation import report

study = report("../../validation/results/cpu").study
largest = max(study.comparisons, key=lambda c: (len(c.measurements), c.rhm.m))

plt.style.use("rhmtheory.plotting.house")
fig, ax = plt.subplots()
plot_collapse(largest.measurements, ax)
for m in largest.measurements:
    print(f"{m.curves.name}: spread {m.collapse:.2g} (0: one curve; 1: no collapse)")
