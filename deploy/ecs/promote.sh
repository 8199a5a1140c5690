#!/bin/sh
# Gives one environment the images that another has tested, by their digests. What is there already stays: tags are immutable.
#
#   promote.sh REGISTRY FROM TO COMMIT
set -eu

registry=$1 from=$2 to=$3 commit=$4

for service in catalog documents documents-import orders gateway; do
    if aws ecr describe-images --repository-name "$to/$service" --image-ids imageTag="$commit" >/dev/null 2>&1; then
        echo "$to/$service:$commit is there"
        continue
    fi
    # The very manifest: an index around it would be another digest, and Lambda takes none.
    docker buildx imagetools create --prefer-index=false --tag "$registry/$to/$service:$commit" "$registry/$from/$service:$commit"
done
