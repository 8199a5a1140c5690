"""One service's stack against its contract."""

from .common import settings
from .templates import default, imported, listed, of_type

# Fargate's longest.
STOP_TIMEOUT_SECONDS_MAX = 120
STOP_SLACK_SECONDS = 5
# Tasks of the environment's own cluster: one's own has no name before it is there.
TASKS = "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/Cluster/*"


def definition(template, name):
    """The task definition that has this container, by its logical name."""
    definitions = of_type(template, "AWS::ECS::TaskDefinition").items()
    return next(
        (logical, found["Properties"])
        for logical, found in definitions
        if any(one["Name"] == name for one in found["Properties"]["ContainerDefinitions"])
    )


def container(template, name):
    _, task = definition(template, name)
    return next(one for one in task["ContainerDefinitions"] if one["Name"] == name)


def queue_export(name, need, environment):
    """`OrdersQueue` or `OrdersDeadLetters`: which queue of the queues stack a service means by a need."""
    named = imported(environment.get(need["setting"]))
    if not named:
        return None
    queue = named.removesuffix("Name")
    return queue.removesuffix("Queue") + "DeadLetters" if need["dead_letters"] else queue


def check_container(name, template, contract, faults):
    where = f"deploy/ecs/{name}.yaml"
    main = container(template, name)
    environment = {item["Name"]: item["Value"] for item in main.get("Environment", [])}
    secrets = {item["Name"]: item["ValueFrom"] for item in main.get("Secrets", [])}
    known = settings(contract)
    for setting in known.values():
        variable = setting["name"]
        given = variable in environment or variable in secrets
        faults.unless(given or not setting["required"], where, f"{variable} is not set, and {name} needs it")
        faults.unless(not (setting["secret"] and variable in environment), where, f"{variable} is a secret and stands open")
    for variable in sorted((set(environment) | set(secrets)) - set(known)):
        faults.add(where, f"{variable} is set, and {name} does not read it")
    ports = {mapping["ContainerPort"] for mapping in main["PortMappings"]}
    wanted = set(contract["ports"].values())
    faults.unless(ports == wanted, where, f"ports are {sorted(ports)}, and {name} has {sorted(wanted)}")
    stop = main.get("StopTimeout", 30)
    needed = contract["stop_seconds_max"] + STOP_SLACK_SECONDS
    faults.unless(
        needed <= stop <= STOP_TIMEOUT_SECONDS_MAX, where, f"StopTimeout is {stop}, must be {needed} to {STOP_TIMEOUT_SECONDS_MAX}"
    )
    faults.unless(main.get("ReadonlyRootFilesystem") is True, where, "the file system must be read-only")
    faults.unless(str(main.get("User", "0")) not in ("0", "root"), where, "runs as root")
    dropped = main.get("LinuxParameters", {}).get("Capabilities", {}).get("Drop")
    faults.unless(dropped == ["ALL"], where, "all capabilities must be dropped")
    probe = main.get("HealthCheck", {}).get("Command")
    faults.unless(probe == ["CMD", f"/usr/local/bin/{name}", "healthcheck"], where, "the health check must be its own")
    mode = main["LogConfiguration"]["Options"].get("mode")
    faults.unless(mode == "non-blocking", where, "logging must not hold up the process")
    return environment, secrets


def named(resource):
    """What a statement is about: `MediaBucketArn`, or `MediaBucketArn/*` for what is below it."""
    if isinstance(resource, dict) and isinstance(resource.get("Fn::Sub"), str):
        return resource["Fn::Sub"]
    if isinstance(resource, dict) and isinstance(resource.get("Fn::Sub"), list):
        text, values = resource["Fn::Sub"]
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", imported(value) or str(value))
        return text
    if isinstance(resource, dict) and "Fn::GetAtt" in resource:
        return "${" + ".".join(resource["Fn::GetAtt"]) + "}"
    return imported(resource) or str(resource)


