"""Studies: presets of runs, their execution, the folder that keeps them, and the report."""
