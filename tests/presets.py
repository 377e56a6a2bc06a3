"""Presets that train in a moment."""

TINY = """
summary = "tiny"
[[sweep]]
network = "cnn"
arguments = { width = 8 }
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 2
samples = { lowest = 16, highest = 64, per_octave = 1 }
training = { learning_rate = 1.0, max_steps = 20, test_size = 64, batch_size = 16 }
"""
