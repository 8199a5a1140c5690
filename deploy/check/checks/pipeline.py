"""The workflows: GitHub's schema for them, zizmor for what an attacker would look for, and images that Lambda takes."""

import shlex
from pathlib import Path

import yaml

from .common import Faults
from .ecs_service import granted
from .templates import listed, load

# Who makes or copies images, and what keeps them single manifests: Lambda takes no index.
SINGLE = {
    ".github/workflows/deploy.yaml": "provenance: false",
    "deploy/ecs/codepipeline.yaml": "docker build --provenance=false",
    "deploy/ecs/promote.sh": "imagetools create --prefer-index=false",
}


def check_manifests(texts, faults):
    for path, needed in SINGLE.items():
        faults.unless(needed in texts[path], path, f"must say `{needed}`, or Lambda refuses the image")


def check_sizes(texts, deploy, faults):
    """Whoever makes images weighs each of them before it is deployed."""
    for path in (".github/workflows/deploy.yaml", "deploy/ecs/codepipeline.yaml"):
        faults.unless("deploy/image/size.sh" in texts[path], path, "makes images of any size")
    steps = [step.get("run", step.get("uses", "")) for step in deploy["jobs"]["build"]["steps"]]
    weighed = "deploy/image/size.sh" in steps[-1]
    faults.unless(weighed, ".github/workflows/deploy.yaml: build", "does not end with the image's size")


def check_rehearsal(rehearsal, faults):
    """Host mode is run by somebody: it is no part of what every change waits for."""
    where, triggers = ".github/workflows/rehearsal.yaml", rehearsal.get("on") or rehearsal[True]
    faults.unless(triggers.get("schedule"), where, "is not scheduled")
    for job in rehearsal["jobs"].values():
        asked = "STEELYARD_HOST_MODE" in job.get("env", {})
        runs = any("--test deploy" in step.get("run", "") and "the_system_of" in step["run"] for step in job["steps"])
        faults.unless(asked and runs, where, "does not run the system of the compose file")


def check_order(deploy, check, faults):
    """Nothing is built of a commit that has not passed, and nothing deployed of one that failed."""
    where, jobs = ".github/workflows/deploy.yaml", deploy["jobs"]
    called = jobs.get("check", {}).get("uses") == "$/.github/workflows/check.yaml"
    # YAML 1.1 reads `on` as true.
    callable_ = "workflow_call" in (check.get("on") or check[True])
    runs = any(step.get("run") == ".ci/run" for job in check["jobs"].values() for step in job["steps"])
    faults.unless(called and callable_ and runs, where, "main is not checked before it is deployed")
    needs = {name: listed(job.get("needs", [])) for name, job in jobs.items()}
    faults.unless("check" in needs["build"], where, "images are built of what was not checked")
    faults.unless({"check", "build", "promote"} <= set(needs["deploy"]), where, "deploys without waiting for check, build, promote")
    condition = jobs["deploy"]["if"]
    faults.unless("!failure()" in condition, where, "deploys what has failed before")
    always = [name for name, job in jobs.items() if "always()" in str(job.get("if", ""))]
    faults.unless(not always, where, f"{always} go on whatever has failed")


def check_regions(workflow, roles, faults):
    """An environment in another region than staging gets its images from staging's registry, and may read there."""
    promote = next(step["run"] for step in workflow["jobs"]["promote"]["steps"] if "promote.sh" in step.get("run", ""))
    words = shlex.split(promote[promote.index("deploy/ecs/promote.sh") :].replace("\\\n", " "))
    source, target = words[1], words[3]
    where = ".github/workflows/deploy.yaml: promote"
    faults.unless("$IMAGES_REGION" in source and "$AWS_REGION" in target, where, f"copies from {source} to {target}")
    for region in ("$IMAGES_REGION", "$AWS_REGION"):
        faults.unless(f'"{region}"' in promote.partition("; do")[0], where, f"does not log in to the registry of {region}")
    given = workflow["jobs"]["promote"]["env"].get("IMAGES_REGION", "")
    faults.unless("vars.IMAGES_REGION" in given, where, "no environment can say where staging's images are")
    reads = {resource for action, resource in granted(roles, "PipelineRole") if action == "ecr:BatchGetImage"}
    of_staging = [resource for resource in reads if "${PromotesFrom}" in resource]
    elsewhere = any("PromotesFromRegion" in resource for resource in of_staging)
    faults.unless(elsewhere, "deploy/ecs/pipeline.yaml", "images of another region may not be read, and dr gets none")


def main():
    faults = Faults()
    files = sorted(str(path) for path in Path(".github/workflows").glob("*.yaml"))
    faults.tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    faults.tool("zizmor", "--offline", "--no-progress", *files)
    check_manifests({path: Path(path).read_text() for path in SINGLE}, faults)
    deploy, check = (yaml.safe_load(Path(f".github/workflows/{name}.yaml").read_text()) for name in ("deploy", "check"))
    check_order(deploy, check, faults)
    check_sizes({path: Path(path).read_text() for path in SINGLE}, deploy, faults)
    check_rehearsal(yaml.safe_load(Path(".github/workflows/rehearsal.yaml").read_text()), faults)
    check_regions(deploy, load("pipeline"), faults)
    faults.exit()


if __name__ == "__main__":
    main()
