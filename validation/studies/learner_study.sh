#!/bin/sh
# Measured sample complexities of the clustering learner: `sh learner_study.sh` writes summary.txt,
# thresholds.jsonl and figures into validation/results/learner; stopped, the study goes on where it was.
set -e
cd "$(dirname "$0")/../results/learner"
exec > summary.txt
study() {
    size="--v $1 --m $2 --s $3 --L 4"
    shift 3
    rhmtheory thresholds $size --grammars 16 --most 8388608 --record thresholds.jsonl "$@"
}
for ensemble in "12 3 2" "8 3 3" "16 4 2" "8 4 2" "32 4 2"; do
    study $ensemble --criterion tuples --plot "$(echo $ensemble | sed 's/\(.*\) \(.*\) \(.*\)/v\1-m\2-s\3/').png"
    study $ensemble --criterion symbols --law unshared
done
