#!/bin/sh
# Queues with their dead-letter queues, and buckets, as far as they are not there. May be run again at any time.
#
# What a queue is given is what deploy/ecs gives it, and why is said there; a test compares the two.
set -eu

# Said twice: the first generation of the CLI reads neither AWS_REGION nor, for SQS, AWS_ENDPOINT_URL.
export AWS_DEFAULT_REGION="$AWS_REGION"
sqs() { aws --endpoint-url "$AWS_ENDPOINT_URL" sqs "$@" --output text; }
s3() { aws --endpoint-url "$AWS_ENDPOINT_URL_S3" s3api "$@"; }

common="FifoQueue=true,DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId,MessageRetentionPeriod=1209600"

for queue in "$ORDERS_QUEUE" "$DOCUMENTS_QUEUE" "$WEBHOOKS_QUEUE" "$CATALOG_EVENTS_QUEUE"; do
    dead_letters="${queue%.fifo}-dead-letters.fifo"
    url=$(sqs create-queue --queue-name "$dead_letters" --attributes "$common,VisibilityTimeout=60" --query QueueUrl)
    arn=$(sqs get-queue-attributes --queue-url "$url" --attribute-names QueueArn --query Attributes.QueueArn)
    # As JSON: the redrive policy is JSON within a string.
    sqs create-queue --queue-name "$queue" --attributes "{
        \"FifoQueue\": \"true\",
        \"DeduplicationScope\": \"messageGroup\",
        \"FifoThroughputLimit\": \"perMessageGroupId\",
        \"MessageRetentionPeriod\": \"1209600\",
        \"VisibilityTimeout\": \"60\",
        \"RedrivePolicy\": \"{\\\"deadLetterTargetArn\\\":\\\"$arn\\\",\\\"maxReceiveCount\\\":100}\"
    }" --query QueueUrl
done

for bucket in "$DOCUMENTS_BUCKET" "$MEDIA_BUCKET"; do
    s3 head-bucket --bucket "$bucket" 2>/dev/null || s3 create-bucket --bucket "$bucket" >/dev/null
    echo "s3://$bucket"
done
