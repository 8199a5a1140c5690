"""deploy/ecs: cfn-lint, the stacks among one another, and each service's contract."""

import json
import re
from pathlib import Path

from . import ecs_edge, ecs_functions, ecs_indicators, ecs_kept, ecs_parameters, ecs_queues, ecs_regions, ecs_service, ecs_tasks
from .common import Faults, contracts, functions, tasks
from .templates import FOLDER, STACKS, anchors, exports, imports, listed, load, load_all, of_type

ENVIRONMENTS = FOLDER / "environments"
# What several stacks are told, and told the same. An export would say it once, and could never be changed while it is used.
SAME = {"ArchiveClass", "ArchiveReadableDays", "ArchiveRestoreSpeed", "AuthIssuer", "FirstEnvironment", "SecondRegion", "TraceShare"}
OPERATIONS = Path("docs/OPERATIONS.md")
RUNBOOKS = Path("docs/RUNBOOKS.md")
# Without them a restored cluster takes no instance of ours, and connections that are not encrypted.
RESTORED_WITH = ("--serverless-v2-scaling-configuration", "--db-cluster-parameter-group-name", "--db-subnet-group-name", "--vpc-security-group-ids")


def check_names(templates, faults):
    """What a stack asks for is there before it is deployed, and nothing is exported twice."""
    known = set()
    for name in STACKS:
        where = f"deploy/ecs/{name}.yaml"
        for missing in sorted(imports(templates[name]) - known):
            faults.add(where, f"asks for {missing}, which no stack before it exports")
        own = set(exports(templates[name]))
        faults.unless(not own & known, where, f"exports again: {sorted(own & known)}")
        known |= own


def check_parameters(templates, faults):
    """Every parameter says what it is for, and every environment sets what must be set and nothing else."""
    for name, template in templates.items():
        for parameter, properties in template["Parameters"].items():
            faults.unless(properties.get("Description"), f"deploy/ecs/{name}.yaml", f"{parameter} has no reason beside it")
    environments = {path: json.loads(path.read_text()) for path in sorted(ENVIRONMENTS.glob("*.json"))}
    for path, given in environments.items():
        check_environment(path, given, templates, faults)
        check_same(path, given, templates, faults)
        ecs_edge.check_names(path, given, faults)
        ecs_parameters.check_values(path, given, templates, faults)
    ecs_parameters.check_rules(templates, faults)
    ecs_regions.check_pairs(environments, faults)


def check_environment(path, given, templates, faults):
    for stack in sorted(set(given["stacks"]) - set(templates)):
        faults.add(path, f"sets parameters of {stack}, which is no stack")
    for name, template in templates.items():
        # Of every stack, and of the deploy.
        values = {"Environment": given["environment"], "ImageTag": "0" * 40} | given["stacks"].get(name, {})
        for parameter, properties in template["Parameters"].items():
            if parameter not in values:
                faults.unless("Default" in properties, path, f"{name}: {parameter} is not set")
                continue
            value = str(values[parameter])
            if value.startswith("file:"):
                there = (ENVIRONMENTS / value.removeprefix("file:")).is_file()
                faults.unless(there, path, f"{name}: {parameter} names a file that is not there")
            pattern = properties.get("AllowedPattern")
            faults.unless(not pattern or re.fullmatch(pattern, value), path, f"{name}: {parameter} is {value!r}, which it may not be")
            allowed = properties.get("AllowedValues")
            faults.unless(not allowed or value in map(str, allowed), path, f"{name}: {parameter} must be one of {allowed}")
        for parameter in sorted(set(given["stacks"].get(name, {})) - set(template["Parameters"])):
            faults.add(path, f"{name}: {parameter} is no parameter")


def check_same(path, given, templates, faults):
    for parameter in sorted(SAME):
        told = {
            name: given["stacks"].get(name, {}).get(parameter, template["Parameters"][parameter].get("Default"))
            for name, template in templates.items()
            if parameter in template["Parameters"]
        }
        faults.unless(len(set(told.values())) == 1, path, f"{parameter} must be the same everywhere, and is {told}")


