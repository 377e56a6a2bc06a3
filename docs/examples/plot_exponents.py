"""
Predicted against measured exponents
====================================

The excess loss falls as :math:`P^{-\\alpha}`. For many levels :math:`\\alpha` is :math:`\\ln(1/f)/(2 \\ln m)`
without and :math:`\\ln(1/f)/\\ln m` with weight sharing; with few levels, the same fit to the predicted
staircase is the fair prediction. Points on the diagonal are networks that do what theory says.
"""

from matplotlib import pyplot as plt

from rhmtheory.plotting import plot_exponents
from rhmvalidation import report

measurements = report("../../validation/results/cpu").study.measurements

plt.style.use("rhmtheory.plotting.house")
fig, axes = plt.subplots(1, 3, figsize=(13, 4.6))
for prediction, ax in zip(("many levels", "published", "finite_size"), axes, strict=True):
    plot_exponents(measurements, ax, prediction=prediction)
