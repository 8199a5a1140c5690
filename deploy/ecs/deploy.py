#!/usr/bin/env python3
"""Brings an environment to what the templates and its file say, stack by stack, in the order of stacks.txt.

    deploy/ecs/deploy.py ENVIRONMENT COMMIT [STACK…] [--dry-run]

ENVIRONMENT is a file in environments/, COMMIT the tag of the images. Without STACK all of them; `code` stands for those in
which our images run, workers before the gateway (see docs/OPERATIONS.md). Needs the AWS CLI, nothing else.
CLOUDFORMATION_ROLE names the role that CloudFormation acts by, when that is not the caller's own (pipeline.yaml).
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STACKS = (HERE / "stacks.txt").read_text().split()
# Stacks in which our images run.
CODE = {"catalog", "documents", "archive", "imports", "orders", "reports", "gateway"}


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


if __name__ == "__main__":
    main()
