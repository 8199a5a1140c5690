"""deploy.py before a stand-in for the AWS CLI: migrations come first, and one that fails ends the deploy."""

import importlib.util
import io
import json
import subprocess
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import yaml

from . import pipeline
from .common import Faults
from .templates import load, load_all

SPEC = importlib.util.spec_from_file_location("deploy", Path("deploy/ecs/deploy.py"))
deploy = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(deploy)

OUTPUTS = {
    "staging-migrations": {"OrdersTask": "orders-migrate:7", "CatalogTask": "catalog-migrate:7", "DocumentsTask": "documents-migrate:7"},
    "staging-network": {"PrivateSubnets": "subnet-a,subnet-b", "TaskSecurityGroup": "sg-1"},
    "staging-platform": {"Cluster": "staging"},
}


class Aws:
    """Answers as the AWS CLI, and keeps what it was asked. Tasks run for one look and end as `ends` says, by their family."""

    def __init__(self, ends=None, refuses=None):
        self.ends, self.refuses = ends or {}, refuses
        self.deployed, self.run, self.looks, self.regions = [], [], {}, set()

    def __call__(self, words, **_):
        self.regions.add(words[words.index("--region") + 1])
        given = dict(zip(words[3::2], words[4::2]))
        action = words[2]
        if action == "deploy":
            given = dict(zip(words[3:], words[4:]))
            self.deployed.append(given["--stack-name"].partition("-")[2])
            return SimpleNamespace(returncode=0)
        return SimpleNamespace(returncode=0, stdout=json.dumps(getattr(self, action.replace("-", "_"))(given)))

    @staticmethod
    def describe_stacks(given):
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS[given["--stack-name"]].items()]
        return {"Stacks": [{"Outputs": outputs}]}

    def run_task(self, given):
        family = given["--task-definition"].partition(":")[0]
        inside = json.loads(given["--network-configuration"])["awsvpcConfiguration"]
        assert inside["subnets"] == ["subnet-a", "subnet-b"] and inside["assignPublicIp"] == "DISABLED", inside
        if self.refuses == family:
            return {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]}
        # What was deployed by then.
        self.run.append((family, list(self.deployed)))
        return {"tasks": [{"taskArn": family}], "failures": []}

    def describe_tasks(self, given):
        family = given["--tasks"]
        self.looks[family] = self.looks.get(family, 0) + 1
        if self.looks[family] == 1:
            return {"tasks": [{"lastStatus": "RUNNING", "containers": [{}]}]}
        return {"tasks": [{"lastStatus": "STOPPED", "stoppedReason": "as told", "containers": [self.ends.get(family, {"exitCode": 0})]}]}


class Deploys(unittest.TestCase):
    def deploys(self, aws, *stacks, environment="staging"):
        """What the deploy says at its end."""
        arguments = ["deploy.py", environment, "abc", *stacks]
        with (
            mock.patch.object(deploy.subprocess, "run", aws),
            mock.patch.object(deploy.time, "sleep"),
            mock.patch.object(deploy.sys, "argv", arguments),
            redirect_stdout(io.StringIO()),
        ):
            try:
                deploy.main()
            except SystemExit as end:
                return str(end)
        return None

    def test_schemas_are_up_to_date_before_anything_that_needs_them(self):
        aws = Aws()
        self.assertIsNone(self.deploys(aws))
        self.assertEqual([family for family, _ in aws.run], ["catalog-migrate", "documents-migrate", "orders-migrate"])
        before = ["network", "queues", "data", "objects", "platform", "migrations"]
        self.assertTrue(all(deployed == before for _, deployed in aws.run), aws.run)
        self.assertEqual(aws.deployed[-1], "edge")
        self.assertEqual(aws.regions, {"eu-west-1"})

    def test_the_stacks_put_out_what_the_stand_in_says_they_do(self):
        templates = load_all()
        for stack, outputs in OUTPUTS.items():
            self.assertLessEqual(set(outputs), set(templates[stack.removeprefix("staging-")]["Outputs"]))

    def test_new_code_brings_its_migrations(self):
        aws = Aws()
        self.assertIsNone(self.deploys(aws, "code"))
        self.assertEqual(aws.deployed[0], "migrations")
        self.assertEqual(set(aws.deployed), deploy.CODE)
        self.assertEqual(len(aws.run), 3)

    def test_a_region_that_stands_by_is_not_migrated(self):
        aws = Aws()
        self.assertIsNone(self.deploys(aws, environment="dr"))
        self.assertEqual((aws.deployed[-1], aws.run), ("edge", []))

    def test_a_stack_that_runs_none_of_our_code_migrates_nothing(self):
        aws = Aws()
        self.assertIsNone(self.deploys(aws, "network"))
        self.assertEqual((aws.deployed, aws.run), (["network"], []))

    def test_a_migration_that_fails_ends_the_deploy_before_any_service_is_touched(self):
        aws = Aws(ends={"documents-migrate": {"exitCode": 1}})
        said = self.deploys(aws, "code")
        self.assertIn("DocumentsTask has failed: exit codes [1]", said)
        self.assertEqual(aws.deployed, ["migrations"])
        self.assertEqual(len(aws.run), 2, "those after it are not run either")

    def test_a_migration_that_never_began_is_one_that_failed(self):
        said = self.deploys(Aws(ends={"catalog-migrate": {"reason": "CannotPullContainerError"}}), "code")
        self.assertIn("CatalogTask has failed: exit codes [None], as told", said)
        said = self.deploys(Aws(refuses="catalog-migrate"), "code")
        self.assertIn("RESOURCE:MEMORY", said)

    def test_a_migration_that_does_not_end_is_not_waited_for_for_ever(self):
        with mock.patch.object(deploy, "MIGRATION_SECONDS_MAX", 0):
            said = self.deploys(Aws(), "code")
        self.assertIn("it has not ended after 0 s", said)


