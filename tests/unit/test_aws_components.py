"""What the region asks of AWS, seen through Pulumi's mocks. Whether AWS would take it is for the engine tests."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import pulumi
import pytest
import yaml

from images.programs import front, logs
from infra import fallback
from infra.aws.lookups import CapacityBlock, MachineImage, check_block, image_filters
from infra.aws.pools import closing_time
from infra.faults import NotFound, reason
from infra.node_config import METRICS_PORT
from infra.sections import Image
from tests.unit.stack_data import load

BLOCK = CapacityBlock("cr-0123456789abcdef0", "p5.48xlarge", "us-east-1b", 4, "2026-12-15T11:30:00Z")
IMAGE = MachineImage("ami-0123456789abcdef0", "/dev/xvda")


class Asked:
    """Everything that was registered: type token -> name -> inputs, as the engine would get them."""

    def __init__(self) -> None:
        self.by_type: dict[str, dict[str, dict[str, Any]]] = {}

    def all(self, token: str) -> dict[str, dict[str, Any]]:
        return self.by_type.get(token, {})

    def one(self, token: str, name: str | None = None) -> dict[str, Any]:
        found = self.all(token)
        if name is not None:
            return found[f"aws-us-east-1-{name}"]
        assert len(found) == 1, sorted(found)
        return next(iter(found.values()))


class Mocks(pulumi.runtime.Mocks):
    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.asked.by_type.setdefault(args.typ, {})[args.name] = args.inputs
        made = {
            "arn": f"arn:aws:made:us-east-1:123456789012:{args.name}",
            "dnsName": f"{args.name}.example.com",
            "publicIp": "203.0.113.1",
            "prefixListId": "pl-1",
            "latestVersion": 7,
        }
        return f"{args.name}-id", made | args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(f"components look nothing up, asked for {args.token}")


def build(
    changes: dict[str, Any] | None = None, blocks: tuple[CapacityBlock, ...] = (), preview: bool = False
) -> Asked:
    """Register the shipped region with changes by dotted key."""
    asked = Asked()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(Mocks(asked), project="spillway", stack="aws-us-east-1", preview=preview)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        from infra.aws.provider import provider
        from infra.aws.region import Region, RegionArgs

        config = load(changes)
        Region(
            "aws-us-east-1",
            RegionArgs(config, IMAGE, blocks),
            pulumi.ResourceOptions(providers={"aws": provider(config)}),
        )

    program()
    return asked


@pytest.fixture(scope="module")
def region() -> Asked:
    return build()


GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
POLICY = "aws:autoscaling/policy:Policy"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


def test_the_provider_takes_one_region_and_one_account(region: Asked) -> None:
    provider = region.one("pulumi:providers:aws")
    assert provider["region"] == "us-east-1"
    assert json.loads(provider["allowedAccountIds"]) == ["123456789012"]


def test_a_nodes_role_has_the_boundary_that_the_file_names(region: Asked) -> None:
    role = "aws:iam/role:Role"
    assert "permissionsBoundary" not in region.one(role)
    bounded = build({"node.permissionsBoundary": "spillway-ci-aws-node"})
    assert bounded.one(role)["permissionsBoundary"] == "arn:aws:iam::123456789012:policy/spillway-ci-aws-node"


def test_a_dry_run_decides_and_tells_and_sets_nothing(region: Asked) -> None:
    dry = build({"fallback.dryRun": True})
    assert {alarm["actionsEnabled"] for alarm in region.all(ALARM).values()} == {True}
    assert {alarm["actionsEnabled"] for alarm in dry.all(ALARM).values()} == {False}
    assert dry.all(POLICY) == region.all(POLICY), "and it is one change away from being in earnest"


def test_the_same_is_registered_in_a_preview(region: Asked) -> None:
    preview = build(preview=True)
    assert {t: sorted(names) for t, names in preview.by_type.items()} == {
        t: sorted(names) for t, names in region.by_type.items()
    }


def test_only_the_balancer_gets_in_and_only_clients_reach_it(region: Asked) -> None:
    rules = region.all(INGRESS)
    assert sorted(rules) == [
        "aws-us-east-1-network-balancer-from-0.0.0.0-0",
        "aws-us-east-1-network-nodes-from-balancer",
    ]
    to_nodes = region.one(INGRESS, "network-nodes-from-balancer")
    assert to_nodes["referencedSecurityGroupId"] == "aws-us-east-1-network-balancer-id"
    assert "cidrIpv4" not in to_nodes
    assert all((rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (443, 443, "tcp") for rule in rules.values())


def test_no_node_subnet_gives_public_addresses(region: Asked) -> None:
    assert all(subnet["mapPublicIpOnLaunch"] is False for subnet in region.all("aws:ec2/subnet:Subnet").values())


def test_metrics_are_read_from_networks_that_are_named(region: Asked) -> None:
    asked = build({"network.monitoring": ["10.99.0.0/24"]})
    more = set(asked.all(INGRESS)) - set(region.all(INGRESS))
    assert more == {"aws-us-east-1-network-nodes-from-monitoring-10.99.0.0-24"}
    rule = asked.one(INGRESS, "network-nodes-from-monitoring-10.99.0.0-24")
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (
        "10.99.0.0/24",
        METRICS_PORT,
        METRICS_PORT,
        "tcp",
    )
    assert rule["securityGroupId"] == "aws-us-east-1-network-nodes-id", "the balancer lets none of it in"
    assert METRICS_PORT == front.METRICS_PORT, "where the node's nginx shows them"


def user_data(asked: Asked, name: str) -> dict[str, Any]:
    document = yaml.safe_load(base64.b64decode(asked.one(TEMPLATE, name)["userData"]))
    (text,) = [file["content"] for file in document["write_files"] if file["path"] == "/etc/spillway/node.json"]
    found: dict[str, Any] = json.loads(text)
    return found


def test_logs_leave_for_the_stack_s_own_group_unless_the_stack_file_keeps_them(region: Asked) -> None:
    group = region.one("aws:cloudwatch/logGroup:LogGroup")
    assert (group["name"], group["retentionInDays"]) == (logs.group("aws-us-east-1"), 30)
    assert user_data(region, "spot")["logs"] is not None
    kept = build({"logs": {"ship": False}})
    assert not kept.all("aws:cloudwatch/logGroup:LogGroup")
    assert user_data(kept, "spot")["logs"] is None
    assert '"Logs"' not in kept.one("aws:iam/rolePolicy:RolePolicy")["policy"]


def test_without_nat_logs_leave_by_an_endpoint_of_their_own() -> None:
    for ship in (True, False):
        asked = build({"network.egress": "endpoints", "logs": {"ship": ship, "retentionDays": 90}})
        services = {e["serviceName"].rsplit(".", 1)[-1] for e in asked.all("aws:ec2/vpcEndpoint:VpcEndpoint").values()}
        assert ("logs" in services) == ship


def test_weights_are_staged_unless_the_stack_file_lets_the_engine_stream_them(region: Asked) -> None:
    assert user_data(region, "spot")["model"]["loadFormat"] == "stage"
    assert user_data(build({"model.loadFormat": "stream"}), "spot")["model"]["loadFormat"] == "stream"


@pytest.mark.parametrize(("egress", "gateways"), [("nat", 1), ("nat-per-zone", 4), ("endpoints", 0)])
def test_egress_is_what_the_stack_file_says(egress: str, gateways: int) -> None:
    asked = build({"network.egress": egress})
    assert len(asked.all("aws:ec2/natGateway:NatGateway")) == gateways
    out = {name.removeprefix("aws-us-east-1-network-"): rule for name, rule in asked.all(EGRESS).items()}
    if egress == "endpoints":
        assert set(out) == {"balancer-to-nodes", "nodes-to-endpoints", "nodes-to-s3"}
        assert "cidrIpv4" not in out["nodes-to-endpoints"]
        assert out["nodes-to-s3"]["prefixListId"] == "pl-1"
    else:
        assert set(out) == {"balancer-to-nodes", "nodes-to-internet"}


def test_the_node_may_touch_its_model_its_secrets_its_groups_and_nothing_else() -> None:
    region = build({"model.revision": "abc123"})
    document = json.loads(region.one("aws:iam/rolePolicy:RolePolicy")["policy"])
    rights = {statement["Sid"]: statement for statement in document["Statement"]}
    prefix = "models/deepseek-r1-distill-llama-70b/abc123/"
    bucket = "arn:aws:s3:::spillway-models-123456789012-us-east-1"
    assert rights["ReadModel"]["Resource"] == f"{bucket}/{prefix}*"
    assert rights["ListModel"]["Condition"] == {"StringLike": {"s3:prefix": [prefix, f"{prefix}*"]}}
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:spillway/aws-us-east-1/"
    assert rights["ReadSecrets"]["Resource"] == [f"{secret}certificate-??????", f"{secret}api-keys-??????"]
    group = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/spillway-aws-us-east-1"
    assert rights["OwnLifecycle"]["Resource"] == [f"{group}-spot", f"{group}-on-demand"]
    group = "arn:aws:logs:us-east-1:123456789012:log-group:/spillway/aws-us-east-1/nodes:*"
    assert rights["Logs"]["Resource"] == group
    assert rights["Logs"]["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    everywhere = {sid for sid, statement in rights.items() if statement["Resource"] == "*"}
    assert everywhere == {"Metrics", "SessionManager"}
    assert rights["Metrics"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Spillway"}}
    assert not any("*" in action for statement in rights.values() for action in statement["Action"])


def test_secrets_are_created_empty(region: Asked) -> None:
    assert {s["name"] for s in region.all("aws:secretsmanager/secret:Secret").values()} == {
        "spillway/aws-us-east-1/certificate",
        "spillway/aws-us-east-1/api-keys",
    }
    assert not region.all("aws:secretsmanager/secretVersion:SecretVersion")


def test_the_template_is_hardened_and_its_disks_are_as_configured(region: Asked) -> None:
    template = region.one(TEMPLATE, "spot")
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert "keyName" not in template
    assert "networkInterfaces" not in template
    root, data = template["blockDeviceMappings"]
    assert root["deviceName"] == "/dev/xvda"
    assert data["ebs"] == {
        "volumeType": "gp3",
        "volumeSize": 1000,
        "iops": 16000,
        "throughput": 1000,
        "encrypted": "true",
        "deleteOnTermination": "true",
    }
    assert root["ebs"]["encrypted"] == "true"
    kinds = {spec["resourceType"]: spec["tags"] for spec in template["tagSpecifications"]}
    assert {"instance", "volume"} <= set(kinds)
    assert all(tags["spillway:stack"] == "aws-us-east-1" and tags["team"] == "platform" for tags in kinds.values())


def test_groups_name_the_version_that_the_template_has(region: Asked) -> None:
    for group in region.all(GROUP).values():
        template = group["mixedInstancesPolicy"]["launchTemplate"]["launchTemplateSpecification"]
        assert template["version"] == "7"


def test_sizes_follow_target_floor_and_max() -> None:
    asked = build({"pools.target": 3, "pools.floor": 1, "pools.max": 6})
    spot, on_demand = asked.one(GROUP, "pools-spot"), asked.one(GROUP, "pools-on-demand")
    assert (spot["minSize"], spot["maxSize"]) == (2, 5)
    assert (on_demand["minSize"], on_demand["maxSize"]) == (1, 6)


def test_pools_start_at_their_minimum_and_no_update_sends_a_desired_size(region: Asked) -> None:
    assert all("desiredCapacity" not in group for group in region.all(GROUP).values())


def test_the_spot_pool_is_all_spot_and_the_other_all_on_demand(region: Asked) -> None:
    spot = region.one(GROUP, "pools-spot")
    policy = spot["mixedInstancesPolicy"]
    assert policy["instancesDistribution"]["onDemandPercentageAboveBaseCapacity"] == 0
    assert policy["instancesDistribution"]["spotAllocationStrategy"] == "price-capacity-optimized"
    assert [o["instanceType"] for o in policy["launchTemplate"]["overrides"]] == [
        "p4d.24xlarge",
        "p4de.24xlarge",
        "p5.48xlarge",
    ]
    assert spot["capacityRebalance"] is True
    on_demand = region.one(GROUP, "pools-on-demand")["mixedInstancesPolicy"]["instancesDistribution"]
    assert on_demand["onDemandPercentageAboveBaseCapacity"] == 100


def test_groups_do_not_wait_for_capacity_and_never_judge_nodes_by_readiness(region: Asked) -> None:
    for group in region.all(GROUP).values():
        assert group["waitForCapacityTimeout"] == "0"
        assert group["healthCheckType"] == "EC2"
        assert group["healthCheckGracePeriod"] >= 20 * 60
        assert group["metricsGranularity"] == "1Minute"
        assert group["targetGroupArns"]
        assert all(tag["propagateAtLaunch"] for tag in group["tags"])
        assert "instanceRefresh" not in group


@pytest.mark.parametrize("egress", ["nat", "endpoints"])
def test_pools_wait_for_their_nodes_way_out_and_have_time_to_empty(
    egress: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: dict[str, Any] = {}
    register: Any = pulumi.runtime.mocks.MockMonitor.RegisterResource

    def record(monitor: Any, request: Any) -> Any:
        if request.type == GROUP:
            requests[request.name] = request
        return register(monitor, request)

    monkeypatch.setattr(pulumi.runtime.mocks.MockMonitor, "RegisterResource", record)
    build({"network.egress": egress})
    way_out = {"nat": ["nodes-a-nat", "nodes-to-internet"], "endpoints": ["nodes-to-endpoints", "nodes-to-s3", "ssm"]}
    for pool in requests.values():
        before = {tuple(urn.split("::")[-2:]) for urn in pool.dependencies}
        names = {name.removeprefix("aws-us-east-1-network-") for _, name in before}
        assert names >= {"s3", *way_out[egress]}
        associated = {name for token, name in before if token.endswith(":RouteTableAssociation")}
        assert associated == {f"aws-us-east-1-network-nodes-{zone}" for zone in "abcd"}
        assert pool.customTimeouts.delete == "30m"
    assert len(requests) == 2


def test_hooks_hold_the_first_nodes_and_every_later_one_alike(region: Asked) -> None:
    resources = region.all("aws:autoscaling/lifecycleHook:LifecycleHook")
    for label in ("spot", "on-demand"):
        initial = {hook["name"]: hook for hook in region.one(GROUP, f"pools-{label}")["initialLifecycleHooks"]}
        assert set(initial) == {"ready", "drain"}
        for name, hook in initial.items():
            later = resources[f"aws-us-east-1-pools-{label}-{name}"]
            assert {key: later[key] for key in hook} == hook
        assert initial["ready"]["defaultResult"] == "ABANDON"
        assert initial["ready"]["heartbeatTimeout"] == 30 * 60
        assert initial["drain"]["defaultResult"] == "CONTINUE"
        assert initial["drain"]["heartbeatTimeout"] == 110


def test_the_alarms_are_those_of_the_fallback_rule(region: Asked) -> None:
    rule = fallback.Rule(floor=0, out_minutes=2, in_minutes=12, boot_minutes=20, max_on_demand=6)
    for wanted in fallback.aws_alarms(rule):
        alarm, policy = (region.one(t, f"scaling-fallback-{wanted.key}") for t in (ALARM, POLICY))
        queries = {query["id"]: query for query in alarm["metricQueries"]}
        for line in wanted.expressions:
            assert queries[line.id]["expression"] == line.expression
            assert queries[line.id]["returnData"] is line.returns_data
        for metric in wanted.metrics:
            assert queries[metric.id]["metric"] == {
                "namespace": fallback.NAMESPACE,
                "metricName": metric.metric_name,
                "dimensions": {fallback.DIMENSION: f"spillway-aws-us-east-1-{metric.pool}"},
                "stat": fallback.STATISTIC,
                "period": fallback.PERIOD_SECONDS,
            }
        assert len(queries) == len(wanted.expressions) + len(wanted.metrics)
        assert alarm["evaluationPeriods"] == alarm["datapointsToAlarm"] == wanted.evaluation_periods
        assert alarm["treatMissingData"] == "notBreaching"
        assert policy["autoscalingGroupName"] == "spillway-aws-us-east-1-on-demand"
        assert policy["adjustmentType"] == wanted.adjustment_type
        assert [
            (s["scalingAdjustment"], s.get("metricIntervalLowerBound"), s.get("metricIntervalUpperBound"))
            for s in policy["stepAdjustments"]
        ] == [(s.adjustment, s.lower, s.upper) for s in wanted.steps]


def test_load_moves_the_spot_pool_by_queue_or_by_cpu(region: Asked) -> None:
    queue = region.one(ALARM, "scaling-load-out")
    assert queue["threshold"] == 20
    dimensions = [q["metric"]["dimensions"] for q in queue["metricQueries"] if "metric" in q]
    assert {"stack": "aws-us-east-1", "pool": "on-demand"} in dimensions
    asked = build({"scaling": {"signal": "cpu"}})
    cpu, policy = asked.one(ALARM, "scaling-load-out"), asked.one(POLICY, "scaling-load-out")
    assert (cpu["threshold"], cpu["evaluationPeriods"], cpu["comparisonOperator"]) == (
        65,
        5,
        "GreaterThanOrEqualToThreshold",
    )
    assert (policy["scalingAdjustment"], policy["cooldown"]) == (2, 300)
    assert policy["autoscalingGroupName"] == "spillway-aws-us-east-1-spot"
    fixed = build({"scaling": {"signal": "none"}})
    assert not [name for name in fixed.all(ALARM) if "load" in name]


def test_the_balancer_drains_and_never_cuts(region: Asked) -> None:
    targets = region.one("aws:lb/targetGroup:TargetGroup")
    (state,) = targets["targetHealthStates"]
    assert state["enableUnhealthyConnectionTermination"] is False
    assert state["unhealthyDrainingInterval"] >= 15 + 90
    assert targets["deregistrationDelay"] >= 15 + 90
    assert targets["connectionTermination"] is False
    assert (targets["healthCheck"]["protocol"], targets["healthCheck"]["path"]) == ("HTTPS", "/readyz")
    assert region.one("aws:lb/listener:Listener")["tcpIdleTimeoutSeconds"] == 6000
    balancer = region.one("aws:lb/loadBalancer:LoadBalancer")
    assert len(balancer["subnetMappings"]) == len({m["allocationId"] for m in balancer["subnetMappings"]}) == 4


def test_the_bucket_is_private_and_refuses_plain_http(region: Asked) -> None:
    block = region.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert all(block[k] for k in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"))
    document = json.loads(region.one("aws:s3/bucketPolicy:BucketPolicy")["policy"])
    assert {s["Effect"] for s in document["Statement"]} == {"Deny"}
    assert {"Bool": {"aws:SecureTransport": "false"}} in [s["Condition"] for s in document["Statement"]]
    (rule,) = region.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")["rules"]
    assert rule["noncurrentVersionExpiration"] == {"newerNoncurrentVersions": 2, "noncurrentDays": 1}


def test_events_and_our_own_alarms_reach_the_topic(region: Asked) -> None:
    document = json.loads(region.one("aws:sns/topicPolicy:TopicPolicy")["policy"])
    allowed = {s["Sid"]: s.get("Condition") for s in document["Statement"] if s["Effect"] == "Allow"}
    assert allowed["events"] is None, "EventBridge delivers nothing through a statement with a condition"
    assert len(allowed["cloudwatch"]["ArnEquals"]["aws:SourceArn"]) == 3
    details = [
        json.loads(r["eventPattern"])["detail-type"][0]
        for r in region.all("aws:cloudwatch/eventRule:EventRule").values()
    ]
    assert sorted(details) == [
        "EC2 Instance Launch Unsuccessful",
        "EC2 Instance Rebalance Recommendation",
        "EC2 Spot Instance Interruption Warning",
    ]


def test_the_budget_counts_this_stack_and_warns_three_times(region: Asked) -> None:
    budget = region.one("aws:budgets/budget:Budget")
    assert budget["costFilters"] == [{"name": "TagKeyValue", "values": ["user:spillway:stack$aws-us-east-1"]}]
    alerts = [(n["threshold"], n["notificationType"]) for n in budget["notifications"]]
    assert alerts == [(80, "ACTUAL"), (100, "ACTUAL"), (100, "FORECASTED")]


def test_reservations_by_id_are_used_first_or_only() -> None:
    ids = ["cr-0123456789abcdef1"]
    for word, preference in (("open", "capacity-reservations-first"), ("only", "capacity-reservations-only")):
        asked = build({"pools.reservations": {"capacityReservations": ids, "preference": word}})
        wanted = asked.one(GROUP, "pools-on-demand")["capacityReservationSpecification"]
        assert wanted["capacityReservationPreference"] == preference
        assert wanted["capacityReservationTarget"]["capacityReservationIds"] == ids
        assert "capacityReservationSpecification" not in asked.one(GROUP, "pools-spot")


def test_a_capacity_block_is_a_group_of_its_own_and_counts_as_supply() -> None:
    asked = build({"pools.reservations": {"capacityBlocks": [BLOCK.id]}}, (BLOCK,))
    label = BLOCK.id.removeprefix("cr-")
    group = asked.one(GROUP, f"pools-block-{label}")
    assert "mixedInstancesPolicy" not in group
    assert [group[k] for k in ("minSize", "desiredCapacity", "maxSize")] == [0, 4, 4]
    assert group["vpcZoneIdentifiers"] == ["aws-us-east-1-network-nodes-b-id"]
    template = asked.one(TEMPLATE, f"block-{label}")
    assert template["instanceMarketOptions"]["marketType"] == "capacity-block"
    assert template["instanceType"] == "p5.48xlarge"
    target = template["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target["capacityReservationId"] == BLOCK.id
    assert asked.one("aws:autoscaling/schedule:Schedule")["startTime"] == "2026-12-15T10:45:00Z"
    queries = {q["id"]: q for q in asked.one(ALARM, "scaling-fallback-out")["metricQueries"]}
    assert queries["spot_in_service"]["expression"] == "group_in_service + block_0_in_service"
    assert queries["block_0_pending"]["metric"]["dimensions"] == {
        "AutoScalingGroupName": f"spillway-aws-us-east-1-block-{label}"
    }
    assert sum(q["returnData"] for q in queries.values()) == 1


def test_a_capacity_block_in_a_zone_without_subnets_is_refused() -> None:
    elsewhere = CapacityBlock(BLOCK.id, BLOCK.machine_type, "us-east-1f", 4, BLOCK.end)
    with pytest.raises(ValueError, match=r"is in us-east-1f; the stack has subnets in us-east-1a"):
        build({"pools.reservations": {"capacityBlocks": [BLOCK.id]}}, (elsewhere,))


def test_a_capacity_block_that_the_region_cannot_use_is_refused_before_anything_is_registered() -> None:
    config = load({"pools.reservations": {"capacityBlocks": [BLOCK.id]}})
    check_block(BLOCK, config)
    with pytest.raises(NotFound, match=r"capacityBlocks = cr-0123456789abcdef0: is in us-east-1f; .* us-east-1a"):
        check_block(replace(BLOCK, zone="us-east-1f"), config)
    with pytest.raises(NotFound, match=r"holds p5en\.48xlarge; has to be one of the pools' types: p4d\.24xlarge"):
        check_block(replace(BLOCK, machine_type="p5en.48xlarge"), config)


def test_efa_gives_each_machine_type_its_own_template_and_layout() -> None:
    asked = build({"efa": True})
    overrides = asked.one(GROUP, "pools-spot")["mixedInstancesPolicy"]["launchTemplate"]["overrides"]
    ids = [o["launchTemplateSpecification"]["launchTemplateId"] for o in overrides]
    assert ids == [f"aws-us-east-1-spot-{t}-id" for t in ("p4d-24xlarge", "p4de-24xlarge", "p5-48xlarge")]
    cards = {}
    for kind in ("p4d-24xlarge", "p5-48xlarge"):
        template = asked.one(TEMPLATE, f"spot-{kind}")
        assert "vpcSecurityGroupIds" not in template
        interfaces = template["networkInterfaces"]
        assert all("associatePublicIpAddress" not in i for i in interfaces)
        assert all(len(i["securityGroups"]) == 2 for i in interfaces)
        cards[kind] = [(i["networkCardIndex"], i["deviceIndex"], i["interfaceType"]) for i in interfaces]
    assert cards["p4d-24xlarge"] == [
        (0, 0, "interface"),
        (0, 1, "efa-only"),
        (1, 0, "efa-only"),
        (2, 0, "efa-only"),
        (3, 0, "efa-only"),
    ]
    assert len(cards["p5-48xlarge"]) == 33
    fabric = [r for t in (INGRESS, EGRESS) for n, r in asked.all(t).items() if "fabric" in n]
    assert [r["ipProtocol"] for r in fabric] == ["-1", "-1"]
    assert all(r["referencedSecurityGroupId"] == r["securityGroupId"] for r in fabric)


def made(**values: Any) -> Image:
    return Image.model_validate(values)


def test_an_image_is_found_by_id_by_version_or_as_the_newest() -> None:
    assert image_filters(made(id="ami-0123456789abcdef0")) == {"image-id": "ami-0123456789abcdef0"}
    pinned = image_filters(made(family="spillway-vllm", version="2026.11.1"))
    assert pinned["tag:spillway:version"] == "2026.11.1"
    assert "tag:spillway:version" not in image_filters(made(family="spillway-vllm", newest=True))
    with pytest.raises(ValueError, match="expected an id"):
        image_filters(made(family="spillway-vllm"))


def test_what_the_provider_answers_is_told_on_one_line() -> None:
    error = Exception("invoke of aws:ec2/getAmi:getAmi failed: invocation of x returned an error: no\n  results")
    assert reason(error) == "no results"


def test_a_blocks_group_closes_before_ec2_does() -> None:
    assert closing_time("2026-12-15T11:30:00Z") == "2026-12-15T10:45:00Z"
    assert closing_time("2026-12-15T11:30:00+00:00") == "2026-12-15T10:45:00Z"
