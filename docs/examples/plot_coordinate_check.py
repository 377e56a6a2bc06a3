"""
Coordinate check
================

Do hidden activations keep their size when a network grows wider, and does a step of training move them by the same
amount? In the mean-field parametrisation of the published networks both lines are flat: a learning rate, in units
of the width, means the same at every width. Solid: root mean square at the start; dashed: what four steps add.
"""

from matplotlib import pyplot as plt

from rhmtheory import RHM
from rhmvalidation.diagnostics import coordinate_check

rhm = RHM(v=16, m=4, s=2, L=3)
plt.style.use("rhmtheory.plotting.house")
fig, axes = plt.subplots(1, 3, figsize=(10, 3.8), sharey=True, layout="constrained")
for network, ax in zip(("cnn", "lcn", "fcn"), axes, strict=True):
    check = coordinate_check(network, rhm, widths=(32, 64, 128, 256))
    check.plot(ax)
    slopes = ", ".join(f"{slope:+.3f}" for slope in check.update_exponents)
    print(f"{network}: updates grow with the width to the power {slopes}, layer by layer")
