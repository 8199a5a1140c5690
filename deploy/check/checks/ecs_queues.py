"""The queues stack: what SQS must be for the promises to hold."""

from .ecs_service import granted, queue_export
from .templates import default, of_type

RETENTION_SECONDS = 14 * 24 * 3600
# A worker gives up a message after ten attempts of its own; SQS also counts receives that nobody handled.
RECEIVES_MIN = 20
# What is in them has no sequence.
STANDARD = {"MediaQueue", "MediaDeadLetters"}
FIFO = {"FifoQueue": True, "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}


def alarmed(template, queue, metric):
    """The alarms on a metric of a queue."""
    dimension = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    found = []
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        if properties.get("MetricName") == metric and properties.get("Dimensions") == dimension:
            found.append(properties)
    return found


def target(properties):
    policy = properties.get("RedrivePolicy")
    return policy["deadLetterTargetArn"]["Fn::GetAtt"][0] if policy else None


def check_queue(template, name, properties, dead_letters, faults):
    where = f"deploy/ecs/queues.yaml: {name}"
    fifo = dict.fromkeys(FIFO) if name in STANDARD else FIFO
    for key, wanted in (fifo | {"MessageRetentionPeriod": RETENTION_SECONDS, "SqsManagedSseEnabled": True}).items():
        faults.unless(properties.get(key) == wanted, where, f"{key} must be {wanted}, but is {properties.get(key)}")
    policies = of_type(template, "AWS::SQS::QueuePolicy").values()
    covered = any({"Ref": name} in policy["Properties"]["Queues"] for policy in policies)
    faults.unless(covered, where, "may be used without TLS")
    if name in dead_letters:
        alarms = alarmed(template, name, "ApproximateNumberOfMessagesVisible")
        wakes = any(alarm["Threshold"] == 1 and alarm.get("AlarmActions") for alarm in alarms)
        faults.unless(wakes, where, "a dead letter wakes nobody")
        return
    faults.unless(target(properties), where, "has no dead-letter queue")
    receives = default(template, properties.get("RedrivePolicy", {}).get("maxReceiveCount", 0))
    faults.unless(int(receives) >= RECEIVES_MIN, where, f"maxReceiveCount is {receives}: deploys would use it up")
    faults.unless(alarmed(template, name, "ApproximateAgeOfOldestMessage"), where, "nobody hears when messages wait")


def check_queues(templates, known, environments, faults):
    template = templates["queues"]
    queues = {name: queue["Properties"] for name, queue in of_type(template, "AWS::SQS::Queue").items()}
    dead_letters = {target(properties) for properties in queues.values()} - {None}
    for name, properties in queues.items():
        check_queue(template, name, properties, dead_letters, faults)
    for service, contract in known.items():
        for need in contract["queues"]:
            wanted = need.get("visibility")
            queue = queue_export(service, need, environments[service])
            if not wanted or queue not in queues:
                continue
            where = f"deploy/ecs/queues.yaml: {queue}"
            visibility = default(template, queues[queue]["VisibilityTimeout"])
            faults.unless(visibility == wanted["seconds"], where, f"VisibilityTimeout is {visibility}, {service} asks for {wanted['seconds']}")
            spare = wanted["heartbeat_seconds"] * 2 < visibility
            faults.unless(spare, where, f"one renewal of {service} may fail only if there is time for a second")


def check_senders(templates, known, faults):
    """Orders come from the gateway, and from nobody else."""
    senders = {name for name in known if ("sqs:SendMessage", "OrdersQueueArn") in granted(templates[name], "TaskRole")}
    faults.unless(senders == {"gateway"}, "deploy/ecs", f"orders may be sent by {sorted(senders)}, and only the gateway should")
