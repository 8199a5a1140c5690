#!/usr/bin/env python3
"""Brings an environment to what the templates and its file say, stack by stack, in the order of stacks.txt.

    deploy/ecs/deploy.py ENVIRONMENT COMMIT [STACK…] [--dry-run]

Before anything that needs them, the stack `migrations` brings the schemas up to date: its tasks are run, one after the other,
and the first that fails ends the deploy, with everything else as it was. An environment that stands by (`"stands_by": true`)
is not migrated: its database follows another one, schemas and all.

ENVIRONMENT is a file in environments/, COMMIT the tag of the images. Without STACK all of them; `code` stands for those in
which our images run, workers before the gateway (see docs/OPERATIONS.md). Needs the AWS CLI, nothing else.
CLOUDFORMATION_ROLE names the role that CloudFormation acts by, when that is not the caller's own (pipeline.yaml).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
STACKS = (HERE / "stacks.txt").read_text().split()
# Stacks in which our images run.
CODE = {"migrations", "catalog", "documents", "archive", "imports", "orders", "reports", "gateway"}


def value(given):
    """A parameter's value; `file:` names one whose text it is, seen from environments/."""
    if isinstance(given, str) and given.startswith("file:"):
        return (HERE / "environments" / given.removeprefix("file:")).read_text()
    return given


def command(given, stack, commit):
    """The AWS CLI's words for one stack."""
    values = {"Environment": given["environment"], **given["stacks"].get(stack, {})}
    if stack in CODE:
        values["ImageTag"] = commit
    role = os.environ.get("CLOUDFORMATION_ROLE")
    return [
        "aws", "cloudformation", "deploy",
        *(["--role-arn", role] if role else []),
        "--region", given["region"],
        "--stack-name", f"{given['environment']}-{stack}",
        "--template-file", str(HERE / f"{stack}.yaml"),
        "--capabilities", "CAPABILITY_IAM",
        "--no-fail-on-empty-changeset",
        "--parameter-overrides", *(f"{name}={value(one)}" for name, one in values.items()),
    ]


# Statements of a migration may take ten minutes.
MIGRATION_SECONDS_MAX = 1800
LOOK_EVERY_SECONDS = 5


def asked(given, *words):
    """What the AWS CLI answers."""
    command = ["aws", *words, "--region", given["region"], "--output", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"aws {' '.join(words[:2])} has failed; nothing after it was deployed")
    return json.loads(done.stdout)


def outputs(given, stack):
    """What a stack puts out, by name."""
    found = asked(given, "cloudformation", "describe-stacks", "--stack-name", f"{given['environment']}-{stack}")
    return {output["OutputKey"]: output["OutputValue"] for output in found["Stacks"][0]["Outputs"]}


def migrate(given):
    """Runs the tasks of the stack `migrations`, and waits for the end of each."""
    tasks = {name: value for name, value in outputs(given, "migrations").items() if name.endswith("Task")}
    network, cluster = outputs(given, "network"), outputs(given, "platform")["Cluster"]
    inside = {
        "subnets": network["PrivateSubnets"].split(","),
        "securityGroups": [network["TaskSecurityGroup"]],
        "assignPublicIp": "DISABLED",
    }
    for name, definition in sorted(tasks.items()):
        print(f"{name}: {definition}", flush=True)
        started = asked(
            given, "ecs", "run-task", "--cluster", cluster, "--task-definition", definition,
            "--launch-type", "FARGATE", "--started-by", "deploy",
            "--network-configuration", json.dumps({"awsvpcConfiguration": inside}),
        )
        if not started["tasks"]:
            sys.exit(f"{name} was not run: {started['failures']}; nothing after it was deployed")
        fault = ended(given, cluster, started["tasks"][0]["taskArn"])
        if fault:
            sys.exit(f"{name} has failed: {fault}; see its log. Nothing after it was deployed")


def ended(given, cluster, task):
    """Waits for the end of a task; why it is none that one may go on after."""
    deadline = time.monotonic() + MIGRATION_SECONDS_MAX
    while time.monotonic() < deadline:
        found = asked(given, "ecs", "describe-tasks", "--cluster", cluster, "--tasks", task)["tasks"][0]
        if found["lastStatus"] == "STOPPED":
            # No exit code is a container that never ran: an image that is not there, say.
            codes = [container.get("exitCode") for container in found["containers"]]
            reason = found.get("stoppedReason", "it says nothing")
            return None if all(code == 0 for code in codes) else f"exit codes {codes}, {reason}"
        time.sleep(LOOK_EVERY_SECONDS)
    return f"it has not ended after {MIGRATION_SECONDS_MAX} s, and goes on"


def main():
    parser = argparse.ArgumentParser(prog="deploy.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", choices=sorted(path.stem for path in (HERE / "environments").glob("*.json")))
    parser.add_argument("commit")
    parser.add_argument("stack", nargs="*", help=f"of {', '.join(STACKS)}; or code")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and run none")
    args = parser.parse_args()
    unknown = [stack for stack in args.stack if stack not in (*STACKS, "code")]
    if unknown:
        parser.error(f"there is no stack {unknown[0]}; there are: {', '.join(STACKS)}")
    wanted = set(args.stack) | (CODE if "code" in args.stack else set())
    given = json.loads((HERE / "environments" / f"{args.environment}.json").read_text())
    for stack in STACKS:
        if wanted and stack not in wanted:
            continue
        words = command(given, stack, args.commit)
        print(*words, flush=True)
        if not args.dry_run and subprocess.run(words).returncode != 0:
            sys.exit(f"{stack} was not deployed; CloudFormation has rolled it back, and the stacks after it are as they were")
        if stack == "migrations" and not args.dry_run and not given.get("stands_by"):
            migrate(given)


if __name__ == "__main__":
    main()
