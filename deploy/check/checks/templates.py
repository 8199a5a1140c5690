"""Reads the CloudFormation stacks of `deploy/ecs`, and follows names from one to another."""

import re
from pathlib import Path

from cfnlint.decode import cfn_yaml

FOLDER = Path("deploy/ecs")
# In the order in which they are deployed.
STACKS = (FOLDER / "stacks.txt").read_text().split()


def load(name, folder=FOLDER):
    """One template, also one that is no stack of an environment."""
    return plain(cfn_yaml.load(str(folder / f"{name}.yaml")))


def load_all(folder=FOLDER):
    """The templates by stack."""
    return {name: load(name, folder) for name in STACKS}


def plain(node):
    """cfn-lint's nodes as dictionaries, lists and texts."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(item) for item in node]
    return str(node) if isinstance(node, str) else node


def of_type(template, kind):
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def imported(value):
    """The export that a value is, without its environment: `OrdersQueueArn`. None if it is none."""
    if isinstance(value, dict) and "Fn::ImportValue" in value:
        inner = value["Fn::ImportValue"]
        text = inner.get("Fn::Sub", "") if isinstance(inner, dict) else str(inner)
        return text.removeprefix("${Environment}-")
    return None


def imports(node):
    """All exports that are asked for anywhere below."""
    found = imported(node)
    if found:
        return {found}
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return set().union(*(imports(item) for item in below)) if below else set()


def exports(template):
    """What a stack exports, by name, with the value."""
    found = {}
    for output in template.get("Outputs", {}).values():
        if "Export" in output:
            found[output["Export"]["Name"]["Fn::Sub"].removeprefix("${Environment}-")] = output["Value"]
    return found


def listed(value):
    return value if isinstance(value, list) else [value]


def default(template, value):
    """What a number or text is when nobody sets the parameter that it may refer to."""
    if isinstance(value, dict) and "Ref" in value:
        return template["Parameters"][value["Ref"]].get("Default")
    return value


def anchors(text):
    """Lines with YAML aliases, which CloudFormation does not know."""
    return [number for number, line in enumerate(text.splitlines(), 1) if re.search(r"(:|-)\s+[&*][a-z]\w*\s*$|<<:", line)]
