#!/bin/sh
# Thresholds of the clustering learner with bare and with effective targets: `sh beyond_clustering.sh` writes
# clustering.txt and clustering.jsonl into validation/results/beyond; stopped, it goes on where it was.
set -e
cd "$(dirname "$0")/../results/beyond"
exec > clustering.txt
for ensemble in "--v 12 --m 3 --s 2 --L 3" "--v 16 --m 4 --s 2 --L 3"; do
    for targets in token spine; do
        for how in "--criterion tuples" "--criterion symbols --no-sharing"; do
            echo "targets: $targets"
            rhmtheory thresholds $ensemble --grammars 8 --most 4194304 --targets $targets $how --record clustering.jsonl
        done
    done
done
