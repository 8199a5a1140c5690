#!/bin/sh
# Queues with their dead-letter queues, and buckets, as far as they are not there. May be run again at any time.
#
# What a queue is given is what deploy/ecs gives it, and why is said there; a test compares the two.
set -eu

# Said twice: the first generation of the CLI reads neither AWS_REGION nor, for SQS, AWS_ENDPOINT_URL.
export AWS_DEFAULT_REGION="$AWS_REGION"
sqs() { aws --endpoint-url "$AWS_ENDPOINT_URL" sqs "$@" --output text; }
s3() { aws --endpoint-url "$AWS_ENDPOINT_URL_S3" s3api "$@"; }

# A queue and its dead letters. Commands have a sequence per customer; images have none, and a standard queue.
make() {
    fifo="" suffix=""
    if [ "${1%.fifo}" != "$1" ]; then
        suffix=.fifo
        fifo='"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId",'
    fi
    common="$fifo \"MessageRetentionPeriod\": \"1209600\", \"VisibilityTimeout\": \"60\""
    dead_letters="${1%.fifo}-dead-letters$suffix"
    url=$(sqs create-queue --queue-name "$dead_letters" --attributes "{$common}" --query QueueUrl)
    arn=$(sqs get-queue-attributes --queue-url "$url" --attribute-names QueueArn --query Attributes.QueueArn)
    # As JSON: the redrive policy is JSON within a string.
    redrive="{\\\"deadLetterTargetArn\\\":\\\"$arn\\\",\\\"maxReceiveCount\\\":100}"
    sqs create-queue --queue-name "$1" --attributes "{$common, \"RedrivePolicy\": \"$redrive\"}" --query QueueUrl
}

for queue in "$ORDERS_QUEUE" "$DOCUMENTS_QUEUE" "$WEBHOOKS_QUEUE" "$CATALOG_EVENTS_QUEUE" "$MEDIA_QUEUE"; do
    make "$queue"
done

for bucket in "$DOCUMENTS_BUCKET" "$MEDIA_BUCKET"; do
    s3 head-bucket --bucket "$bucket" 2>/dev/null || s3 create-bucket --bucket "$bucket" >/dev/null
    echo "s3://$bucket"
done

# What a CDN delivers of a real bucket: renditions, and never an upload.
s3 put-bucket-policy --bucket "$MEDIA_BUCKET" --policy "{\"Version\": \"2012-10-17\", \"Statement\": [{
    \"Effect\": \"Allow\", \"Principal\": \"*\", \"Action\": \"s3:GetObject\",
    \"Resource\": \"arn:aws:s3:::$MEDIA_BUCKET/images/*\"
}]}"
