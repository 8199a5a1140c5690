"""Every rule about the stacks is broken once, and must be heard."""

import copy
import unittest

from . import ecs, ecs_indicators, ecs_kept, ecs_queues, ecs_service
from .common import Faults, contracts
from .templates import anchors, load, load_all

TEMPLATES = load_all()
CONTRACTS = contracts()


def service_faults(name, change=lambda template, contract: None):
    template, contract = copy.deepcopy(TEMPLATES[name]), copy.deepcopy(CONTRACTS[name])
    change(template, contract)
    faults = Faults()
    ecs_service.check_service(name, template, contract, faults)
    return faults.lines


def queue_faults(change=lambda template: None):
    templates = TEMPLATES | {"queues": copy.deepcopy(TEMPLATES["queues"])}
    change(templates["queues"])
    environments = {
        name: {item["Name"]: item["Value"] for item in ecs_service.container(TEMPLATES[name], name).get("Environment", [])}
        for name in CONTRACTS
    }
    faults = Faults()
    ecs_queues.check_queues(templates, CONTRACTS, environments, faults)
    return faults.lines


def main_of(template, name):
    return ecs_service.container(template, name)


class Services(unittest.TestCase):
    def breaks(self, name, change, expected):
        self.assertEqual(service_faults(name), [], "the stack as it is")
        heard = service_faults(name, change)
        self.assertTrue(any(expected in line for line in heard), f"{expected!r} is not in {heard}")

    def test_a_variable_that_is_needed_and_not_set(self):
        def change(template, _):
            main = main_of(template, "gateway")
            main["Environment"] = [item for item in main["Environment"] if item["Name"] != "AUTH_ISSUER"]

        self.breaks("gateway", change, "AUTH_ISSUER is not set")

    def test_a_setting_that_the_code_gets_tomorrow(self):
        def change(_, contract):
            contract["settings"].append({"name": "NEW_QUEUE", "required": True, "secret": False})

        self.breaks("orders", change, "NEW_QUEUE is not set")

    def test_a_variable_that_nobody_reads(self):
        self.breaks(
            "orders",
            lambda template, _: main_of(template, "orders")["Environment"].append({"Name": "POLL_WAITS", "Value": "1s"}),
            "POLL_WAITS is set, and orders does not read it",
        )

    def test_a_secret_that_stands_open(self):
        def change(template, _):
            main = main_of(template, "catalog")
            main["Secrets"] = [item for item in main["Secrets"] if item["Name"] != "SERVICE_TOKEN"]
            main["Environment"].append({"Name": "SERVICE_TOKEN", "Value": "for all to read"})

        self.breaks("catalog", change, "SERVICE_TOKEN is a secret and stands open")

    def test_a_stop_that_comes_before_the_drain_is_over(self):
        self.breaks(
            "orders", lambda template, _: main_of(template, "orders").update(StopTimeout=90), "StopTimeout is 90"
        )

    def test_a_stop_timeout_that_fargate_does_not_have(self):
        self.breaks(
            "gateway", lambda template, _: main_of(template, "gateway").update(StopTimeout=500), "StopTimeout is 500"
        )

    def test_an_action_that_is_not_needed(self):
        def change(template, _):
            statement = template["Resources"]["TaskRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]
            statement["Action"].append("sqs:PurgeQueue")

        self.breaks("orders", change, "grants sqs:PurgeQueue on OrdersQueueArn, which orders does not need")

    def test_an_action_on_everything(self):
        def change(template, _):
            statements = template["Resources"]["TaskRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
            statements.append({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"})

        self.breaks("gateway", change, "grants sqs:SendMessage on *")

    def test_protection_of_other_clusters_tasks(self):
        def change(template, _):
            statement = template["Resources"]["TaskRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][-1]
            statement["Resource"] = "*"

        for name in ("catalog", "documents", "orders"):
            self.breaks(name, change, f"grants ecs:UpdateTaskProtection on *, which {name} does not need")

    def test_an_action_that_is_needed_and_not_granted(self):
        def change(_, contract):
            contract["queues"][0]["actions"].append("sqs:GetQueueAttributes")

        self.breaks("orders", change, "does not grant sqs:GetQueueAttributes on OrdersQueueArn")

    def test_objects_that_a_task_may_not_write_and_more_than_it_needs(self):
        def narrower(_, contract):
            contract["buckets"][0]["actions"].remove("s3:PutObject")

        def wider(_, contract):
            contract["buckets"][0]["bucket_actions"].append("s3:GetBucketLocation")

        for name, bucket in (("documents", "DocumentsBucketArn"), ("catalog", "MediaBucketArn")):
            self.breaks(name, narrower, f"grants s3:PutObject on {bucket}/*, which {name} does not need")
            self.breaks(name, wider, f"does not grant s3:GetBucketLocation on {bucket}, which {name} needs")

    def test_a_secret_that_the_task_may_not_read(self):
        def change(template, _):
            main_of(template, "catalog")["Secrets"].append(
                {"Name": "TOKEN", "ValueFrom": {"Fn::ImportValue": {"Fn::Sub": "${Environment}-OrdersReaderUrl"}}}
            )

        self.breaks("catalog", change, "and the task needs")

    def test_a_deploy_that_takes_away_what_runs(self):
        def change(template, _):
            template["Resources"]["Service"]["Properties"]["DeploymentConfiguration"]["MinimumHealthyPercent"] = 0

        self.breaks("orders", change, "a deploy must not take away what runs")

    def test_an_alarm_that_never_ends_in_a_region_that_stands_by(self):
        self.breaks(
            "documents",
            lambda template, _: template["Resources"]["FewTasksAlarm"]["Properties"].update(Threshold=1),
            "the alarm on RunningTaskCount never ends where none should run",
        )

    def test_a_service_that_spot_could_take_away_whole(self):
        for name in ("orders", "catalog", "documents"):
            self.breaks(
                name,
                lambda template, _: template["Resources"]["Service"]["Properties"]["CapacityProviderStrategy"][0].pop("Base"),
                "must have one task that is not on Spot",
            )

    def test_a_deploy_that_takes_back_what_scaling_has_added(self):
        for name in ("gateway", "orders", "catalog", "documents"):
            self.breaks(
                name,
                lambda template, _: template["Resources"]["Service"]["Properties"].update(DesiredCount={"Ref": "TasksMin"}),
                "DesiredCount takes back at each deploy what scaling had added",
            )

    def test_a_service_that_stands_by_while_it_should_run(self):
        self.breaks(
            "orders",
            lambda template, _: template["Conditions"].update(StandsBy={"Fn::Equals": [{"Ref": "TasksMax"}, "0"]}),
            "StandsBy must be what TasksMin 0 says",
        )

    def test_a_deploy_that_fails_and_stays(self):
        for name, alarm in (("catalog", "FailingAlarm"), ("orders", "OldestUnsettledAlarm"), ("orders", "OrdersDeadLettersAlarm")):

            def change(template, _):
                alarms = template["Resources"]["Service"]["Properties"]["DeploymentConfiguration"]["Alarms"]
                alarms["AlarmNames"] = [one for one in alarms["AlarmNames"] if alarm not in str(one)]

            self.breaks(name, change, f"is not rolled back by {alarm}")

    def test_tasks_that_die_while_they_answer_unheard(self):
        def without(template, _):
            alarm = template["Resources"]["ErrorsAlarm"]["Properties"]
            alarm["Metrics"] = [one for one in alarm["Metrics"] if one["Id"] != "balancer"]

        def only_counted(template, _):
            template["Resources"]["ErrorsAlarm"]["Properties"]["Metrics"][-1]["Expression"] = "100 * FILL(errors, 0) / requests"

        def silent(template, _):
            template["Resources"]["ErrorsAlarm"]["Properties"]["Metrics"][-1]["Expression"] = (
                "100 * (FILL(errors, 0) + FILL(balancer, 0)) / requests"
            )

        self.breaks("gateway", without, "does not hear of HTTPCode_ELB_5XX_Count")
        self.breaks("gateway", only_counted, "does not hear of HTTPCode_ELB_5XX_Count")
        self.breaks("gateway", silent, "is silent while no task is there to take a request")

    def test_a_deploy_that_no_alarm_rolls_back(self):
        def change(template, _):
            del template["Resources"]["Service"]["Properties"]["DeploymentConfiguration"]["Alarms"]

        self.breaks("gateway", change, "a deploy must be rolled back by alarms")

    def test_a_canary_without_a_second_target_group(self):
        def change(template, _):
            del template["Resources"]["Service"]["Properties"]["LoadBalancers"][0]["AdvancedConfiguration"]

        self.breaks("gateway", change, "CANARY needs a second target group")

    def test_an_alarm_that_is_missing(self):
        self.breaks("orders", lambda template, _: template["Resources"].pop("TapClosedAlarm"), "has no alarm on queue_tap_closed")

    def test_an_alarm_that_waits_longer_than_the_contract(self):
        def change(template, _):
            template["Resources"]["TapClosedAlarm"]["Properties"]["EvaluationPeriods"] = 60

        self.breaks("orders", change, "the alarm on queue_tap_closed is")

    def test_an_alarm_on_the_mean_where_the_hundredth_counts(self):
        def change(template, _):
            template["Resources"]["SlowSettlementAlarm"]["Properties"]["ExtendedStatistic"] = "p50"

        self.breaks("orders", change, "the alarm on orders_settle_seconds is")

    def test_an_alarm_on_what_is_not_written(self):
        def change(_, contract):
            contract["alarms"][0]["metric"] = "queue_deaths"

        self.breaks("orders", change, "queue_deaths is no indicator")

    def test_a_shell_in_front_of_the_health_check(self):
        self.breaks(
            "catalog",
            lambda template, _: main_of(template, "catalog")["HealthCheck"].update(Command=["CMD-SHELL", "curl localhost"]),
            "the health check must be its own",
        )


class Queues(unittest.TestCase):
    def breaks(self, change, expected):
        self.assertEqual(queue_faults(), [], "the stack as it is")
        heard = queue_faults(change)
        self.assertTrue(any(expected in line for line in heard), f"{expected!r} is not in {heard}")

    def orders(self, template):
        return template["Resources"]["OrdersQueue"]["Properties"]

    def test_a_queue_that_is_not_fifo(self):
        self.breaks(lambda template: self.orders(template).pop("FifoQueue"), "FifoQueue must be True")

    def test_a_queue_without_a_sequence_that_is_fifo(self):
        self.breaks(
            lambda template: template["Resources"]["MediaQueue"]["Properties"].update(FifoQueue=True), "FifoQueue must be None"
        )

    def test_a_queue_that_forgets_sooner(self):
        self.breaks(lambda template: self.orders(template).update(MessageRetentionPeriod=345600), "MessageRetentionPeriod must be")

    def test_a_queue_without_dead_letters(self):
        self.breaks(lambda template: self.orders(template).pop("RedrivePolicy"), "OrdersQueue: has no dead-letter queue")

    def test_receives_that_a_few_deploys_use_up(self):
        self.breaks(lambda template: template["Parameters"]["ReceivesMax"].update(Default=5), "maxReceiveCount is 5")

    def test_dead_letters_that_wake_nobody(self):
        self.breaks(
            lambda template: template["Resources"].pop("OrdersDeadLettersAlarm"), "OrdersDeadLetters: a dead letter wakes nobody"
        )

    def test_messages_that_wait_unheard(self):
        self.breaks(lambda template: template["Resources"].pop("OrdersOldestAlarm"), "nobody hears when messages wait")

    def test_a_visibility_that_is_not_the_workers(self):
        self.breaks(lambda template: self.orders(template).update(VisibilityTimeout=30), "VisibilityTimeout is 30")

    def test_a_queue_without_tls(self):
        self.breaks(lambda template: template["Resources"].pop("OrdersQueuePolicy"), "may be used without TLS")

    def test_somebody_else_who_sends_orders(self):
        templates = copy.deepcopy(TEMPLATES)
        statement = templates["catalog"]["Resources"]["TaskRole"]["Properties"]
        statement["Policies"] = copy.deepcopy(templates["gateway"]["Resources"]["TaskRole"]["Properties"]["Policies"])
        faults = Faults()
        ecs_queues.check_senders(templates, CONTRACTS, faults)
        self.assertIn("orders may be sent by ['catalog', 'gateway']", faults.lines[0])


class Indicators(unittest.TestCase):
    def breaks(self, expected, change=lambda templates, contracts: None, operations=None):
        operations = operations or ecs.OPERATIONS.read_text()

        def faults_of(templates, contracts, operations):
            faults = Faults()
            ecs_indicators.check_indicators(templates, contracts, operations, faults)
            return faults.lines

        self.assertEqual(faults_of(TEMPLATES, CONTRACTS, ecs.OPERATIONS.read_text()), [], "as it is")
        templates, contracts = copy.deepcopy(TEMPLATES), copy.deepcopy(CONTRACTS)
        change(templates, contracts)
        heard = faults_of(templates, contracts, operations)
        self.assertTrue(any(expected in line for line in heard), f"{expected!r} is not in {heard}")

    def test_a_service_whose_indicators_nobody_gets(self):
        def change(templates, _):
            main = main_of(templates["orders"], "orders")
            main["Environment"] = [item for item in main["Environment"] if item["Name"] != "EMF_NAMESPACE"]

        self.breaks("orders.yaml: orders: writes its indicators to None", change)

    def test_indicators_that_are_told_in_another_place_than_they_are_looked_for(self):
        def change(templates, _):
            main = main_of(templates["catalog"], "catalog")
            next(item for item in main["Environment"] if item["Name"] == "EMF_NAMESPACE")["Value"] = "Elsewhere"

        self.breaks("catalog.yaml: catalog: writes its indicators to Elsewhere", change)

    def test_indicators_that_are_told_twice(self):
        def change(templates, _):
            config = templates["platform"]["Resources"]["CollectorConfig"]["Properties"]
            config["Value"] += "    metrics: { receivers: [otlp], exporters: [awsemf] }\n"

        self.breaks("tells ['metrics'] beside the services", change)

    def test_an_indicator_that_is_not_drawn(self):
        def change(_, contracts):
            contracts["orders"]["indicators"].append({"metric": "orders_lost_total", "kind": "counter", "says": "…"})

        self.breaks("does not draw orders_lost_total", change)
        self.breaks("does not say what orders_lost_total is", change)

    def test_a_metric_that_is_drawn_and_no_indicator(self):
        def change(_, contracts):
            contracts["orders"]["indicators"] = [one for one in contracts["orders"]["indicators"] if one["metric"] != "lease_wait_seconds"]

        self.breaks("draws lease_wait_seconds of orders, which is no indicator of it", change)

    def test_dead_letters_that_nobody_sees(self):
        def change(templates, _):
            body = templates["edge"]["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
            body[0] = body[0].replace("${MediaDead}", "${OrdersDead}")

        self.breaks("does not show what lies in MediaDeadLettersName", change)

    def test_an_alarm_on_something_else(self):
        def change(templates, _):
            templates["orders"]["Resources"]["TapClosedAlarm"]["Properties"]["MetricName"] = "queue_in_hand"

        self.breaks("queue_in_hand is no indicator of orders", change)

    def test_an_alarm_on_another_services_indicator_under_its_own_name(self):
        def change(templates, _):
            templates["catalog"]["Resources"]["FailingAlarm"]["Properties"]["Dimensions"][0]["Value"] = "catalog"

        self.breaks("orders_breaker_open is no indicator of catalog", change)

    def test_an_alarm_on_a_label_that_nobody_writes(self):
        def change(templates, _):
            templates["catalog"]["Resources"]["FailingAlarm"]["Properties"]["Dimensions"].pop()

        self.breaks("orders_breaker_open is told apart by dependency", change)


class Stacks(unittest.TestCase):
    def test_a_name_that_no_stack_before_exports(self):
        templates = copy.deepcopy(TEMPLATES)
        del templates["queues"]["Outputs"]["OrdersQueueArn"]
        faults = Faults()
        ecs.check_names(templates, faults)
        self.assertIn("deploy/ecs/orders.yaml: asks for OrdersQueueArn, which no stack before it exports", faults.lines)

    def test_an_environment_that_lacks_a_parameter_or_has_one_that_is_none(self):
        given = {"environment": "dev", "stacks": {"network": {"OperatorMail": "me@example.com", "NatGateways": "three"}}}
        faults = Faults()
        ecs.check_environment("dev.json", given, {"network": TEMPLATES["network"]}, faults)
        self.assertEqual(
            faults.lines,
            [
                "dev.json: network: OperatorsEmail is not set",
                "dev.json: network: NatGateways must be one of ['one', 'per-zone']",
                "dev.json: network: OperatorMail is no parameter",
            ],
        )

    def test_a_deployer_that_may_not_migrate(self):
        template, faults = load("pipeline"), Faults()
        policies = template["Resources"]["PipelineRole"]["Properties"]["Policies"]
        template["Resources"]["PipelineRole"]["Properties"]["Policies"] = policies[:-1]
        ecs.check_deployers({"pipeline": (template, "PipelineRole")}, faults)
        self.assertIn("deploy/ecs/pipeline.yaml: PipelineRole: may not ecs:RunTask, which deploy.py does", faults.lines)

    def test_stacks_that_are_told_different_things(self):
        given = {"environment": "dev", "stacks": {"archive": {"ArchiveClass": "GLACIER"}, "orders": {"AuthIssuer": "a"}, "gateway": {"AuthIssuer": "a"}}}
        faults = Faults()
        ecs.check_same("dev.json", given, TEMPLATES, faults)
        told = {"documents": "GLACIER_IR", "archive": "GLACIER"}
        self.assertEqual(faults.lines, [f"dev.json: ArchiveClass must be the same everywhere, and is {told}"])

    def test_a_parameter_whose_file_is_not_there(self):
        given = {"environment": "dev", "stacks": {"documents": {"Shop": "file:nowhere.toml"}}}
        faults = Faults()
        ecs.check_environment("dev.json", given, {"documents": TEMPLATES["documents"]}, faults)
        self.assertEqual(faults.lines, ["dev.json: documents: Shop names a file that is not there"])

    def test_a_stack_that_counts_wrong(self):
        template, faults = copy.deepcopy(TEMPLATES["orders"]), Faults()
        ecs.check_numbers({"orders": template}, faults)
        self.assertEqual(faults.lines, [])
        template["Description"] = template["Description"].replace("/14", "/7")
        ecs.check_numbers({"orders": template}, faults)
        self.assertEqual(faults.lines, ["deploy/ecs/orders.yaml: must begin with 'Steelyard 11/14: '"])

    def test_what_is_kept_for_less_than_is_said(self):
        def changed(change):
            template, faults = copy.deepcopy(TEMPLATES["objects"]), Faults()
            change(template)
            ecs_kept.check_kept(template, ecs.RUNBOOKS.read_text(), faults)
            return faults.lines

        def rules(template, bucket):
            return template["Resources"][bucket]["Properties"]["LifecycleConfiguration"]["Rules"]

        repository = "OrdersRepository"
        for change, expected in (
            (lambda template: None, []),
            (lambda template: rules(template, "MediaBucket").pop(0), ["deploy/ecs/objects.yaml: MediaBucket: does not keep old versions for OldVersionDays"]),
            (lambda template: rules(template, "DocumentsBucket").pop(), ["deploy/ecs/objects.yaml: DocumentsBucket: keeps parts of broken uploads for ever"]),
            (
                lambda template: rules(template, "DocumentsBucket").pop(0),
                ["deploy/ecs/objects.yaml: DocumentsBucket: keeps large documents warm for ever if nobody packs them"],
            ),
            (
                lambda template: rules(template, "DocumentsBucket")[0].pop("ObjectSizeGreaterThan"),
                ["deploy/ecs/objects.yaml: DocumentsBucket: moves objects that cost more cold than warm"],
            ),
            (
                lambda template: rules(template, "DocumentsBucket")[0]["Transitions"][0].update(StorageClass="GLACIER"),
                [
                    "deploy/ecs/objects.yaml: DocumentsBucket: moves objects to where they must be waited for: "
                    "{'StorageClass': 'GLACIER', 'TransitionInDays': {'Ref': 'WarmDaysMax'}}"
                ],
            ),
            (
                lambda template: rules(template, "DocumentsBucket")[0].update(ExpirationInDays=365),
                ["deploy/ecs/objects.yaml: DocumentsBucket: forgets what is not bundles/"],
            ),
            (
                lambda template: template["Resources"][repository]["Properties"].pop("LifecyclePolicy"),
                [f"deploy/ecs/objects.yaml: {repository}: does not keep the last ImagesKept images, and forget the others"],
            ),
            (
                lambda template: template["Parameters"]["OldVersionDays"].update(Default=7),
                ["docs/RUNBOOKS.md: does not say that old versions stay for 7 days"],
            ),
            (
                lambda template: template["Parameters"]["ImagesKept"].update(Default=10),
                ["deploy/ecs/objects.yaml: ImagesKept is 10, and a month of deploys is 30"],
            ),
        ):
            self.assertEqual(changed(change), expected)

    def test_a_restored_cluster_that_is_another_kind(self):
        runbooks, faults = ecs.RUNBOOKS.read_text(), Faults()
        ecs.check_restores(runbooks, faults)
        self.assertEqual(faults.lines, [])
        ecs.check_restores(runbooks.replace("--db-cluster-parameter-group-name", "").replace("-from-snapshot", ""), faults)
        self.assertEqual(
            faults.lines,
            [
                "docs/RUNBOOKS.md: restore-db-cluster-to-point-in-time without --db-cluster-parameter-group-name",
                "docs/RUNBOOKS.md: does not say how to restore-db-cluster-from-snapshot",
            ],
        )

    def test_a_bucket_that_is_open(self):
        template = copy.deepcopy(TEMPLATES["objects"])
        del template["Resources"]["MediaBucket"]["Properties"]["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]
        faults = Faults()
        ecs.check_buckets("objects", template, faults)
        self.assertEqual(faults.lines, ["deploy/ecs/objects.yaml: MediaBucket: must be closed to the public in all four ways"])

    def test_uploads_that_the_cdn_could_deliver(self):
        template = copy.deepcopy(TEMPLATES["objects"])
        statements = template["Resources"]["MediaBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        statements[0]["Resource"]["Fn::Sub"] = "${MediaBucket.Arn}/*"
        faults = Faults()
        ecs.check_buckets("objects", template, faults)
        self.assertEqual(faults.lines, ["deploy/ecs/objects.yaml: MediaBucketPolicy: may let read renditions only, images/*"])

    def test_yaml_that_cloudformation_does_not_know(self):
        self.assertEqual(anchors("a: &x\n  b: 1\nc: *x\nd:\n  <<: *x\ne: 'a & b'\n"), [1, 3, 5])


if __name__ == "__main__":
    unittest.main()