def granted(template, role):
    """(action, resource) of a role's own policies; buckets of the stack as `${Bucket.Arn}`, also where they go by name."""
    pairs = set()
    names = {
        f"arn:${{AWS::Partition}}:s3:::{bucket['Properties']['BucketName']['Fn::Sub']}": f"${{{logical}.Arn}}"
        for logical, bucket in of_type(template, "AWS::S3::Bucket").items()
        if "BucketName" in bucket["Properties"]
    }
    for policy in template["Resources"][role]["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] != "Allow":
                continue
            for resource in listed(statement["Resource"]):
                text = named(resource)
                arn, slash, below = text.partition("/")
                text = names.get(arn, arn) + slash + below
                for action in listed(statement["Action"]):
                    pairs.add((action, text))
    return pairs


def check_actions(name, template, contract, environment, faults):
    """The task may do what its contract names, and nothing else."""
    where = f"deploy/ecs/{name}.yaml: TaskRole"
    needed = set()
    for need in contract["queues"]:
        queue = queue_export(name, need, environment)
        if queue:
            needed |= {(action, f"{queue}Arn") for action in need["actions"]}
        else:
            faults.add(where, f"{need['setting']} leads to no queue of the queues stack")
    for need in contract["buckets"]:
        bucket = (imported(environment.get(need["setting"])) or "").removesuffix("Name")
        if bucket:
            needed |= {(action, f"{bucket}Arn/*") for action in need["actions"]}
            needed |= {(action, f"{bucket}Arn") for action in need["bucket_actions"]}
        else:
            faults.add(where, f"{need['setting']} leads to no bucket of the objects stack")
    needed |= {(action, TASKS) for action in contract.get("task_actions", [])}
    may = granted(template, "TaskRole")
    for action, resource in sorted(needed - may):
        faults.add(where, f"does not grant {action} on {resource}, which {name} needs")
    for action, resource in sorted(may - needed):
        faults.add(where, f"grants {action} on {resource}, which {name} does not need")


def check_start(name, template, secrets, faults):
    """ECS may read the secrets that the task is given, and no others."""
    where = f"deploy/ecs/{name}.yaml: ExecutionRole"
    may = {resource for action, resource in granted(template, "ExecutionRole") if action == "secretsmanager:GetSecretValue"}
    needed = {imported(value) for value in secrets.values()}
    faults.unless(may == needed, where, f"may read {sorted(may)}, and the task needs {sorted(needed)}")


def check_deployment(name, template, faults):
    where = f"deploy/ecs/{name}.yaml: Service"
    service = template["Resources"]["Service"]["Properties"]
    deployment = service["DeploymentConfiguration"]
    faults.unless(deployment["MinimumHealthyPercent"] >= 100, where, "a deploy must not take away what runs")
    alarms = deployment.get("Alarms", {})
    rolls_back = alarms.get("Enable") and alarms.get("Rollback") and alarms.get("AlarmNames")
    faults.unless(rolls_back, where, "a deploy must be rolled back by alarms")
    if deployment["Strategy"] == "ROLLING":
        breaker = deployment.get("DeploymentCircuitBreaker", {})
        faults.unless(breaker.get("Enable") and breaker.get("Rollback"), where, "needs a circuit breaker that rolls back")
    else:
        advanced = service["LoadBalancers"][0].get("AdvancedConfiguration", {})
        two = advanced.get("AlternateTargetGroupArn") and advanced.get("ProductionListenerRule")
        faults.unless(two, where, f"{deployment['Strategy']} needs a second target group and the rule that leads to them")
    shares = {one["CapacityProvider"]: one for one in service.get("CapacityProviderStrategy", [])}
    # Requests of customers are never cut off by Spot; workers and what they call hand over within its two minutes.
    if name != "gateway":
        kept = shares.get("FARGATE", {}).get("Base", 0) >= 1 and "FARGATE_SPOT" in shares
        faults.unless(kept, where, "must have one task that is not on Spot, and others that may be")
    scaled = of_type(template, "AWS::ApplicationAutoScaling::ScalableTarget")
    count = service.get("DesiredCount")
    # CloudFormation leaves out of an update what is not in the template, and sets anew what is
    # (<https://blog.cloudglance.dev/deep-dive-on-ecs-desired-count-and-circuit-breaker-rollback/>, quoting AWS).
    left = count is None or count == {"Fn::If": ["StandsBy", 0, {"Ref": "AWS::NoValue"}]}
    faults.unless(left or not scaled, where, "DesiredCount takes back at each deploy what scaling had added")
    standing = template.get("Conditions", {}).get("StandsBy")
    faults.unless(standing == {"Fn::Equals": [{"Ref": "TasksMin"}, "0"]}, where, "StandsBy must be what TasksMin 0 says")
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        if alarm["Properties"].get("MetricName") == "RunningTaskCount":
            silent = alarm["Properties"]["Threshold"] == {"Fn::If": ["StandsBy", 0, 1]}
            faults.unless(silent, where, "the alarm on RunningTaskCount never ends where none should run")
    least, most = (default(template, {"Ref": bound}) for bound in ("TasksMin", "TasksMax"))
    faults.unless(1 <= least <= most, where, f"TasksMin {least} and TasksMax {most} leave no room")


# By what a service's deploy is rolled back: each says that what it is there for fails, not only that it is slow or short of tasks.
ROLLED_BACK_BY = {
    "gateway": {"ErrorsAlarm", "SendFailuresAlarm"},
    "catalog": {"FailingAlarm", "RacesAlarm"},
    "documents": {"FewTasksAlarm", "TapClosedAlarm"},
    "orders": {"EventsRefusedAlarm", "OldestUnsettledAlarm", "OrdersDeadLettersAlarm", "TapClosedAlarm"},
}


def check_roll_back(name, template, faults):
    where = f"deploy/ecs/{name}.yaml: Service"
    names = template["Resources"]["Service"]["Properties"]["DeploymentConfiguration"].get("Alarms", {}).get("AlarmNames", [])
    found = {imported(one) or one.get("Ref") for one in names}
    for missing in sorted(ROLLED_BACK_BY[name] - found):
        faults.add(where, f"is not rolled back by {missing}")


def check_failed_answers(template, faults):
    """Answers that the balancer gives in the gateway's place are failed ones, too."""
    alarm = template["Resources"]["ErrorsAlarm"]["Properties"]
    metrics = {metric["MetricStat"]["Metric"]["MetricName"]: metric["Id"] for metric in alarm["Metrics"] if "MetricStat" in metric}
    (expression,) = [metric["Expression"] for metric in alarm["Metrics"] if "Expression" in metric]
    above, _, below = expression.partition(" / ")
    for wanted in ("HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"):
        told = f"({metrics.get(wanted)}, 0)" in above
        faults.unless(told, "deploy/ecs/gateway.yaml: ErrorsAlarm", f"does not hear of {wanted}")
    all_of_them = metrics.get("RequestCount", "?") in below and f"({metrics.get('HTTPCode_ELB_5XX_Count')}, 0)" in below
    faults.unless(all_of_them, "deploy/ecs/gateway.yaml: ErrorsAlarm", "is silent while no task is there to take a request")


def check_alarms(name, template, contract, faults):
    """Every alarm of the contract is there, and its metric reaches CloudWatch: as an indicator, which the service writes."""
    where = f"deploy/ecs/{name}.yaml"
    there = [alarm["Properties"] for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()]
    for wanted in contract["alarms"]:
        metric = wanted["metric"]
        written = any(one["metric"] == metric for one in contract["indicators"])
        faults.unless(written, where, f"{metric} is no indicator, so that {name} does not write it")
        alarms = [alarm for alarm in there if alarm.get("MetricName") == metric]
        faults.unless(alarms, where, f"has no alarm on {metric}: {wanted['why']}")
        for alarm in alarms:
            seconds = alarm["Period"] * alarm["EvaluationPeriods"]
            found_statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
            found = (alarm["Threshold"], seconds, alarm["ComparisonOperator"], found_statistic)
            statistic = {"gauge": "Maximum", "counter": "Sum", "histogram": "p99"}[wanted["kind"]]
            due = (wanted["at_least"], wanted["seconds"], "GreaterThanOrEqualToThreshold", statistic)
            faults.unless(found == due, where, f"the alarm on {metric} is {found}, and must be {due}")
            faults.unless(alarm.get("AlarmActions"), where, f"the alarm on {metric} wakes nobody")


def check_service(name, template, contract, faults):
    environment, secrets = check_container(name, template, contract, faults)
    check_actions(name, template, contract, environment, faults)
    check_start(name, template, secrets, faults)
    check_deployment(name, template, faults)
    check_roll_back(name, template, faults)
    if name == "gateway":
        check_failed_answers(template, faults)
    check_alarms(name, template, contract, faults)
