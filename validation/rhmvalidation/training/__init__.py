"""Training: examples, optimisers, devices, and the trainer of replicas side by side."""
