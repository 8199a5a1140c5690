#!/bin/sh
# Gives one environment the images that another has tested, by their digests. What is there already stays: tags are immutable.
# The two may be in different regions; AWS_REGION is that of TO.
#
#   promote.sh FROM-REGISTRY FROM TO-REGISTRY TO COMMIT
set -eu

source=$1/$2 target=$3/$4 to=$4 commit=$5

for service in catalog documents documents-import orders gateway; do
    if aws ecr describe-images --repository-name "$to/$service" --image-ids imageTag="$commit" >/dev/null 2>&1; then
        echo "$to/$service:$commit is there"
        continue
    fi
    # The very manifest: an index around it would be another digest, and Lambda takes none.
    docker buildx imagetools create --prefer-index=false --tag "$target/$service:$commit" "$source/$service:$commit"
done
