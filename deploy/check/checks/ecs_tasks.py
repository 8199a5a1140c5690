"""Tasks that are run by schedule, by hand or by a deploy and end, against their contracts."""

import json
from typing import NamedTuple

from .common import settings
from .ecs_service import STOP_SLACK_SECONDS, container, definition, granted
from .templates import imported, of_type


class Task(NamedTuple):
    """Where a task is, and who runs it: what a deploy runs, the deploy hears of."""

    stack: str
    run_by: str

    @property
    def scheduled(self):
        return self.run_by == "schedule"


TASKS = {
    "orders-export": Task("reports", "schedule"),
    "documents-lifecycle": Task("archive", "schedule"),
    "documents-import": Task("imports", "hand"),
    "catalog-migrate": Task("migrations", "deploy"),
    "documents-migrate": Task("migrations", "deploy"),
    "orders-migrate": Task("migrations", "deploy"),
}
# What a contract has for a bucket that no setting names, but whoever runs the task.
BY_ARGUMENT = "argument"


def arn_of(template, need, environment):
    """The bucket of a contract's need: `${Bucket.Arn}` for one of the stack's own, `BucketArn` for one of the objects stack."""
    given = environment.get(need["setting"])
    if need["setting"] == BY_ARGUMENT:
        (own,) = of_type(template, "AWS::S3::Bucket")
        return f"${{{own}.Arn}}"
    if imported(given):
        return imported(given).removesuffix("Name") + "Arn"
    return f"${{{(given or {}).get('Ref')}.Arn}}"


def needed(template, contract, environment):
    """(action, resource) that a contract names."""
    pairs = set()
    for need in contract["buckets"]:
        arn = arn_of(template, need, environment)
        pairs |= {(action, f"{arn}/*") for action in need["actions"]}
        pairs |= {(action, arn) for action in need["bucket_actions"]}
    return pairs


def check_granted(where, name, wanted, may, faults):
    for action, resource in sorted(wanted - may):
        faults.add(where, f"does not grant {action} on {resource}, which {name} needs")
    for action, resource in sorted(may - wanted):
        faults.add(where, f"grants {action} on {resource}, which {name} does not need")


def check_schedules(name, template, faults):
    """Every schedule runs this task's container with a command that it has, as its own two roles and no others."""
    where = f"deploy/ecs/{TASKS[name].stack}.yaml"
    command = name.rpartition("-")[2]
    logical, task = definition(template, name)
    schedules = of_type(template, "AWS::Scheduler::Schedule")
    faults.unless(bool(schedules) == TASKS[name].scheduled, where, f"nobody runs {name}")
    for schedule, resource in schedules.items():
        target = resource["Properties"]["Target"]
        given = json.loads(target["Input"])["containerOverrides"]
        fits = all(one["name"] == name and one["command"][0] == command for one in given)
        right = target["EcsParameters"]["TaskDefinitionArn"] == {"Ref": logical}
        faults.unless(fits and given and right, f"{where}: {schedule}", f"does not run `{command}` in {name}")
        may = granted(template, target["RoleArn"]["Fn::GetAtt"][0])
        roles = {f"${{{task[role]['Fn::GetAtt'][0]}.Arn}}" for role in ("TaskRoleArn", "ExecutionRoleArn")}
        passed = {resource for action, resource in may if action == "iam:PassRole"}
        faults.unless(passed == roles, f"{where}: {schedule}", f"may run as {sorted(passed)}, and should as {sorted(roles)}")


def check_heard(name, template, faults):
    """A failure is heard of; what a deploy runs is among what it looks for."""
    if TASKS[name].run_by == "deploy":
        logical, _ = definition(template, name)
        told = any(output["Value"] == {"Ref": logical} for key, output in template["Outputs"].items() if key.endswith("Task"))
        faults.unless(told, f"deploy/ecs/{TASKS[name].stack}.yaml", f"no deploy finds {name}")
        return
    rules = of_type(template, "AWS::Events::Rule").values()
    patterns = [json.dumps(rule["Properties"]["EventPattern"]) for rule in rules]
    heard = any("exitCode" in pattern and f"family:${{Environment}}-{name}" in pattern for pattern in patterns)
    faults.unless(heard, f"deploy/ecs/{TASKS[name].stack}.yaml", f"nobody hears when {name} fails")


def check_container(name, template, contract, faults):
    """The task's container as its contract wants it; its environment."""
    where = f"deploy/ecs/{TASKS[name].stack}.yaml: {name}"
    main = container(template, name)
    environment = {item["Name"]: item["Value"] for item in main.get("Environment", [])}
    secrets = {item["Name"]: item["ValueFrom"] for item in main.get("Secrets", [])}
    command = main.get("Command", [""])[0]
    faults.unless(command == name.rpartition("-")[2], where, f"its command is {command!r}")
    known = settings(contract)
    for setting in known.values():
        variable = setting["name"]
        given = variable in environment or variable in secrets
        faults.unless(given or not setting["required"], where, f"{variable} is not set, and {name} needs it")
        faults.unless(not (setting["secret"] and variable in environment), where, f"{variable} is a secret and stands open")
    for variable in sorted((set(environment) | set(secrets)) - set(known)):
        faults.add(where, f"{variable} is set, and {name} does not read it")
    stop = main.get("StopTimeout", 30)
    faults.unless(contract["stop_seconds_max"] + STOP_SLACK_SECONDS <= stop <= 120, where, f"StopTimeout is {stop}")
    faults.unless(main.get("ReadonlyRootFilesystem") is True, where, "the file system must be read-only")
    faults.unless(str(main.get("User", "0")) not in ("0", "root"), where, "runs as root")
    mode = main["LogConfiguration"]["Options"].get("mode")
    faults.unless(mode == "non-blocking", where, "logging must not hold up the process")
    return environment, secrets


def check_task(name, template, contract, faults):
    where = f"deploy/ecs/{TASKS[name].stack}.yaml: {name}"
    environment, secrets = check_container(name, template, contract, faults)
    _, task = definition(template, name)
    family = task["Family"]["Fn::Sub"]
    faults.unless(family == f"${{Environment}}-{name}", where, f"its family is {family}")
    may = granted(template, task["TaskRoleArn"]["Fn::GetAtt"][0]) if "TaskRoleArn" in task else set()
    check_granted(where, name, needed(template, contract, environment), may, faults)
    start = granted(template, task["ExecutionRoleArn"]["Fn::GetAtt"][0])
    reads = {resource for action, resource in start if action == "secretsmanager:GetSecretValue"}
    wanted = {imported(value) for value in secrets.values()}
    faults.unless(reads == wanted, where, f"ECS may read {sorted(reads)} for it, and it needs {sorted(wanted)}")
    check_schedules(name, template, faults)
    check_heard(name, template, faults)


def check_tasks(templates, known, faults):
    for name, contract in known.items():
        check_task(name, templates[TASKS[name].stack], contract, faults)
