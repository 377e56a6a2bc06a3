#!/bin/sh
# Thresholds of the clustering learner with bare and with effective targets: `sh beyond_clustering.sh` writes
# clustering.txt and clustering.jsonl into validation/results/beyond; stopped, it goes on where it was.
set -e
cd "$(dirname "$0")/../results/beyond"
exec > clustering.txt
for ensemble in "--v 12 --m 3 --s 2 --L 3" "--v 16 --m 4 --s 2 --L 3"; do
    for laws in "shared unshared" "own_latents effective_targets"; do
        set -- $(echo $laws)
        shared=$(echo "$1" | tr _ " ") unshared=$(echo "$2" | tr _ " ")
        run="rhmtheory thresholds $ensemble --grammars 8 --most 4194304 --record clustering.jsonl"
        $run --criterion tuples --law "$shared" --law "$unshared"
        $run --criterion symbols --law "$unshared"
    done
done
