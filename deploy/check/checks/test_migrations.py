"""What a migration may not do is done once, and must be heard."""

import unittest

from .common import Faults
from .migrations import check_migration


def heard(text):
    faults = Faults()
    check_migration("0009_next.sql", text, faults)
    return faults.lines


class Migrations(unittest.TestCase):
    def test_what_only_adds(self):
        for text in (
            "CREATE TABLE parts (id bigint PRIMARY KEY, name text NOT NULL);",
            "ALTER TABLE parts ADD COLUMN weight_g integer;",
            "ALTER TABLE parts ADD COLUMN kind text NOT NULL DEFAULT 'part';",
            "ALTER TABLE parts ALTER COLUMN name DROP NOT NULL;",
            "-- We drop nothing, and rename nothing.\nCREATE INDEX parts_by_name ON parts (name);",
            "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON parts EXECUTE FUNCTION refuse();",
            "CREATE FUNCTION tidy() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE old; END $$;",
        ):
            self.assertEqual(heard(text), [], text)

    def test_what_the_release_before_would_miss(self):
        for text, expected in (
            ("DROP TABLE parts;", "drops"),
            ("ALTER TABLE parts DROP COLUMN name;", "drops"),
            ("ALTER TABLE parts RENAME COLUMN name TO title;", "renames"),
            ("ALTER TABLE parts RENAME name TO title;", "renames"),
            ("ALTER TABLE parts RENAME TO things;", "renames"),
            ("ALTER TABLE parts ALTER COLUMN name SET NOT NULL;", "refuses nulls"),
            ("ALTER TABLE parts ALTER name TYPE varchar(20);", "changes a type"),
            ("TRUNCATE parts;", "empties a table"),
            ("DO $$ BEGIN\n  DROP TABLE parts;\nEND $$;", "drops"),
            ("ALTER TABLE parts ADD COLUMN kind text NOT NULL;", "wants a value"),
            ("ALTER TABLE parts ADD kind text NOT NULL, ADD size int DEFAULT 1;", "wants a value"),
        ):
            self.assertTrue(any(expected in line for line in heard(text)), text)

    def test_a_reason_counts_for_the_statement_that_it_is_before(self):
        reason = "-- contracts: nobody has read it since 2026-11\n"
        self.assertEqual(heard(reason + "ALTER TABLE parts\n    DROP COLUMN name;"), [])
        self.assertEqual(len(heard(reason + "CREATE INDEX a ON parts (b);\nDROP INDEX c;")), 1)
        self.assertEqual(len(heard("-- contracts: why\nDROP INDEX c;")), 1, "that is no reason")

    def test_the_line_is_named(self):
        self.assertTrue(heard("CREATE TABLE a (b int);\n\nDROP TABLE c;")[0].startswith("0009_next.sql:3: drops"))


if __name__ == "__main__":
    unittest.main()
