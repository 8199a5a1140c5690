"""Tasks that are run by schedule, against their contracts."""

import json

from .common import settings
from .ecs_service import STOP_SLACK_SECONDS, container, granted
from .templates import of_type

# Which stack each task is in.
STACKS = {"orders-export": "reports"}


def needed(contract, environment):
    """(action, resource) that a contract names, on the stack's own buckets."""
    pairs = set()
    for need in contract["buckets"]:
        bucket = environment.get(need["setting"], {}).get("Ref")
        pairs |= {(action, f"${{{bucket}.Arn}}/*") for action in need["actions"]}
        pairs |= {(action, f"${{{bucket}.Arn}}") for action in need["bucket_actions"]}
    return pairs


def check_schedules(name, template, faults):
    """Every schedule runs this task's container with a command that it has, and a failure is heard of."""
    where = f"deploy/ecs/{STACKS[name]}.yaml"
    command = name.rpartition("-")[2]
    schedules = of_type(template, "AWS::Scheduler::Schedule")
    faults.unless(schedules, where, f"nobody runs {name}")
    for schedule, resource in schedules.items():
        given = json.loads(resource["Properties"]["Target"]["Input"])["containerOverrides"]
        fits = all(one["name"] == name and one["command"][0] == command for one in given)
        faults.unless(fits and given, f"{where}: {schedule}", f"does not run `{command}` in {name}")
    rules = of_type(template, "AWS::Events::Rule").values()
    heard = any("exitCode" in json.dumps(rule["Properties"]["EventPattern"]) for rule in rules)
    faults.unless(heard, where, f"nobody hears when {name} fails")


def check_task(name, template, contract, faults):
    where = f"deploy/ecs/{STACKS[name]}.yaml: {name}"
    main = container(template, name)
    environment = {item["Name"]: item["Value"] for item in main.get("Environment", [])}
    secrets = {item["Name"] for item in main.get("Secrets", [])}
    known = settings(contract)
    for setting in known.values():
        variable = setting["name"]
        given = variable in environment or variable in secrets
        faults.unless(given or not setting["required"], where, f"{variable} is not set, and {name} needs it")
        faults.unless(not (setting["secret"] and variable in environment), where, f"{variable} is a secret and stands open")
    for variable in sorted((set(environment) | secrets) - set(known)):
        faults.add(where, f"{variable} is set, and {name} does not read it")
    stop = main.get("StopTimeout", 30)
    faults.unless(contract["stop_seconds_max"] + STOP_SLACK_SECONDS <= stop <= 120, where, f"StopTimeout is {stop}")
    faults.unless(main.get("ReadonlyRootFilesystem") is True, where, "the file system must be read-only")
    faults.unless(str(main.get("User", "0")) not in ("0", "root"), where, "runs as root")
    wanted, may = needed(contract, environment), granted(template, "TaskRole")
    for action, resource in sorted(wanted - may, key=str):
        faults.add(where, f"does not grant {action} on {resource}, which {name} needs")
    for action, resource in sorted(may - wanted, key=str):
        faults.add(where, f"grants {action} on {resource}, which {name} does not need")
    check_schedules(name, template, faults)


def check_tasks(templates, known, faults):
    for name, contract in known.items():
        check_task(name, templates[STACKS[name]], contract, faults)
