"""Every contradiction of parameters is made once, and must be heard."""

import copy
import json
import unittest

from . import ecs, ecs_parameters
from .common import Faults
from .templates import load_all

TEMPLATES = load_all()


class Values(unittest.TestCase):
    def heard(self, **stacks):
        given, faults = json.loads((ecs.ENVIRONMENTS / "dr.json").read_text()), Faults()
        for stack, parameters in stacks.items():
            given["stacks"].setdefault(stack, {}).update(parameters)
        ecs_parameters.check_values("dr.json", given, TEMPLATES, faults)
        return faults.lines

    def test_what_contradicts_itself(self):
        self.assertEqual(self.heard(), [])
        for stacks, expected in (
            ({"orders": {"FirstEnvironment": ""}}, "orders: FirstRegion and FirstEnvironment are told together or not at all"),
            ({"objects": {"SecondEnvironment": "x"}}, "objects: SecondRegion and SecondEnvironment are told together or not at all"),
            ({"catalog": {"TasksMin": 11}}, "catalog: TasksMin is 11, above TasksMax, 10"),
            ({"gateway": {"TasksMinFirstDays": 9, "TasksMax": 8}}, "gateway: TasksMinFirstDays is 9, above TasksMax, 8"),
            ({"data": {"CapacityMin": 32}}, "data: CapacityMin is 32, above CapacityMax, 16"),
            ({"reports": {"Cpu": "256", "Memory": "4096"}}, "reports: Fargate has no 4096 MiB with 256 of CPU"),
            ({"gateway": {"Cpu": "1024"}}, "gateway: Fargate has no 512 MiB with 1024 of CPU"),
        ):
            self.assertEqual(self.heard(**stacks), [f"dr.json: {expected}"])


class Rules(unittest.TestCase):
    def heard(self, change):
        templates, faults = copy.deepcopy(TEMPLATES), Faults()
        change(templates)
        ecs_parameters.check_rules(templates, faults)
        return faults.lines

    def test_a_stack_that_takes_any_pair(self):
        self.assertEqual(self.heard(lambda _: None), [])
        heard = self.heard(lambda templates: templates["orders"]["Rules"].pop("MemoryWith512OfCpu"))
        self.assertEqual(heard, ["deploy/ecs/orders.yaml: takes Memory that Fargate has not got with 512 of CPU"])

    def test_a_task_of_another_size(self):
        heard = self.heard(lambda templates: templates["catalog"]["Resources"]["TaskDefinition"]["Properties"].update(Cpu="4096"))
        self.assertEqual(heard, ["deploy/ecs/catalog.yaml: has a task of another size than its parameters say"])


if __name__ == "__main__":
    unittest.main()
