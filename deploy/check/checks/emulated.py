"""The stacks, created on an emulator of AWS and read back from the services themselves.

ministack (PyPI) knows most of the kinds; what it does not know is left out and listed in `UNKNOWN`, so that a newer one
that knows more is noticed. CREATE_COMPLETE alone proves nothing: every fact below is asked of SQS, S3, IAM, ECS … by the
AWS SDK.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import boto3

from . import emulated_data, emulated_tasks
from .common import Faults, contracts, dead_letters_of, functions, tasks
from .ecs_queues import FIFO, STANDARD
from .templates import STACKS, load_all

# One for itself, and two regions of one system, which have what that one has not: each in an account of its own.
ENVIRONMENTS = ("staging", "production", "dr")
# Where a word of a resource's name begins.
KEBAB = re.compile(r"(?<!^)(?=[A-Z])")
START_SECONDS_MAX = 60
CREATE_SECONDS_MAX = 60
# Kinds that ministack 1.5.33 does not create.
UNKNOWN = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::IAM::RolePolicy",
    "AWS::RDS::GlobalCluster",
    "AWS::Route53::HealthCheck",
    "AWS::WAFv2::WebACLAssociation",
}
# Attributes of kinds that it creates, and does not know.
UNKNOWN_ATTRIBUTES = {("AWS::RDS::DBCluster", "MasterUserSecret.SecretArn")}


@contextmanager
def emulator():
    """A running one, by its endpoint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "ministack"
    env = os.environ | {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"}
    process = subprocess.Popen([program], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def is_known(resource):
    """It also knows alarms on one metric only."""
    return resource["Type"] not in UNKNOWN and "Metrics" not in resource.get("Properties", {})


def reduced(template, parameters):
    """The template without what the emulator does not know; who refers to that is told a name instead."""
    left_out = {name for name, resource in template["Resources"].items() if not is_known(resource)}
    # It takes numbers for texts when they come by reference.
    numbers = {
        name: json.loads(str(parameters.get(name, parameter.get("Default"))))
        for name, parameter in template["Parameters"].items()
        if parameter["Type"] == "Number"
    }

    def without(node):
        if isinstance(node, list):
            return [without(item) for item in node]
        if not isinstance(node, dict):
            return node
        name, attribute = node.get("Fn::GetAtt") or (node.get("Ref"), None)
        kind = template["Resources"].get(name, {}).get("Type")
        if name in left_out or (kind, attribute) in UNKNOWN_ATTRIBUTES:
            return "not-emulated"
        if name in numbers and attribute is None:
            return numbers[name]
        if "ValueFrom" in node:
            # It keeps a task's secrets as the template writes them, and the SDK reads them as the API does.
            return {"name": node["Name"], "valueFrom": without(node["ValueFrom"])}
        return {key: without(value) for key, value in node.items() if key != "DependsOn"}

    resources = {name: resource for name, resource in template["Resources"].items() if name not in left_out}
    smaller = dict(template) | {"Resources": resources}
    return json.dumps(without(smaller))


def create(cloudformation, stack, template, parameters):
    name = f"{parameters['Environment']}-{stack}"
    given = [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()]
    cloudformation.create_stack(
        StackName=name, TemplateBody=reduced(template, parameters), Parameters=given, Capabilities=["CAPABILITY_IAM"]
    )
    deadline = time.monotonic() + CREATE_SECONDS_MAX
    while True:
        status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        if not status.endswith("IN_PROGRESS") or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    if status == "CREATE_COMPLETE":
        return None
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    why = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in events if "FAILED" in event["ResourceStatus"]]
    return f"{status} {why}"


def unknown_kinds(cloudformation, templates):
    """The kinds that the emulator itself says it does not know."""
    kinds = {resource["Type"] for template in templates.values() for resource in template["Resources"].values()}
    # Nobody knows the last one: the stack is refused, and nothing of it is created.
    asked = sorted(kinds) + ["Steelyard::Of::London"]
    probe = {"Resources": {kind.replace("::", ""): {"Type": kind, "Properties": {}} for kind in asked}}
    try:
        cloudformation.create_stack(StackName="probe", TemplateBody=json.dumps(probe))
    except cloudformation.exceptions.ClientError as error:
        named = str(error).rpartition("[")[2].rstrip("]").split(", ")
        return set(named) - {asked[-1]}
    raise RuntimeError("the emulator took a kind that nobody knows")


class Account:
    """The emulated account after the stacks were created."""

    def __init__(self, endpoint, given):
        self.environment, region = given["environment"], given["region"]
        self.options = {
            "endpoint_url": endpoint, "region_name": region, "aws_access_key_id": "test", "aws_secret_access_key": "test",
        }

    def client(self, service):
        return boto3.client(service, **self.options)

    def outputs(self, stack):
        found = self.client("cloudformation").describe_stacks(StackName=f"{self.environment}-{stack}")["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def physical(self, stack, logical):
        found = self.client("cloudformation").describe_stack_resources(StackName=f"{self.environment}-{stack}")
        return next(one["PhysicalResourceId"] for one in found["StackResources"] if one["LogicalResourceId"] == logical)


def check_queues(account, known, faults):
    """SQS itself: sequence where there is one, retention, and dead letters that go where they should."""
    sqs, outputs = account.client("sqs"), account.outputs("queues")
    visibility = next(need["visibility"]["seconds"] for need in known["orders"]["queues"] if need.get("visibility"))
    for kind in ("Orders", "Documents", "Webhooks", "CatalogEvents", "Media"):
        read, standard = {}, f"{kind}Queue" in STANDARD
        for part in ("Queue", "DeadLetters"):
            name = outputs[f"{kind}{part}Name"]
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            read[part] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            fifo = dict.fromkeys(FIFO) if standard else FIFO | {"FifoQueue": "true"}
            for attribute, wanted in (fifo | {"MessageRetentionPeriod": "1209600"}).items():
                found = read[part].get(attribute)
                faults.unless(found == wanted, name, f"SQS says {attribute} is {found}")
            # Dead letters are found by name.
            expected = f"{account.environment}-{KEBAB.sub('-', kind).lower()}" + ("" if standard else ".fifo")
            if part == "DeadLetters":
                expected = dead_letters_of(expected)
            faults.unless(name == expected, name, f"must be named {expected}")
        policy = json.loads(read["Queue"].get("RedrivePolicy", "{}"))
        to = policy.get("deadLetterTargetArn")
        faults.unless(to == read["DeadLetters"]["QueueArn"], kind, f"SQS sends dead letters to {to}")
        faults.unless(read["Queue"]["VisibilityTimeout"] == str(visibility), kind, "SQS has another visibility timeout")


def check_buckets(account, faults):
    s3 = account.client("s3")
    for stack, kind in (("objects", "Documents"), ("objects", "Media"), ("reports", "Exports"), ("imports", "Imports")):
        bucket = account.outputs(stack)[f"{kind}BucketName"]
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        faults.unless(all(blocked.values()) and len(blocked) == 4, bucket, f"S3 says public access is {blocked}")
        versions = s3.get_bucket_versioning(Bucket=bucket).get("Status")
        faults.unless(versions == "Enabled", bucket, f"S3 says versions are {versions}")


def check_registry(account, known, faults):
    listed = account.client("ecr").describe_repositories()["repositories"]
    repositories = {repository["repositoryName"]: repository for repository in listed}
    for name in known:
        repository = repositories.get(f"{account.environment}/{name}", {})
        faults.unless(repository.get("imageTagMutability") == "IMMUTABLE", name, "ECR lets its tags change")
        faults.unless(repository.get("imageScanningConfiguration", {}).get("scanOnPush"), name, "ECR does not scan it")


def check_roles(account, known, faults):
    """IAM itself, on the real ARNs of queues and buckets: exactly the contract's actions."""
    iam, sqs = account.client("iam"), account.client("sqs")
    for name, contract in known.items():
        environment = task(account, name)["environment"]
        needed = set()
        for need in contract["queues"]:
            queue = environment[need["setting"]]
            if need["dead_letters"]:
                queue = dead_letters_of(queue)
            url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            needed |= {(action, arn) for action in need["actions"]}
        for need in contract["buckets"]:
            arn = f"arn:aws:s3:::{environment[need['setting']]}"
            needed |= {(action, f"{arn}/*") for action in need["actions"]}
            needed |= {(action, arn) for action in need["bucket_actions"]}
        tasks_of_cluster = f"arn:aws:ecs:{account.options['region_name']}:000000000000:task/{account.environment}/*"
        needed |= {(action, tasks_of_cluster) for action in contract.get("task_actions", [])}
        role, may = account.physical(name, "TaskRole"), set()
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            document = json.loads(document) if isinstance(document, str) else document
            for statement in document["Statement"]:
                may |= {(action, arn) for action in statement["Action"] for arn in statement["Resource"]}
        faults.unless(may == needed, f"{name}: {role}", f"IAM grants {sorted(may ^ needed)} too much or too little")


def task(account, name):
    """The service's container as ECS has it."""
    described = account.client("ecs").describe_task_definition(taskDefinition=f"{account.environment}-{name}")["taskDefinition"]
    main = next(one for one in described["containerDefinitions"] if one["name"] == name)
    return {
        "environment": {item["name"]: item["value"] for item in main.get("environment", [])},
        "secrets": {item["name"]: item["valueFrom"] for item in main.get("secrets", [])},
        "stop": main.get("stopTimeout"),
        "read_only": main.get("readonlyRootFilesystem"),
        "role": described.get("taskRoleArn"),
    }


def check_tasks(account, known, faults):
    """ECS itself, and the secrets that it would hand over."""
    manager = account.client("secretsmanager")
    for name, contract in known.items():
        found = task(account, name)
        faults.unless((found["stop"] or 0) > contract["stop_seconds_max"], name, f"ECS kills it after {found['stop']} s")
        faults.unless(found["read_only"], name, "ECS lets it write")
        for setting in contract["settings"]:
            variable = setting["name"]
            given = found["environment"].get(variable) or found["secrets"].get(variable)
            faults.unless(given or not setting["required"], name, f"ECS does not set {variable}")
        for variable, arn in found["secrets"].items():
            value = manager.get_secret_value(SecretId=arn)["SecretString"]
            scheme = {"DATABASE_URL": "postgres://", "DATABASE_READER_URL": "postgres://", "REDIS_URL": "rediss://"}.get(variable, "")
            faults.unless(value.startswith(scheme) and len(value) >= 16, name, f"the secret of {variable} is not what it reads")
        services = account.client("ecs").describe_services(
            cluster=account.environment, services=[account.outputs(name)["ServiceName"]]
        )["services"]
        faults.unless(services and services[0]["status"] == "ACTIVE", name, "ECS has no such service")


def check_alarms(account, faults):
    """CloudWatch itself: an alarm for every dead-letter queue, that wakes somebody."""
    topic = account.outputs("network")["AlarmTopic"]
    alarms = account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    queues = [account.outputs("queues")[f"{kind}DeadLettersName"] for kind in ("Orders", "Documents", "Webhooks", "CatalogEvents", "Media")]
    for queue in [*queues, account.outputs("imports")["ImportFailuresName"]]:
        on_it = [
            alarm for alarm in alarms
            if {"Name": "QueueName", "Value": queue} in alarm["Dimensions"] and topic in alarm["AlarmActions"]
        ]
        faults.unless(on_it, queue, "CloudWatch wakes nobody for its letters")


def check_environment(name, templates, faults):
    known, given = contracts(), json.loads(Path(f"deploy/ecs/environments/{name}.json").read_text())
    with emulator() as endpoint:
        account = Account(endpoint, given)
        cloudformation = account.client("cloudformation")
        kinds = unknown_kinds(cloudformation, templates)
        faults.unless(kinds == UNKNOWN, "ministack", f"does not know {sorted(kinds)}, and UNKNOWN says {sorted(UNKNOWN)}")
        zone = account.client("route53").create_hosted_zone(Name="example.com", CallerReference="check")["HostedZone"]["Id"]
        given["stacks"]["edge"]["HostedZoneId"] = zone.rpartition("/")[2]
        for stack in STACKS:
            values = {"Environment": name, **given["stacks"].get(stack, {})}
            if "ImageTag" in templates[stack]["Parameters"]:
                values["ImageTag"] = "0" * 40
            failed = create(cloudformation, stack, templates[stack], values)
            if failed:
                faults.add(f"deploy/ecs/{stack}.yaml, {name}", failed)
                return
        check_queues(account, known, faults)
        check_buckets(account, faults)
        check_registry(account, known, faults)
        check_roles(account, known, faults)
        check_tasks(account, known, faults)
        check_alarms(account, faults)
        emulated_data.check_data(account, given, templates, zone, faults)
        emulated_tasks.check_tasks(account, name, task, tasks(), faults)
        emulated_tasks.check_functions(account, name, functions(), faults)


def main():
    faults, templates = Faults(), load_all()
    for name in ENVIRONMENTS:
        check_environment(name, templates, faults)
    faults.exit()


if __name__ == "__main__":
    main()
