"""Parameters that would contradict one another: what CloudFormation's own patterns and values do not say."""

from .templates import of_type

# What Fargate has, in MiB, with each size of CPU that the stacks offer
# (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html>).
FARGATE = {"256": {512, 1024, 2048}, "512": range(1024, 4097, 1024), "1024": range(2048, 8193, 1024), "2048": range(4096, 16385, 1024)}
# Told together or not at all, by stack.
TOGETHER = {"orders": ("FirstRegion", "FirstEnvironment"), "objects": ("SecondRegion", "SecondEnvironment")}


def values(given, name, template):
    """What each parameter of a stack is in an environment."""
    defaults = {parameter: properties.get("Default") for parameter, properties in template["Parameters"].items()}
    return defaults | given["stacks"].get(name, {})


def check_values(path, given, templates, faults):
    for name, template in templates.items():
        told = values(given, name, template)
        for least in ("TasksMin", "TasksMinFirstDays"):
            fits = least not in told or int(told[least]) <= int(told["TasksMax"])
            faults.unless(fits, path, f"{name}: {least} is {told.get(least)}, above TasksMax, {told.get('TasksMax')}")
        if {"CapacityMin", "CapacityMax"} <= set(told):
            fits = float(told["CapacityMin"]) <= float(told["CapacityMax"])
            faults.unless(fits, path, f"{name}: CapacityMin is {told['CapacityMin']}, above CapacityMax, {told['CapacityMax']}")
        if {"Cpu", "Memory"} <= set(told):
            fits = int(told["Memory"]) in FARGATE[str(told["Cpu"])]
            faults.unless(fits, path, f"{name}: Fargate has no {told['Memory']} MiB with {told['Cpu']} of CPU")
        both = [bool(told.get(parameter)) for parameter in TOGETHER.get(name, ())]
        faults.unless(len(set(both)) < 2, path, f"{name}: {' and '.join(TOGETHER.get(name, ()))} are told together or not at all")


def check_rules(templates, faults):
    """CloudFormation itself refuses a pair that Fargate has not got, whoever sets it."""
    for name, template in templates.items():
        if not {"Cpu", "Memory"} <= set(template["Parameters"]):
            continue
        rules = template.get("Rules", {}).values()
        pairs = {rule["RuleCondition"]["Fn::Equals"][1]: rule["Assertions"][0]["Assert"] for rule in rules if told_of(rule, "Cpu")}
        for cpu in template["Parameters"]["Cpu"]["AllowedValues"]:
            memories = [int(one) for one in template["Parameters"]["Memory"]["AllowedValues"]]
            wanted = {"Fn::Contains": [[str(one) for one in memories if one in FARGATE[cpu]], {"Ref": "Memory"}]}
            faults.unless(pairs.get(cpu) == wanted, f"deploy/ecs/{name}.yaml", f"takes Memory that Fargate has not got with {cpu} of CPU")
        fixed = [task["Properties"] for task in of_type(template, "AWS::ECS::TaskDefinition").values()]
        of_parameters = all(task["Cpu"] == {"Ref": "Cpu"} and task["Memory"] == {"Ref": "Memory"} for task in fixed)
        faults.unless(of_parameters, f"deploy/ecs/{name}.yaml", "has a task of another size than its parameters say")


def told_of(rule, parameter):
    return rule["RuleCondition"].get("Fn::Equals", [None])[0] == {"Ref": parameter}
