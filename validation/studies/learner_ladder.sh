#!/bin/sh
# The clustering learner on the ensembles of the m-ladder: run in this folder, as `sh ladder.sh > ladder.txt`.
# Every threshold is appended to ladder.jsonl when it is found; stopped, the study goes on where it was.
set -e
for m in 2 3 4 5 6; do
    rhmtheory thresholds --v $((4 * m)) --m $m --s 2 --L 3 --grammars 16 --most 8388608 --record ladder.jsonl
done
