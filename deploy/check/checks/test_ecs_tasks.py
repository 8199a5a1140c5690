"""Every rule about tasks and functions is broken once, and must be heard."""

import copy
import unittest

from . import ecs, ecs_functions, ecs_tasks
from .common import Faults, functions, tasks
from .templates import load_all

TEMPLATES = load_all()


class Breaking(unittest.TestCase):
    """Breaks a stack or a contract, and listens."""

    stack, check, contracts = None, None, None

    def heard(self, change):
        template, known = copy.deepcopy(TEMPLATES[self.stack]), copy.deepcopy(type(self).contracts())
        change(template["Resources"], known)
        faults = Faults()
        type(self).check(TEMPLATES | {self.stack: template}, known, faults)
        return faults.lines

    def breaks(self, change, expected):
        self.assertEqual(self.heard(lambda *_: None), [], "the stack as it is")
        heard = self.heard(change)
        self.assertTrue(any(expected in line for line in heard), f"{expected!r} is not in {heard}")


def container(resources, definition="TaskDefinition"):
    return resources[definition]["Properties"]["ContainerDefinitions"][0]


def statements(resources, role, policy=0):
    return resources[role]["Properties"]["Policies"][policy]["PolicyDocument"]["Statement"]


class Exports(Breaking):
    stack, check, contracts = "reports", ecs_tasks.check_tasks, tasks

    def test_an_export_that_may_read_what_it_wrote(self):
        def change(resources, _):
            statements(resources, "TaskRole")[0]["Action"] = ["s3:PutObject", "s3:GetObject"]

        self.breaks(change, "grants s3:GetObject on ${ExportsBucket.Arn}/*")

    def test_an_export_without_a_bucket(self):
        def change(resources, _):
            main = container(resources)
            main["Environment"] = [item for item in main["Environment"] if item["Name"] != "EXPORT_BUCKET"]

        self.breaks(change, "EXPORT_BUCKET is not set")

    def test_a_schedule_that_runs_something_else(self):
        def change(resources, _):
            target = resources["NightlySchedule"]["Properties"]["Target"]
            target["Input"] = '{"containerOverrides": [{"name": "orders", "command": ["run"]}]}'

        self.breaks(change, "NightlySchedule: does not run `export` in orders-export")

    def test_a_schedule_that_may_run_as_somebody_else(self):
        def change(resources, _):
            statements(resources, "SchedulerRole")[1]["Resource"] = "*"

        self.breaks(change, "NightlySchedule: may run as ['*']")

    def test_a_failure_that_nobody_hears(self):
        self.breaks(lambda resources, _: resources.pop("Failed"), "nobody hears when orders-export fails")


class Archive(Breaking):
    stack, check, contracts = "archive", ecs_tasks.check_tasks, tasks

    def test_an_archive_that_nobody_tends(self):
        self.breaks(lambda resources, _: resources.pop("NightlySchedule"), "nobody runs documents-lifecycle")

    def test_a_restore_that_is_not_granted(self):
        self.breaks(
            lambda resources, _: statements(resources, "TaskRole")[0]["Action"].remove("s3:RestoreObject"),
            "does not grant s3:RestoreObject on DocumentsBucketArn/*, which documents-lifecycle needs",
        )

    def test_an_action_that_the_code_needs_tomorrow(self):
        def change(_, known):
            known["documents-lifecycle"]["buckets"][0]["actions"].append("s3:GetObjectTagging")

        self.breaks(change, "does not grant s3:GetObjectTagging on DocumentsBucketArn/*")

    def test_a_kill_that_comes_before_the_pack_is_written(self):
        self.breaks(lambda resources, _: container(resources).update(StopTimeout=30), "StopTimeout is 30")

    def test_a_secret_that_stands_open(self):
        def change(resources, _):
            container(resources)["Environment"].append({"Name": "DATABASE_URL", "Value": "postgres://for-all-to-read"})

        self.breaks(change, "DATABASE_URL is a secret and stands open")

    def test_a_secret_of_somebody_else(self):
        def change(resources, _):
            statements(resources, "ExecutionRole")[3]["Resource"] = {"Fn::ImportValue": {"Fn::Sub": "${Environment}-OrdersDatabaseUrl"}}

        self.breaks(change, "ECS may read ['OrdersDatabaseUrl'] for it")


class Imports(Breaking):
    stack, check, contracts = "imports", ecs_tasks.check_tasks, tasks

    def test_a_manifest_that_the_task_may_not_read(self):
        self.breaks(
            lambda resources, _: statements(resources, "TaskRole").pop(1),
            "does not grant s3:GetObject on ${ImportsBucket.Arn}/*, which documents-import needs",
        )

    def test_a_task_that_may_read_what_was_imported(self):
        self.breaks(
            lambda resources, _: statements(resources, "TaskRole")[0]["Action"].append("s3:GetObject"),
            "grants s3:GetObject on DocumentsBucketArn/*, which documents-import does not need",
        )

    def test_a_bucket_of_imports_that_is_open(self):
        template = copy.deepcopy(TEMPLATES["imports"])
        del template["Resources"]["ImportsBucket"]["Properties"]["PublicAccessBlockConfiguration"]
        faults = Faults()
        ecs.check_buckets("imports", template, faults)
        self.assertEqual(faults.lines, ["deploy/ecs/imports.yaml: ImportsBucket: must be closed to the public in all four ways"])


