"""Functions that AWS Lambda runs, against their contracts."""

from .common import settings
from .ecs_queues import alarmed
from .ecs_service import granted
from .ecs_tasks import check_granted, needed
from .templates import default, imported, of_type

# Which stack each function is in.
FUNCTIONS = {"documents-import-function": "imports"}
# What Lambda does in the function's name, whatever the function is. Interfaces in the network have no names before.
INTERFACES = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
LAMBDA = {(action, "*") for action in INTERFACES} | {("logs:CreateLogStream", "LogsArn"), ("logs:PutLogEvents", "LogsArn")}
# Lambda's longest.
TIMEOUT_SECONDS_MAX = 900


def check_settings(where, name, environment, contract, faults):
    """Everything that is required is set, secrets by their names only; the secrets."""
    known, secrets = settings(contract), set()
    for setting in known.values():
        variable = setting["name"]
        by_name = f"{variable}_SECRET" if setting["secret"] else None
        if by_name in environment:
            secrets.add(imported(environment[by_name]))
        given = variable in environment or by_name in environment
        faults.unless(given or not setting["required"], where, f"{variable} is not set, and {name} needs it")
        faults.unless(not (setting["secret"] and variable in environment), where, f"{variable} is a secret and stands open")
    for variable in sorted(set(environment) - set(known)):
        faults.add(where, f"{variable} is set, and {name} does not read it")
    return secrets


def check_limits(where, template, function, contract, faults):
    wanted = contract["function"]
    timeout, memory = (int(default(template, function.get(key, 3))) for key in ("Timeout", "MemorySize"))
    fits = wanted["timeout_seconds_min"] <= timeout <= TIMEOUT_SECONDS_MAX
    faults.unless(fits, where, f"Timeout is {timeout}, must be {wanted['timeout_seconds_min']} to {TIMEOUT_SECONDS_MAX}")
    faults.unless(memory >= wanted["memory_mib_min"], where, f"MemorySize is {memory}, must be {wanted['memory_mib_min']} or more")
    faults.unless(function.get("ReservedConcurrentExecutions"), where, "any number of it may run, and each opens connections")
    faults.unless(function.get("Architectures") == ["arm64"], where, "must run on arm64, which the images are built for")
    faults.unless(function.get("VpcConfig"), where, "cannot reach the database from outside the network")


def check_events(where, logical, template, faults):
    """S3 may call it for one bucket of this account, and what it gives up is put aside and heard of."""
    of_it = {"Ref": logical}
    buckets = of_type(template, "AWS::S3::Bucket").values()
    calls = [
        call
        for bucket in buckets
        for call in bucket["Properties"].get("NotificationConfiguration", {}).get("LambdaConfigurations", [])
        if call["Function"] == {"Fn::GetAtt": [logical, "Arn"]}
    ]
    faults.unless(calls, where, "nobody calls it")
    for call in calls:
        rules = call.get("Filter", {}).get("S3Key", {}).get("Rules", [])
        faults.unless(rules, where, "is called for every object, and not for manifests only")
    for permission in of_type(template, "AWS::Lambda::Permission").values():
        given = permission["Properties"]
        bound = given.get("SourceAccount") == {"Ref": "AWS::AccountId"} and "Fn::Sub" in given.get("SourceArn", {})
        faults.unless(bound, where, "may be called for buckets of other accounts")
    tries = [one["Properties"] for one in of_type(template, "AWS::Lambda::EventInvokeConfig").values()]
    tries = [one for one in tries if one["FunctionName"] == of_it]
    aside = [one.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") for one in tries]
    queues = [destination["Fn::GetAtt"][0] for destination in aside if destination]
    faults.unless(queues, where, "events that it gives up are lost")
    for queue in queues:
        alarms = alarmed(template, queue, "ApproximateNumberOfMessagesVisible")
        faults.unless(any(alarm.get("AlarmActions") for alarm in alarms), where, f"an event in {queue} wakes nobody")
    errors = [
        alarm["Properties"]
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()
        if alarm["Properties"].get("MetricName") == "Errors"
        and alarm["Properties"]["Dimensions"] == [{"Name": "FunctionName", "Value": of_it}]
    ]
    faults.unless(any(alarm.get("AlarmActions") for alarm in errors), where, "its errors wake nobody")
    return queues


def check_function(name, template, contract, faults):
    ((logical, resource),) = of_type(template, "AWS::Lambda::Function").items()
    where, function = f"deploy/ecs/{FUNCTIONS[name]}.yaml: {logical}", resource["Properties"]
    environment = function.get("Environment", {}).get("Variables", {})
    secrets = check_settings(where, name, environment, contract, faults)
    check_limits(where, template, function, contract, faults)
    queues = check_events(where, logical, template, faults)
    wanted = needed(template, contract, environment) | LAMBDA
    wanted |= {("sqs:SendMessage", f"${{{queue}.Arn}}") for queue in queues}
    wanted |= {("secretsmanager:GetSecretValue", secret) for secret in secrets}
    role = function["Role"]["Fn::GetAtt"][0]
    check_granted(where, name, wanted, granted(template, role), faults)
    # What only Lambda itself needs, the function's own code must not use.
    denied = {
        action
        for policy in template["Resources"][role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and "lambda:SourceFunctionArn" in statement["Condition"].get("ArnEquals", {})
        for action in statement["Action"]
    }
    faults.unless(denied == INTERFACES, where, "its own code may change the network's interfaces")


def check_functions(templates, known, faults):
    for name, contract in known.items():
        check_function(name, templates[FUNCTIONS[name]], contract, faults)
