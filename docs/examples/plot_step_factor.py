"""
Step factor against m
=====================

The factor in samples from one level to the next, on ensembles with different m and the same fraction f of
grammatical tuples. A law :math:`m^a` is a straight line of slope a: one with weight sharing, two without.
Dashes are the same laws with the exact second moment of correlations in place of its limit for many symbols.
"""

from matplotlib import pyplot as plt

from rhmtheory.plotting import plot_ladders
from rhmvalidation import report

ladders = report("../../validation/results/cpu").study.ladders

plt.style.use("rhmtheory.plotting.house")
fig, ax = plt.subplots(figsize=(6.6, 5))
plot_ladders(ladders, ax)
for one in ladders:
    print(f"{one.label}: slope {one.slope.measured}; published {one.slope.against('published').predicted:.3g}")
