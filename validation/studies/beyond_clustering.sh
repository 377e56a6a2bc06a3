#!/bin/sh
# Thresholds of the clustering learner with bare and with effective targets: run in this folder, as
# `sh clustering.sh > clustering.txt`. Every threshold is appended to clustering.jsonl; stopped, it goes on where it was.
set -e
for ensemble in "--v 12 --m 3 --s 2 --L 3" "--v 16 --m 4 --s 2 --L 3"; do
    for targets in token spine; do
        for how in "--criterion tuples" "--criterion symbols --no-sharing"; do
            echo "targets: $targets"
            rhmtheory thresholds $ensemble --grammars 8 --most 4194304 --targets $targets $how --record clustering.jsonl
        done
    done
done
