"""Every rule about a second region is broken once, and must be heard."""

import copy
import json
import unittest

from . import ecs, ecs_regions
from .common import Faults
from .templates import load

ENVIRONMENTS = {path.name: json.loads(path.read_text()) for path in ecs.ENVIRONMENTS.glob("*.json")}


class Pairs(unittest.TestCase):
    def breaks(self, change, expected):
        for changed, wanted in ((lambda *_: None, []), (change, [f"production.json: {expected}"])):
            environments, faults = copy.deepcopy(ENVIRONMENTS), Faults()
            changed(environments["production.json"]["stacks"], environments["dr.json"]["stacks"])
            ecs_regions.check_pairs(environments, faults)
            self.assertEqual(faults.lines, wanted)

    def test_a_database_that_is_followed_while_its_objects_are_not_copied(self):
        self.breaks(
            lambda production, _: production.pop("objects"),
            "its database is followed, and its objects are copied to None, which is no environment",
        )

    def test_copies_that_go_to_another_region_than_the_follower_is_in(self):
        self.breaks(
            lambda production, _: production["objects"].update(SecondRegion="eu-north-1"),
            "dr does not fit: objects: the region copies go to is eu-north-1, and should be eu-central-1",
        )

    def test_a_follower_whose_tokens_come_from_somebody_else(self):
        self.breaks(
            lambda _, dr: dr["gateway"].update(AuthIssuer="https://other.example.com"),
            "dr does not fit: gateway: AuthIssuer is https://other.example.com, and should be https://login.example.com",
        )

    def test_a_follower_that_works_off_somebody_elses_queue(self):
        self.breaks(
            lambda _, dr: dr["orders"].update(FirstRegion="eu-west-2"),
            "dr does not fit: the region of that queue is eu-west-2, and should be eu-west-1",
        )

    def test_a_follower_that_is_migrated(self):
        environments, faults = copy.deepcopy(ENVIRONMENTS), Faults()
        del environments["dr.json"]["stands_by"]
        ecs_regions.check_pairs(environments, faults)
        self.assertEqual(faults.lines, ["production.json: of it and dr one must stand by: a follower is not migrated"])
        # After a failover that stays.
        environments["production.json"]["stands_by"], faults = True, Faults()
        ecs_regions.check_pairs(environments, faults)
        self.assertEqual(faults.lines, [])


class Copies(unittest.TestCase):
    def breaks(self, change, expected):
        objects = load("objects")
        for changed in (lambda resources: None, change):
            template, faults = copy.deepcopy(objects), Faults()
            changed(template["Resources"])
            ecs_regions.check_copies(template, faults)
            if changed is not change:
                self.assertEqual(faults.lines, [])
        self.assertTrue(any(expected in line for line in faults.lines), f"{expected!r} is not in {faults.lines}")

    def test_a_bucket_that_is_not_copied(self):
        for bucket in ("DocumentsBucket", "MediaBucket"):
            self.breaks(
                lambda resources: resources[bucket]["Properties"].pop("ReplicationConfiguration"), f"{bucket}: is copied to []"
            )

    def test_a_copy_that_s3_may_not_write(self):
        def change(resources):
            statements = resources["ReplicationRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
            statements[2]["Resource"].pop()

        self.breaks(change, "MediaBucket: S3 may [] there")

    def test_a_copy_that_goes_elsewhere(self):
        def change(resources):
            rules = resources["MediaBucket"]["Properties"]["ReplicationConfiguration"]["Fn::If"][1]["Rules"]
            rules[0]["Destination"]["Bucket"]["Fn::Sub"] = "arn:aws:s3:::somewhere"

        self.breaks(change, "MediaBucket: is copied to ['arn:aws:s3:::somewhere']")


if __name__ == "__main__":
    unittest.main()
