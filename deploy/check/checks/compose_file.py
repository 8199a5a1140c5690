"""Reads docker-compose.yml as `docker compose` does, as far as this file of ours goes: anchors, merges, variables."""

import re

import yaml

# ${NAME}, ${NAME:-default}, ${NAME:?message}, and $$ for a dollar sign.
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\})")


def load(text):
    """The file, variables as they are written."""
    return yaml.safe_load(text)


def interpolate(value, variables):
    """The value with its variables filled in. KeyError for one that must be set and is not."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def fill(match):
        if match["dollar"]:
            return "$"
        found = variables.get(match["name"], "")
        if found or not match["kind"]:
            return found
        if match["kind"] == "-":
            return match["rest"]
        raise KeyError(f"{match['name']} {match['rest']}")

    return VARIABLE.sub(fill, value)


def variables(value):
    """All variables that occur, with whether they must be set."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        merged = {}
        for item in value:
            for name, needed in variables(item).items():
                merged[name] = merged.get(name, False) or needed
        return merged
    if not isinstance(value, str):
        return {}
    return {match["name"]: match["kind"] == "?" for match in VARIABLE.finditer(value) if match["name"]}


def dotenv(text, commented=False):
    """The variables of an .env file; with `commented`, also those that are proposed in a comment (`#NAME=`)."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$", line)
        if match and (commented or not match[1]):
            found[match[2]] = match[3].strip().strip("'")
    return found


def seconds(text):
    """A time span in compose's form, such as `90s` or `1m30s`."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)([hms])", str(text)))
