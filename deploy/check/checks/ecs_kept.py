"""What is kept, for how long: old versions of objects, and images that a roll-back needs."""

import json

from .templates import of_type

# A deploy a day; a roll-back goes back by one or a few.
IMAGES_MIN = 30
# What Glacier Instant Retrieval bills at least for an object: smaller ones cost more there than warm
# (<https://aws.amazon.com/s3/pricing/>).
BILLED_BYTES_MIN = 128 << 10
# Read without a restore, so that a row that says "can be read" stays true.
INSTANT = "GLACIER_IR"
# What may be forgotten while it is the newest version: zips that were asked for.
FLEETING = "bundles/"


def check_bucket(where, rules, faults):
    old = [rule for rule in rules if rule.get("NoncurrentVersionExpiration") == {"NoncurrentDays": {"Ref": "OldVersionDays"}}]
    faults.unless(any("Prefix" not in rule for rule in old), where, "does not keep old versions for OldVersionDays")
    broken = [rule for rule in rules if "AbortIncompleteMultipartUpload" in rule and "Prefix" not in rule]
    faults.unless(broken, where, "keeps parts of broken uploads for ever")
    for rule in rules:
        forgets = "ExpirationInDays" in rule and rule.get("Prefix") != FLEETING
        faults.unless(not forgets, where, f"forgets what is not {FLEETING}")
        for transition in rule.get("Transitions", []):
            faults.unless(transition["StorageClass"] == INSTANT, where, f"moves objects to where they must be waited for: {transition}")
            large = int(rule.get("ObjectSizeGreaterThan", 0)) >= BILLED_BYTES_MIN
            faults.unless(large, where, "moves objects that cost more cold than warm")
    off = [rule["Id"] for rule in rules if rule["Status"] != "Enabled"]
    faults.unless(not off, where, f"has rules that do nothing: {off}")


def check_cools(where, rules, faults):
    """The archive's nightly task moves documents; if it does not, S3 does."""
    after = [transition["TransitionInDays"] for rule in rules for transition in rule.get("Transitions", [])]
    faults.unless(after == [{"Ref": "WarmDaysMax"}], where, "keeps large documents warm for ever if nobody packs them")


def check_kept(template, runbooks, faults):
    where = "deploy/ecs/objects.yaml"
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        rules = bucket["Properties"].get("LifecycleConfiguration", {}).get("Rules", [])
        check_bucket(f"{where}: {name}", rules, faults)
        if name == "DocumentsBucket":
            check_cools(f"{where}: {name}", rules, faults)
    for name, repository in of_type(template, "AWS::ECR::Repository").items():
        text = repository["Properties"].get("LifecyclePolicy", {}).get("LifecyclePolicyText", {}).get("Fn::Sub", '{"rules": []}')
        rules = json.loads(text.replace("${ImagesKept}", '"ImagesKept"'))["rules"]
        selections = [(rule["selection"]["countType"], rule["selection"]["countNumber"], rule["action"]["type"]) for rule in rules]
        kept = selections == [("imageCountMoreThan", "ImagesKept", "expire")]
        faults.unless(kept, f"{where}: {name}", "does not keep the last ImagesKept images, and forget the others")
    images, days = (template["Parameters"][parameter]["Default"] for parameter in ("ImagesKept", "OldVersionDays"))
    faults.unless(images >= IMAGES_MIN, where, f"ImagesKept is {images}, and a month of deploys is {IMAGES_MIN}")
    said = f"buckets keep old versions for {days} days" in runbooks
    faults.unless(said, "docs/RUNBOOKS.md", f"does not say that old versions stay for {days} days")
