#!/bin/sh
# The clustering learner on the ensembles of the m-ladder: `sh learner_ladder.sh` writes ladder.txt and
# ladder.jsonl into validation/results/learner; stopped, the study goes on where it was.
set -e
cd "$(dirname "$0")/../results/learner"
exec > ladder.txt
for m in 2 3 4 5 6; do
    rhmtheory thresholds --v $((4 * m)) --m $m --s 2 --L 3 --grammars 16 --most 8388608 --record ladder.jsonl
done
