"""A second region: what it follows is told on both sides, and what is kept is copied there."""

from .ecs_service import granted
from .templates import of_type

# What S3 does in the role's name, of the copy.
COPIES = {"s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"}
# Order ids are made of it, and tokens name it: an order that was sent to one region must be the same in the other.
TOLD_ALIKE = {("gateway", "AuthIssuer"), ("gateway", "AuthAudience"), ("gateway", "AuthJwks"), ("edge", "ApiName"), ("edge", "HostedZoneId")}


def told(given, stack, parameter):
    return given["stacks"].get(stack, {}).get(parameter)


def check_pair(path, first, second, faults):
    """What the first says of the second is so, and the other way round."""
    wanted = {
        "its region": (second["region"], told(first, "data", "SecondRegion")),
        "objects: the region copies go to": (told(first, "objects", "SecondRegion"), second["region"]),
        "the part it plays": (told(second, "data", "GlobalRole"), "second"),
        "whose administrator it has": (told(second, "data", "FirstEnvironment"), first["environment"]),
        "the global database": (told(second, "data", "GlobalDatabase"), told(first, "data", "GlobalDatabase")),
        "whose queue it works off": (told(second, "orders", "FirstEnvironment"), first["environment"]),
        "the region of that queue": (told(second, "orders", "FirstRegion"), first["region"]),
        "how it answers": (told(second, "edge", "Failover"), "SECONDARY"),
    }
    wanted |= {f"{stack}: {name}": (told(second, stack, name), told(first, stack, name)) for stack, name in sorted(TOLD_ALIKE)}
    for what, (found, due) in wanted.items():
        faults.unless(found == due, path, f"{second['environment']} does not fit: {what} is {found}, and should be {due}")
    # Whichever it is since the last failover.
    one = bool(first.get("stands_by")) != bool(second.get("stands_by"))
    faults.unless(one, path, f"of it and {second['environment']} one must stand by: a follower is not migrated")


def check_pairs(environments, faults):
    """`environments` by path. A database that is followed has its objects copied to the environment that follows."""
    by_name = {given["environment"]: given for given in environments.values()}
    for path, given in environments.items():
        if told(given, "data", "GlobalRole") != "first":
            continue
        name = told(given, "objects", "SecondEnvironment")
        if name not in by_name:
            faults.add(path, f"its database is followed, and its objects are copied to {name}, which is no environment")
            continue
        check_pair(path, given, by_name[name], faults)


def check_copies(template, faults):
    """Every bucket of the objects stack is copied where SecondRegion says, and S3 may do it."""
    may = granted(template, "ReplicationRole")
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        where = f"deploy/ecs/objects.yaml: {name}"
        condition, given, none = bucket["Properties"].get("ReplicationConfiguration", {}).get("Fn::If", (None, {}, None))
        rules = given.get("Rules", [])
        targets = {rule["Destination"]["Bucket"]["Fn::Sub"] for rule in rules if rule["Status"] == "Enabled"}
        here = bucket["Properties"]["BucketName"]["Fn::Sub"]
        there = "arn:${AWS::Partition}:s3:::" + here.replace("${Environment}", "${SecondEnvironment}").replace(
            "${AWS::Region}", "${SecondRegion}"
        )
        faults.unless(targets == {there}, where, f"is copied to {sorted(targets)}, and should be to {there}")
        granted_there = {action for action, resource in may if resource == f"{there}/*"}
        faults.unless(granted_there == COPIES, where, f"S3 may {sorted(granted_there)} there, and needs {sorted(COPIES)}")
        reads = ("s3:GetObjectVersionForReplication", f"${{{name}.Arn}}/*") in may
        faults.unless(reads, where, "S3 may not read what it is to copy")
