#!/bin/sh
# Fails when an image is larger than one may be: every start of a task fetches it, also the one that replaces a lost zone.
#
#   size.sh IMAGE
set -eu

megabytes_max=40

bytes=$(docker image inspect --format '{{.Size}}' "$1")
echo "$1: $((bytes / 1000000)) MB of the $megabytes_max that it may have"
[ "$bytes" -le $((megabytes_max * 1000000)) ]