class Images(unittest.TestCase):
    def test_an_image_that_lambda_does_not_take(self):
        texts = {path: Path(path).read_text() for path in pipeline.SINGLE}
        faults = Faults()
        pipeline.check_manifests(texts, faults)
        self.assertEqual(faults.lines, [])
        texts["deploy/ecs/promote.sh"] = texts["deploy/ecs/promote.sh"].replace("--prefer-index=false ", "")
        pipeline.check_manifests(texts, faults)
        expected = "deploy/ecs/promote.sh: must say `imagetools create --prefer-index=false`, or Lambda refuses the image"
        self.assertEqual(faults.lines, [expected])

    def test_images_that_nobody_weighs(self):
        texts = {path: Path(path).read_text() for path in pipeline.SINGLE}
        deploy, faults = yaml.safe_load(texts[".github/workflows/deploy.yaml"]), Faults()
        pipeline.check_sizes(texts, deploy, faults)
        self.assertEqual(faults.lines, [])
        deploy["jobs"]["build"]["steps"].pop()
        pipeline.check_sizes(texts | {"deploy/ecs/codepipeline.yaml": ""}, deploy, faults)
        self.assertEqual(
            faults.lines,
            [
                "deploy/ecs/codepipeline.yaml: makes images of any size",
                ".github/workflows/deploy.yaml: build: does not end with the image's size",
            ],
        )

    def test_an_image_that_is_too_large(self):
        for size, code in ((40_000_000, 0), (40_000_001, 1)):
            with tempfile.TemporaryDirectory() as folder:
                docker = Path(folder, "docker")
                docker.write_text(f"#!/bin/sh\necho {size}\n")
                docker.chmod(0o755)
                words = ["deploy/image/size.sh", "staging/orders:abc"]
                done = subprocess.run(words, env={"PATH": f"{folder}:/usr/bin:/bin"}, stdout=subprocess.PIPE)
            self.assertEqual(done.returncode, code)

    def test_a_rehearsal_that_nobody_holds(self):
        rehearsal, faults = yaml.safe_load(Path(".github/workflows/rehearsal.yaml").read_text()), Faults()
        pipeline.check_rehearsal(rehearsal, faults)
        self.assertEqual(faults.lines, [])
        del rehearsal[True]["schedule"]
        rehearsal["jobs"]["host-mode"]["env"] = {}
        pipeline.check_rehearsal(rehearsal, faults)
        told = [line.partition(": ")[2] for line in faults.lines]
        self.assertEqual(told, ["is not scheduled", "does not run the system of the compose file"])

    def test_a_commit_that_is_deployed_before_it_has_passed(self):
        def without_check(deploy, _):
            deploy["jobs"]["build"].pop("needs")

        def without_call(_, check):
            check[True].pop("workflow_call")

        def whatever_failed(deploy, _):
            deploy["jobs"]["deploy"]["if"] = "${{ always() }}"

        def without_waiting(deploy, _):
            deploy["jobs"]["deploy"]["needs"] = ["promote"]

        for change, expected in (
            (lambda *_: None, None),
            (without_check, "images are built of what was not checked"),
            (without_call, "main is not checked before it is deployed"),
            (whatever_failed, "deploys what has failed before"),
            (without_waiting, "deploys without waiting for check, build, promote"),
        ):
            deploy, check = (yaml.safe_load(Path(f".github/workflows/{name}.yaml").read_text()) for name in ("deploy", "check"))
            faults = Faults()
            change(deploy, check)
            pipeline.check_order(deploy, check, faults)
            told = [line.partition(": ")[2] for line in faults.lines]
            self.assertTrue(expected in told if expected else told == [], f"{expected} is not in {told}")

    def test_images_that_cannot_reach_another_region(self):
        workflow, roles = yaml.safe_load(Path(".github/workflows/deploy.yaml").read_text()), load("pipeline")
        faults = Faults()
        pipeline.check_regions(workflow, roles, faults)
        self.assertEqual(faults.lines, [])
        step = next(step for step in workflow["jobs"]["promote"]["steps"] if "promote.sh" in step.get("run", ""))
        step["run"] = step["run"].replace("IMAGES_REGION", "AWS_REGION")
        statements = roles["Resources"]["PipelineRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        statements[1]["Resource"].pop()
        pipeline.check_regions(workflow, roles, faults)
        told = "\n".join(faults.lines)
        for expected in ("copies from $account.dkr.ecr.$AWS_REGION", "does not log in to the registry of $IMAGES_REGION", "dr gets none"):
            self.assertIn(expected, told)

    def test_what_is_promoted_comes_from_one_registry_and_goes_to_another(self):
        with tempfile.TemporaryDirectory() as folder:
            # The catalog's is there; docker says what it was asked for.
            for name, script in (("aws", 'case "$*" in *dr/catalog*) ;; *) exit 1 ;; esac'), ("docker", 'echo "$*"')):
                program = Path(folder, name)
                program.write_text(f"#!/bin/sh\n{script}\n")
                program.chmod(0o755)
            done = subprocess.run(
                ["deploy/ecs/promote.sh", "one.example", "staging", "two.example", "dr", "abc"],
                env={"PATH": f"{folder}:/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True, check=True,
            )
        first, *copies = done.stdout.splitlines()
        self.assertEqual(first, "dr/catalog:abc is there")
        copy = "buildx imagetools create --prefer-index=false --tag two.example/dr/{0}:abc one.example/staging/{0}:abc"
        self.assertEqual(copies, [copy.format(one) for one in ("documents", "documents-import", "orders", "gateway")])


if __name__ == "__main__":
    unittest.main()