class Migrations(Breaking):
    stack, check, contracts = "migrations", ecs_tasks.check_tasks, tasks

    def test_a_migration_that_no_deploy_finds(self):
        template = copy.deepcopy(TEMPLATES["migrations"])
        del template["Outputs"]["OrdersTask"]
        faults = Faults()
        ecs_tasks.check_tasks(TEMPLATES | {"migrations": template}, tasks(), faults)
        self.assertEqual(faults.lines, ["deploy/ecs/migrations.yaml: no deploy finds orders-migrate"])

    def test_a_migration_of_another_schema(self):
        def change(resources, _):
            container(resources, "Catalog")["Secrets"] = container(resources, "Orders")["Secrets"]

        self.breaks(change, "ECS may read ['CatalogDatabaseUrl'] for it, and it needs ['OrdersDatabaseUrl']")

    def test_a_task_that_does_something_else(self):
        self.breaks(lambda resources, _: container(resources, "Orders").update(Command=["run"]), "its command is 'run'")

    def test_a_migration_that_may_do_more_than_migrate(self):
        def change(resources, _):
            resources["Orders"]["Properties"]["TaskRoleArn"] = {"Fn::GetAtt": ["CatalogExecutionRole", "Arn"]}

        self.breaks(change, "which orders-migrate does not need")


class Functions(Breaking):
    stack, check, contracts = "imports", ecs_functions.check_functions, functions

    def function(self, resources):
        return resources["Function"]["Properties"]

    def test_a_secret_that_stands_open(self):
        def change(resources, _):
            variables = self.function(resources)["Environment"]["Variables"]
            variables["DATABASE_URL"] = "{{resolve:secretsmanager:staging-documents-url}}"

        self.breaks(change, "DATABASE_URL is a secret and stands open")

    def test_a_secret_that_is_not_named(self):
        self.breaks(
            lambda resources, _: self.function(resources)["Environment"]["Variables"].pop("DATABASE_URL_SECRET"),
            "DATABASE_URL is not set, and documents-import-function needs it",
        )

    def test_a_secret_that_it_may_not_read(self):
        self.breaks(lambda resources, _: statements(resources, "FunctionRole").pop(), "does not grant secretsmanager:GetSecretValue")

    def test_a_variable_that_nobody_reads(self):
        self.breaks(
            lambda resources, _: self.function(resources)["Environment"]["Variables"].update(SHOP="x"),
            "SHOP is set, and documents-import-function does not read it",
        )

    def test_an_action_that_is_not_needed(self):
        self.breaks(
            lambda resources, _: statements(resources, "FunctionRole")[1].update(Action=["s3:GetObject", "s3:DeleteObject"]),
            "grants s3:DeleteObject on ${ImportsBucket.Arn}/*",
        )

    def test_code_that_may_change_the_network(self):
        self.breaks(lambda resources, _: statements(resources, "FunctionRole", 1).pop(), "may change the network's interfaces")

    def test_a_deadline_in_which_nothing_gets_done(self):
        self.breaks(lambda resources, _: self.function(resources).update(Timeout=30), "Timeout is 30, must be 60 to 900")

    def test_less_memory_than_it_needs(self):
        self.breaks(lambda resources, _: self.function(resources).update(MemorySize=128), "MemorySize is 128")

    def test_any_number_at_once(self):
        self.breaks(lambda resources, _: self.function(resources).pop("ReservedConcurrentExecutions"), "any number of it may run")

    def test_another_processor_than_the_images(self):
        self.breaks(lambda resources, _: self.function(resources).pop("Architectures"), "must run on arm64")

    def test_a_function_that_cannot_reach_the_database(self):
        self.breaks(lambda resources, _: self.function(resources).pop("VpcConfig"), "cannot reach the database")

    def test_a_bucket_that_calls_nobody(self):
        self.breaks(lambda resources, _: resources["ImportsBucket"]["Properties"].pop("NotificationConfiguration"), "nobody calls it")

    def test_a_call_for_every_file(self):
        def change(resources, _):
            del resources["ImportsBucket"]["Properties"]["NotificationConfiguration"]["LambdaConfigurations"][0]["Filter"]

        self.breaks(change, "is called for every object")

    def test_a_call_for_the_bucket_of_a_stranger(self):
        self.breaks(
            lambda resources, _: resources["FunctionPermission"]["Properties"].pop("SourceAccount"), "may be called for buckets of other accounts"
        )

    def test_an_event_that_is_lost(self):
        self.breaks(lambda resources, _: resources["Tries"]["Properties"].pop("DestinationConfig"), "events that it gives up are lost")

    def test_an_event_that_wakes_nobody(self):
        self.breaks(lambda resources, _: resources.pop("FailuresAlarm"), "an event in Failures wakes nobody")

    def test_errors_that_wake_nobody(self):
        self.breaks(lambda resources, _: resources.pop("ErrorsAlarm"), "its errors wake nobody")


if __name__ == "__main__":
    unittest.main()