def check_deployers(deployers, faults):
    """Whoever runs deploy.py may do what it does: migrations are run, looked at, and given their roles."""
    for stack, (template, role) in deployers.items():
        may = {action for action, _ in ecs_service.granted(template, role)}
        for action in ("cloudformation:DescribeStacks", "ecs:RunTask", "ecs:DescribeTasks", "iam:PassRole"):
            faults.unless(action in may, f"deploy/ecs/{stack}.yaml: {role}", f"may not {action}, which deploy.py does")


def check_numbers(templates, faults):
    """Each stack says which of how many it is."""
    for name, template in templates.items():
        wanted = f"Steelyard {STACKS.index(name) + 1}/{len(STACKS)}: "
        faults.unless(template["Description"].startswith(wanted), f"deploy/ecs/{name}.yaml", f"must begin with {wanted!r}")


def check_restores(runbooks, faults):
    """What the runbooks restore becomes the cluster that the data stack describes."""
    for restore in ("restore-db-cluster-to-point-in-time", "restore-db-cluster-from-snapshot"):
        said = re.search(rf"aws rds {restore}[^`]*", runbooks)
        faults.unless(said, RUNBOOKS, f"does not say how to {restore}")
        for option in RESTORED_WITH if said else ():
            faults.unless(option in said[0], RUNBOOKS, f"{restore} without {option}")


def check_buckets(stack, template, faults):
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        where = f"deploy/ecs/{stack}.yaml: {name}"
        blocked = bucket["Properties"].get("PublicAccessBlockConfiguration", {})
        all_four = len(blocked) == 4 and all(blocked.values())
        faults.unless(all_four, where, "must be closed to the public in all four ways")
        versions = bucket["Properties"].get("VersioningConfiguration", {}).get("Status")
        faults.unless(versions == "Enabled", where, "must keep old versions")
        faults.unless(bucket.get("DeletionPolicy") == "Retain", where, "must outlive its stack")
    for name, policy in of_type(template, "AWS::S3::BucketPolicy").items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                read = [str(one.get("Fn::Sub")) for one in listed(statement["Resource"])]
                where = f"deploy/ecs/{stack}.yaml: {name}"
                # What was uploaded is nobody's to see.
                faults.unless(all(one.endswith("/images/*") for one in read), where, "may let read renditions only, images/*")


def main():
    faults = Faults()
    files = sorted(str(path) for path in FOLDER.glob("*.yaml"))
    faults.tool("cfn-lint", *files)
    for path in files:
        for line in anchors(Path(path).read_text()):
            faults.add(f"{path}:{line}", "YAML aliases are not known to CloudFormation")
    templates = load_all()
    known = contracts()
    check_names(templates, faults)
    check_parameters(templates, faults)
    check_deployers({"pipeline": (load("pipeline"), "PipelineRole"), "codepipeline": (load("codepipeline"), "BuildRole")}, faults)
    ecs_edge.check_failover(templates["edge"], faults)
    ecs_regions.check_copies(templates["objects"], faults)
    check_numbers(templates, faults)
    ecs_kept.check_kept(templates["objects"], RUNBOOKS.read_text(), faults)
    check_restores(RUNBOOKS.read_text(), faults)
    for stack in templates:
        check_buckets(stack, templates[stack], faults)
    environments = {}
    for name, contract in known.items():
        ecs_service.check_service(name, templates[name], contract, faults)
        main_container = ecs_service.container(templates[name], name)
        environments[name] = {item["Name"]: item["Value"] for item in main_container.get("Environment", [])}
    ecs_queues.check_queues(templates, known, environments, faults)
    ecs_queues.check_senders(templates, known, faults)
    ecs_tasks.check_tasks(templates, tasks(), faults)
    ecs_functions.check_functions(templates, functions(), faults)
    ecs_indicators.check_indicators(templates, known, OPERATIONS.read_text(), faults)
    faults.exit()


if __name__ == "__main__":
    main()
