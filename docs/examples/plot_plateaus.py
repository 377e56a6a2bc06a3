"""
Plateaus of the loss
====================

Entropy of the last token given :math:`s^k - 1` tokens before it: in one grammar, exactly; by the chain of
compatible symbols, which is what the authors tabulate; and the annealed bound. Each level of context leaves a
fraction f of the wrong symbols.
"""

from matplotlib import pyplot as plt

import rhmtheory as rt
from rhmtheory.plotting import plot_plateaus

rhm = rt.RHM(v=16, m=4, s=2, L=5)
rows = {f"grammar {seed}, exact": rhm.grammar(seed=seed).plateaus() for seed in range(2)}
rows |= {method: rhm.plateaus(method) for method in ("chain", "annealed")}

plt.style.use("rhmtheory.plotting.house")
fig, ax = plt.subplots()
plot_plateaus(rows, rhm, ax)
