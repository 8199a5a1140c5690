"""Databases, caches, names and registries as RDS, ElastiCache, Route 53, ECR and Secrets Manager have them.

ministack 1.5.33 takes a bucket's lifecycle and replication, a cluster's parameter group and its key, and gives none of them back:
those are held by the templates' own checks only.
"""

import json


def told(given, templates, stack, parameter):
    """What an environment says of a parameter, or the template for it."""
    return given["stacks"].get(stack, {}).get(parameter, templates[stack]["Parameters"][parameter].get("Default"))


def check_database(account, given, templates, faults):
    """A cluster of its size, encrypted, kept; one that follows has no name and no administrator of its own."""
    rds, name = account.client("rds"), f"{account.environment}-steelyard"
    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    data = {parameter: told(given, templates, "data", parameter) for parameter in templates["data"]["Parameters"]}
    capacity = cluster["ServerlessV2ScalingConfiguration"]
    found = (capacity["MinCapacity"], capacity["MaxCapacity"], cluster["BackupRetentionPeriod"])
    due = (float(data["CapacityMin"]), float(data["CapacityMax"]), int(data["BackupDays"]))
    faults.unless(found == due, name, f"RDS has capacities and days {found}, and should have {due}")
    for kept in ("StorageEncrypted", "DeletionProtection"):
        faults.unless(cluster[kept] is True, name, f"RDS says {kept} is {cluster[kept]}")
    follows = data["GlobalRole"] == "second"
    own = cluster.get("DatabaseName") == "steelyard"
    faults.unless(own != follows, name, f"RDS says its database is {cluster.get('DatabaseName')}, and it is {data['GlobalRole']}")
    instances = [one for one in rds.describe_db_instances()["DBInstances"] if one["DBClusterIdentifier"] == name]
    wanted = 2 if data["HighlyAvailable"] == "yes" else 1
    faults.unless(len(instances) == wanted, name, f"RDS has {len(instances)} instances in it, and should have {wanted}")
    for instance in instances:
        closed = not instance["PubliclyAccessible"] and instance["DBInstanceClass"] == "db.serverless"
        faults.unless(closed, instance["DBInstanceIdentifier"], "RDS shows it to everybody, or has it on a machine")
    check_administrator(account, data, faults)


def check_administrator(account, data, faults):
    """The password is made where the database is, and copied to the region that follows."""
    manager, name = account.client("secretsmanager"), f"{account.environment}-database-administrator"
    names = {secret["Name"]: secret for secret in manager.list_secrets(MaxResults=100)["SecretList"]}
    faults.unless((name in names) == (data["GlobalRole"] != "second"), name, "is made where it should be copied, or is not there")
    if name in names:
        copies = [copy["Region"] for copy in manager.describe_secret(SecretId=name).get("ReplicationStatus", [])]
        wanted = [data["SecondRegion"]] if data["GlobalRole"] == "first" else []
        faults.unless(copies == wanted, name, f"Secrets Manager copies it to {copies}, and should to {wanted}")


def check_cache(account, given, templates, faults):
    (cache,) = account.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    spare = told(given, templates, "data", "HighlyAvailable") == "yes"
    where = cache["ReplicationGroupId"]
    node = told(given, templates, "data", "CacheNodeType")
    faults.unless(cache["CacheNodeType"] == node, where, f"ElastiCache has {cache['CacheNodeType']}, and should have {node}")
    encrypted = cache["TransitEncryptionEnabled"] and cache["AtRestEncryptionEnabled"] and cache["AuthTokenEnabled"]
    faults.unless(encrypted, where, "ElastiCache lets somebody read along, or in without a password")
    found = (len(cache["MemberClusters"]), cache["AutomaticFailover"], cache["MultiAZ"])
    due = (2, "enabled", "enabled") if spare else (1, "disabled", "disabled")
    faults.unless(found == due, where, f"ElastiCache has {found}, and should have {due}")


def check_names(account, given, zone, faults):
    """Route 53 has the API's name once, by failover, and the region's own beside it; none of them by the balancer's health."""
    edge = given["stacks"]["edge"]
    records = account.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    found = {record["Name"].rstrip("."): record for record in records if record["Type"] == "A"}
    faults.unless(set(found) == {edge["ApiName"], edge["RegionName"]}, "Route 53", f"has {sorted(found)}")
    failover = {name: (record.get("Failover"), record.get("SetIdentifier")) for name, record in found.items()}
    due = {edge["ApiName"]: (edge["Failover"], given["region"]), edge["RegionName"]: (None, None)}
    faults.unless(failover == due, "Route 53", f"turns by {failover}, and should by {due}")
    for name, record in found.items():
        faults.unless(not record["AliasTarget"]["EvaluateTargetHealth"], name, "Route 53 leaves it for an empty target group")


def check_registry(account, given, templates, faults):
    """ECR forgets images, and not those that a roll-back needs."""
    kept, ecr = int(told(given, templates, "objects", "ImagesKept")), account.client("ecr")
    for repository in ecr.describe_repositories()["repositories"]:
        name = repository["repositoryName"]
        (rule,) = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])["rules"]
        found = (rule["selection"]["countType"], rule["selection"]["countNumber"], rule["action"]["type"])
        faults.unless(found == ("imageCountMoreThan", kept, "expire"), name, f"ECR forgets by {found}, and should keep {kept}")


def check_standby(account, given, templates, faults):
    """What stands by runs no worker and no schedule; what does not is not told how many it has."""
    ecs, scheduler = account.client("ecs"), account.client("scheduler")
    for service in ("catalog", "documents", "orders", "gateway"):
        named = account.outputs(service)["ServiceName"]
        (found,) = ecs.describe_services(cluster=account.environment, services=[named])["services"]
        # 1 is ECS's own beginning.
        due = min(1, int(told(given, templates, service, "TasksMin")))
        faults.unless(found["desiredCount"] == due, named, f"ECS wants {found['desiredCount']} tasks of it at first, and should {due}")
    states = {scheduler.get_schedule(Name=one["Name"])["State"] for one in scheduler.list_schedules()["Schedules"]}
    wanted = {"DISABLED"} if given.get("stands_by") else {"ENABLED"}
    faults.unless(states == wanted, account.environment, f"EventBridge has its schedules {sorted(states)}")


def check_data(account, given, templates, zone, faults):
    check_database(account, given, templates, faults)
    check_cache(account, given, templates, faults)
    check_names(account, given, zone, faults)
    check_registry(account, given, templates, faults)
    check_standby(account, given, templates, faults)
