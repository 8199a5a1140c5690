"""Every rule about names and failover is broken once, and must be heard."""

import copy
import json
import unittest

from . import ecs, ecs_edge
from .common import Faults
from .templates import load


class Names(unittest.TestCase):
    def heard(self, change):
        given = json.loads((ecs.ENVIRONMENTS / "staging.json").read_text())
        change(given["stacks"]["edge"])
        faults = Faults()
        ecs_edge.check_names("staging.json", given, faults)
        return faults.lines

    def test_a_region_that_is_named_as_the_api(self):
        self.assertEqual(self.heard(lambda edge: None), [])
        heard = self.heard(lambda edge: edge.update(RegionName=edge["ApiName"]))
        self.assertEqual(
            heard, ["staging.json: edge: RegionName and ApiName are both api-staging.example.com, and Route 53 refuses that"]
        )


class Failover(unittest.TestCase):
    def breaks(self, change, expected):
        edge = load("edge")
        for changed, wanted in ((lambda template: None, []), (change, [f"deploy/ecs/edge.yaml{expected}"])):
            template, faults = copy.deepcopy(edge), Faults()
            changed(template)
            ecs_edge.check_failover(template, faults)
            self.assertEqual(faults.lines, wanted)

    def alias(self, template, record):
        return template["Resources"][record]["Properties"]["AliasTarget"]

    def test_a_region_that_is_left_for_an_empty_target_group(self):
        for record in ("ApiRecord", "RegionRecord"):
            self.breaks(
                lambda template: self.alias(template, record).update(EvaluateTargetHealth=True),
                f": {record}: an empty target group would turn traffic away",
            )

    def test_a_region_that_is_never_left(self):
        self.breaks(
            lambda template: template["Resources"]["ApiRecord"]["Properties"].pop("HealthCheckId"),
            ": nothing says when the other region is to answer",
        )

    def test_a_stack_that_takes_one_name_for_both(self):
        self.breaks(lambda template: template.pop("Rules"), ": takes two records of one name, and Route 53 does not")


if __name__ == "__main__":
    unittest.main()
