"""Collector, dashboard, alarms and docs use the first-class indicators that the services declare, and no others."""

import json

import yaml

from .templates import of_type

OURS = "Steelyard/"


def declared(known):
    """(service, metric) with the label that it is told apart by."""
    return {(name, one["metric"]): one.get("by") for name, contract in known.items() for one in contract["indicators"]}


def check_collector(platform, indicators, faults):
    """What is paid for by the month is exactly what is declared."""
    where = "deploy/ecs/platform.yaml: CollectorConfig"
    config = yaml.safe_load(platform["Resources"]["CollectorConfig"]["Properties"]["Value"]["Fn::Sub"])
    collected = set()
    for declaration in config["exporters"]["awsemf"]["metric_declarations"]:
        for dimensions in declaration["dimensions"]:
            label = next((name for name in dimensions if name != "service"), None)
            collected |= {(selector.strip("^$"), label) for selector in declaration["metric_name_selectors"]}
    wanted = {(metric, label) for (_, metric), label in indicators.items()}
    for metric, label in sorted(wanted - collected, key=str):
        faults.add(where, f"{metric} by {label} is an indicator and not collected")
    for metric, label in sorted(collected - wanted, key=str):
        faults.add(where, f"{metric} by {label} is collected and no indicator")


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


def check_alarms(templates, indicators, faults):
    for stack, template in templates.items():
        for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
            namespace = alarm["Properties"].get("Namespace")
            text = namespace.get("Fn::Sub", "") if isinstance(namespace, dict) else str(namespace)
            if text.startswith(OURS):
                metric = alarm["Properties"]["MetricName"]
                faults.unless((stack, metric) in indicators, f"deploy/ecs/{stack}.yaml: {name}", f"{metric} is no indicator of {stack}")


def check_indicators(templates, known, operations, faults):
    indicators = declared(known)
    check_collector(templates["platform"], indicators, faults)
    check_dashboard(templates["edge"], indicators, faults)
    check_alarms(templates, indicators, faults)
    for metric in sorted({metric for _, metric in indicators}):
        faults.unless(f"`{metric}`" in operations, "docs/OPERATIONS.md", f"does not say what {metric} is")
