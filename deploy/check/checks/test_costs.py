"""The cost page is what the model says today."""

import importlib.util
import unittest
from pathlib import Path

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

    def test_every_price_says_where_it_was_read(self):
        for name, entry in model.PRICES.items():
            if name != "region":
                self.assertTrue(entry["source"] and entry["unit"], name)
