"""Names and failover: what Route 53 takes, and by what it turns from one region to another."""

import json

from .templates import of_type


def check_names(path, given, faults):
    """Route 53 takes no failover record beside a simple one of its name."""
    edge = given["stacks"].get("edge", {})
    own = edge.get("RegionName") != edge.get("ApiName")
    faults.unless(own, path, f"edge: RegionName and ApiName are both {edge.get('ApiName')}, and Route 53 refuses that")


def check_failover(template, faults):
    """A region is left when its own health check says so, and not for a target group that is empty between deploys.

    "For an Application or Network Load Balancer to be considered healthy, every target group that contains targets must contain
    at least one healthy target", and one without targets counts as unhealthy (Route 53 API, AliasTarget, EvaluateTargetHealth);
    of the gateway's two groups one is empty whenever no deploy is under way.
    """
    records = of_type(template, "AWS::Route53::RecordSet")
    for name, record in records.items():
        evaluated = record["Properties"]["AliasTarget"]["EvaluateTargetHealth"]
        faults.unless(evaluated is False, f"deploy/ecs/edge.yaml: {name}", "an empty target group would turn traffic away")
    failover = [record["Properties"] for record in records.values() if "Failover" in record["Properties"]]
    asked = all(record.get("HealthCheckId") for record in failover)
    faults.unless(failover and asked, "deploy/ecs/edge.yaml", "nothing says when the other region is to answer")
    assertions = json.dumps(template.get("Rules", {}))
    faults.unless("RegionName" in assertions, "deploy/ecs/edge.yaml", "takes two records of one name, and Route 53 does not")
