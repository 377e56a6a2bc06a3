"""Compiled inner loops: arrays in, arrays out, no checks. Only the modules above call them."""
