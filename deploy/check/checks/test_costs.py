"""The cost page is what the model says today."""

import copy
import importlib.util
import unittest
from decimal import Decimal
from pathlib import Path

from .templates import load

SPEC = importlib.util.spec_from_file_location("model", "deploy/costs/model.py")
model = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(model)


class Costs(unittest.TestCase):
    def test_the_page_is_up_to_date(self):
        written = Path("docs/COSTS.md").read_text()
        self.assertEqual(written, model.page(), "write it again: deploy/costs/model.py > docs/COSTS.md")

    def test_more_orders_never_cost_less(self):
        for case in (model.steelyard, model.classic):
            totals = [sum(case(orders).values()) for orders in sorted(model.SCALES.values())]
            self.assertEqual(totals, sorted(totals))

    def test_what_an_environment_sets_is_what_is_counted(self):
        given = copy.deepcopy(model.PRODUCTION)
        before = model.aurora(given), model.cache(given), model.network(given), model.tasks(given)
        given["stacks"]["data"] |= {"CapacityMin": 2, "CacheNodeType": "cache.t4g.micro"}
        given["stacks"]["network"]["NatGateways"] = "one"
        given["stacks"]["gateway"]["TasksMin"] = 3
        after = model.aurora(given), model.cache(given), model.network(given), model.tasks(given)
        self.assertEqual(after[:2], (before[0] * 2, before[1] / 2))
        self.assertTrue(after[2] < before[2] and after[3] > before[3])

    def test_traces_and_the_second_region_are_counted(self):
        parts = model.steelyard(100_000_000)
        share = Decimal(model.told(model.PRODUCTION, "gateway", "TraceShare"))
        self.assertEqual(parts["Traces"], model.price("trace") * (200 * share - Decimal("0.1")))
        self.assertGreater(parts[model.SECOND_REGION], model.aurora(model.SECOND) + model.tasks(model.SECOND))

    def test_the_stacks_say_of_logs_what_the_model_counts(self):
        described = load("platform")["Parameters"]["LogDays"]["Description"]
        self.assertIn(f"some {model.LOG_GB_PER_MILLION} GB a million orders", described)

    def test_every_price_says_where_it_was_read(self):
        for name, entry in model.PRICES.items():
            if name != "region":
                self.assertTrue(entry["source"] and entry["unit"], name)
