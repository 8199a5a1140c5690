"""Log, dashboard, alarms and docs have the first-class indicators that the services declare, and no others."""

import json

import yaml

from .ecs_service import container
from .templates import exports, imported, of_type

OURS = "Steelyard/"


def declared(known):
    """(service, metric) with the label that it is told apart by."""
    return {(name, one["metric"]): one.get("by") for name, contract in known.items() for one in contract["indicators"]}


def check_written(templates, known, faults):
    """Every service writes its indicators into its log, whole: what is alarmed on and drawn. Nobody tells them a second time.

    CloudWatch Logs makes metrics of such lines without being told to
    (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Generation_PutLogEvents.html>).
    """
    for name in known:
        main = container(templates[name], name)
        given = {item["Name"]: item["Value"] for item in main.get("Environment", [])}.get("EMF_NAMESPACE")
        wanted = {"Fn::Sub": f"{OURS}${{Environment}}"}
        where = f"deploy/ecs/{name}.yaml: {name}"
        faults.unless(given == wanted, where, f"writes its indicators to {given}, and alarms and dashboard look in {wanted}")
        driver = main["LogConfiguration"]["LogDriver"]
        faults.unless(driver == "awslogs", where, f"logs by {driver}, and CloudWatch makes no metrics of that")
    config = yaml.safe_load(templates["platform"]["Resources"]["CollectorConfig"]["Properties"]["Value"])
    told = set(config["service"]["pipelines"]) - {"traces"}
    faults.unless(not told, "deploy/ecs/platform.yaml: CollectorConfig", f"tells {sorted(told)} beside the services, who do it themselves")


def drawn(dashboard):
    """(service, metric, other dimensions) of our namespace on a dashboard."""
    body = json.loads(dashboard["Properties"]["DashboardBody"]["Fn::Sub"][0])
    for widget in body["widgets"]:
        for row in widget["properties"]["metrics"]:
            if isinstance(row[0], str) and row[0].startswith(OURS):
                words = [word for word in row[2:] if isinstance(word, str)]
                dimensions = dict(zip(words[::2], words[1::2]))
                yield dimensions.pop("service", None), row[1], dimensions


def check_dashboard(edge, indicators, faults):
    where = "deploy/ecs/edge.yaml: Dashboard"
    seen = set()
    for service, metric, dimensions in drawn(edge["Resources"]["Dashboard"]):
        seen.add(metric)
        if (service, metric) not in indicators:
            faults.add(where, f"draws {metric} of {service}, which is no indicator of it")
            continue
        label = indicators[service, metric]
        faults.unless(set(dimensions) == {label} - {None}, where, f"{metric} is told apart by {label}, not by {sorted(dimensions)}")
    for metric in sorted({metric for _, metric in indicators} - seen):
        faults.add(where, f"does not draw {metric}")


def check_dead_letters(templates, faults):
    """Whatever waits for a person is on the dashboard: every queue whose name ends in dead letters or failures."""
    body, names = templates["edge"]["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = {imported(value) for name, value in names.items() if f'"QueueName", "${{{name}}}"' in body}
    there = {name for template in templates.values() for name in exports(template) if name.endswith(("DeadLettersName", "FailuresName"))}
    for missing in sorted(there - shown):
        faults.add("deploy/ecs/edge.yaml: Dashboard", f"does not show what lies in {missing}")


def check_alarms(templates, indicators, faults):
    for stack, template in templates.items():
        for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
            namespace = alarm["Properties"].get("Namespace")
            text = namespace.get("Fn::Sub", "") if isinstance(namespace, dict) else str(namespace)
            if text.startswith(OURS):
                metric, where = alarm["Properties"]["MetricName"], f"deploy/ecs/{stack}.yaml: {name}"
                dimensions = {one["Name"]: one["Value"] for one in alarm["Properties"]["Dimensions"]}
                service = dimensions.pop("service", None)
                if (service, metric) not in indicators:
                    faults.add(where, f"{metric} is no indicator of {service}")
                    continue
                label = indicators[service, metric]
                faults.unless(set(dimensions) == {label} - {None}, where, f"{metric} is told apart by {label}, not by {sorted(dimensions)}")


def check_indicators(templates, known, operations, faults):
    indicators = declared(known)
    check_written(templates, known, faults)
    check_dashboard(templates["edge"], indicators, faults)
    check_dead_letters(templates, faults)
    check_alarms(templates, indicators, faults)
    for metric in sorted({metric for _, metric in indicators}):
        faults.unless(f"`{metric}`" in operations, "docs/OPERATIONS.md", f"does not say what {metric} is")
