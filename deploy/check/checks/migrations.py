"""Migrations only add: while a deploy goes on, and after it is rolled back, the release before works on the same schema.

What takes away says why the release before does not miss it, in a comment of its own right before:
`-- contracts: nobody has read it since 2026-11`.
"""

import re
from pathlib import Path

from .common import Faults

MARK = "-- contracts: "
TAKES_AWAY = {
    "drops": re.compile(r"\bDROP\s+(?!NOT\s+NULL|DEFAULT|IDENTITY|EXPRESSION)", re.I),
    "renames": re.compile(r"\bRENAME\s+(TO|COLUMN|CONSTRAINT|ATTRIBUTE|VALUE|\w+\s+TO)\b", re.I),
    "refuses nulls that were allowed": re.compile(r"\bSET\s+NOT\s+NULL\b", re.I),
    "changes a type": re.compile(r"\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b", re.I),
    "empties a table": re.compile(r"(^|;)\s*TRUNCATE\b", re.I),
    "wants a value that the release before does not give": re.compile(
        r"\bADD\s+(COLUMN\s+)?(IF\s+NOT\s+EXISTS\s+)?(?!CONSTRAINT|CHECK|PRIMARY|UNIQUE|FOREIGN)\w+\s+(?![^,;]*\b(DEFAULT|GENERATED)\b)[^,;]*\bNOT\s+NULL\b",
        re.I,
    ),
}
# Of before this rule: a migration that was released is never changed, not even its comments.
RELEASED = {("services/documents/migrations/0003_lists.sql", "drops"): "an index that 0003 itself replaces; a search without it is slow, not wrong"}
# What only looks like a statement: comments, texts, bodies of functions.
QUIET = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|(\$\w*\$).*?\1", re.S)


def blank(found):
    """As many lines, and nothing in them. What `DO` runs at once stays."""
    if found[1] and re.search(r"\bDO\s*$", found.string[: found.start()], re.I):
        body = found[0][len(found[1]) : -len(found[1])]
        return " " * len(found[1]) + QUIET.sub(blank, body) + " " * len(found[1])
    return re.sub(r"[^\n]", " ", found[0])


def check_migration(path, text, faults):
    lines, bare = text.splitlines(), QUIET.sub(blank, text)
    for what, pattern in TAKES_AWAY.items():
        for found in pattern.finditer(bare):
            # The statement begins after the one before it.
            begins = bare.rfind(";", 0, found.start()) + 1
            begins += len(bare[begins:]) - len(bare[begins:].lstrip())
            before = bare.count("\n", 0, begins) - 1
            marked = before >= 0 and lines[before].startswith(MARK) and len(lines[before]) > len(MARK) + 10
            if not marked and (str(path), what) not in RELEASED:
                faults.add(f"{path}:{before + 2}", f"{what}; if the release before does not mind, say why: `{MARK}…`")


def main():
    faults = Faults()
    paths = sorted(Path("services").glob("*/migrations/*.sql"))
    faults.unless(paths, "services", "no migrations were found")
    for path in paths:
        check_migration(path, path.read_text(), faults)
    faults.exit()


if __name__ == "__main__":
    main()
