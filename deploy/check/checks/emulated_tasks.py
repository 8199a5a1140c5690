"""Tasks and functions as ECS, Lambda, S3, EventBridge and IAM have them after the stacks were created.

ministack 1.5.33 takes a function's network, reserved concurrency and destination of failures, and does not give them back:
those are held by the templates' own checks only.
"""

import json

from .ecs_functions import FUNCTIONS
from .ecs_tasks import BY_ARGUMENT, TASKS
from .templates import listed


def granted(account, role, only=None):
    """(action, resource) that IAM grants a role, of one of its policies or of all."""
    iam, may = account.client("iam"), set()
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        if only and policy != only:
            continue
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        document = json.loads(document) if isinstance(document, str) else document
        for statement in document["Statement"]:
            may |= {(action, arn) for action in listed(statement["Action"]) for arn in listed(statement["Resource"])}
    return may


def needed(account, contract, environment, own):
    """(action, resource) of a contract on the real ARNs; `own` is the stack's bucket, if it has one."""
    pairs = set()
    for need in contract["buckets"]:
        arn = f"arn:aws:s3:::{own if need['setting'] == BY_ARGUMENT else environment[need['setting']]}"
        pairs |= {(action, f"{arn}/*") for action in need["actions"]}
        pairs |= {(action, arn) for action in need["bucket_actions"]}
    return pairs


def check_tasks(account, environment_name, task, known, faults):
    """ECS has each task as its contract wants it, and its schedules run it and nothing else."""
    scheduler, imports = account.client("scheduler"), account.outputs("imports")["ImportsBucketName"]
    names = [schedule["Name"] for schedule in scheduler.list_schedules()["Schedules"]]
    schedules = [scheduler.get_schedule(Name=name) for name in names]
    for name, contract in known.items():
        found = task(account, name)
        stack, scheduled = TASKS[name].stack, TASKS[name].scheduled
        faults.unless((found["stop"] or 0) > contract["stop_seconds_max"], name, f"ECS kills it after {found['stop']} s")
        for setting in contract["settings"]:
            variable = setting["name"]
            given = found["environment"].get(variable) or found["secrets"].get(variable)
            faults.unless(given or not setting["required"], name, f"ECS does not set {variable}")
        wanted = needed(account, contract, found["environment"], imports)
        may = granted(account, found["role"].rpartition("/")[2]) if found["role"] else set()
        faults.unless(may == wanted, name, f"IAM grants {sorted(may ^ wanted)} too much or too little")
        family = f":task-definition/{environment_name}-{name}:"
        own = [one["Target"] for one in schedules if family in one["Target"]["EcsParameters"]["TaskDefinitionArn"]]
        faults.unless(bool(own) == scheduled, name, f"EventBridge has {len(own)} schedules for it")
        for target in own:
            cluster = target["Arn"].rpartition("/")[2]
            faults.unless(cluster == environment_name, name, f"EventBridge would run it in {cluster}")


def check_functions(account, environment_name, known, faults):
    """Lambda has each function as its contract wants it, S3 calls it for manifests, and it may fetch its image."""
    client, manager = account.client("lambda"), account.client("secretsmanager")
    for name, contract in known.items():
        stack = FUNCTIONS[name]
        found = client.get_function(FunctionName=account.physical(stack, "Function"))
        function, image = found["Configuration"], found["Code"]["ImageUri"]
        environment = function["Environment"]["Variables"]
        faults.unless(function["Timeout"] >= contract["function"]["timeout_seconds_min"], name, "Lambda ends it too soon")
        faults.unless(function["Architectures"] == ["arm64"], name, f"Lambda runs it on {function['Architectures']}")
        for setting in contract["settings"]:
            variable = setting["name"]
            given = environment.get(variable) or environment.get(f"{variable}_SECRET")
            faults.unless(given or not setting["required"], name, f"Lambda does not set {variable}")
            if setting["secret"] and f"{variable}_SECRET" in environment:
                value = manager.get_secret_value(SecretId=environment[f"{variable}_SECRET"])["SecretString"]
                faults.unless(value.startswith("postgres://"), name, f"the secret of {variable} is not what it reads")
                faults.unless(value not in environment.values(), name, f"Lambda shows the secret of {variable}")
        bucket = account.outputs(stack)["ImportsBucketName"]
        wanted = needed(account, contract, environment, bucket)
        wanted |= {("secretsmanager:GetSecretValue", environment["DATABASE_URL_SECRET"])}
        may = granted(account, account.physical(stack, "FunctionRole"), only="import")
        faults.unless(may == wanted, name, f"IAM grants {sorted(may ^ wanted)} too much or too little")
        calls = account.client("s3").get_bucket_notification_configuration(Bucket=bucket)["LambdaFunctionConfigurations"]
        suffixes = sorted(rule["Value"] for call in calls for rule in call["Filter"]["Key"]["FilterRules"])
        faults.unless(suffixes == ["manifest.csv", "manifest.ndjson"], name, f"S3 calls it for {suffixes}")
        own = all(call["LambdaFunctionArn"] == function["FunctionArn"] for call in calls)
        faults.unless(own, name, "S3 calls another function")
        policy = json.loads(client.get_policy(FunctionName=function["FunctionName"])["Policy"])
        bound = json.dumps(policy["Statement"][0]["Condition"])
        faults.unless(f"arn:aws:s3:::{bucket}" in bound, name, "Lambda lets other buckets call it")
        repository = image.partition("/")[2].partition(":")[0]
        letter = account.client("ecr").get_repository_policy(repositoryName=repository)["policyText"]
        faults.unless("lambda.amazonaws.com" in letter and function["FunctionArn"] in letter, name, "ECR does not give it its image")
