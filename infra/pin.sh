#!/bin/sh
# Let what is deployed be built on base images that cannot change: put a digest behind each tag. Prints images and digests.
# arguments: what an earlier call has printed; without, the digests that the tags have now.
set -eu
cd "$(dirname "$0")/.."
pins=${*:-$(for image in $(sed -n 's/^FROM \([^ ]*\).*/\1/p' functions/processor/Dockerfile); do
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
    echo "$image@$digest"
done)}
for pin in $pins; do
    grep -rlF "${pin%@*}" functions layers | while read -r file; do sed -i "s|${pin%@*}|$pin|" "$file"; done
done
echo $pins
