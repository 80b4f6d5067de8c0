"""Each function may do what its code does, and no more: the calls of whole runs beside the roles of the template."""

from __future__ import annotations

from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from intensity.runs.request import Request
from intensity.sources.listing import Source
from tests.aws.translation import section
from tests.runs.conftest import PHOTOS, RESULTS, one_by_one, request
from tests.test_deployment import REPOSITORY, template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.runs.conftest import Run

RUNS = REPOSITORY / "infra/runs.yaml"
RESOURCES = template("infra/runs.yaml")["Resources"]
ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject",
}
# What no call shows. A large file that breaks off is given up; and without the list of a bucket, S3 says "forbidden" of
# what is not there.
BESIDES = {
    "Plan": {("s3:AbortMultipartUpload", "results/runs"), ("s3:AbortMultipartUpload", "results/work")},
    "Measure": {("s3:ListBucket", "results"), ("s3:ListBucket", "sources")},
    "Reduce": {("s3:AbortMultipartUpload", "results/runs")},
}


def statements(role: str) -> Iterator[tuple[str, str]]:
    """The actions in S3 that a role has, and on what: "results/runs", "sources/" for objects and so on."""
    for entry in RESOURCES[role]["Properties"]["Policies"]:
        # An !If: its condition, and the policy with sources.
        policy = entry[1] if isinstance(entry, list) else entry
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            actions, resources = statement["Action"], statement["Resource"]
            for action in [actions] if isinstance(actions, str) else actions:
                if action.startswith("s3:") or action == "*":
                    for resource in [resources] if not isinstance(resources, list) else resources:
                        yield action, place(resource)


def place(resource: str | dict[str, Any]) -> str:
    if isinstance(resource, dict):
        return "sources/" if "/*" in str(resource) else "sources"
    return resource.replace("${Results.Arn}", "results").replace("Results.Arn", "results").removesuffix("/*")


@contextmanager
def noting(run: Run, made: set[tuple[str, str]]) -> Iterator[None]:
    """Note what is called meanwhile, as actions and places."""

    def note(params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
        action = ACTIONS[model.name]
        if "VersionId" in params:
            action += "Version"
        bucket = {RESULTS: "results", PHOTOS: "sources"}[params["Bucket"]]
        key = params.get("Key")
        beginning = "" if bucket == "sources" else str(key).partition("/")[0]
        made.add((action, bucket if key is None else f"{bucket}/{beginning}"))
        if "CopySource" in params:
            # As the header has it: bucket and key.
            made.add(("s3:GetObject", "/".join(params["CopySource"].split("/")[:2])))

    run.s3.meta.events.register("before-parameter-build.s3", note)
    yield
    run.s3.meta.events.unregister("before-parameter-build.s3", note)


def test_a_role_allows_what_its_function_calls_and_nothing_else(run: Run, upload: Callable[..., None]) -> None:
    upload({"a/1.png": 10, "a/2.png": 20})
    run.s3.put_object(Bucket=PHOTOS, Key="list.csv", Body=f"s3://{PHOTOS}/a/1.png\n".encode())
    run.s3.put_bucket_versioning(Bucket=PHOTOS, VersioningConfiguration={"Status": "Enabled"})
    upload({"a/2.png": 30})
    listed = (*request().sources, Source("list", f"s3://{PHOTOS}/list.csv"))
    requests = [request(), Request(run="first", resume=True), request("second", since="first")]
    requests.append(request("versions", all_versions=True, sources=listed))
    calls: dict[str, set[tuple[str, str]]] = {"Plan": set(), "Measure": set(), "Reduce": set()}
    for number, each in enumerate(requests):
        with noting(run, calls["Plan"]):
            planned = run.planned(each, f"{each.run}-{number}")
        todo = [single for batch in run.todo(planned) for single in one_by_one(batch)]
        with noting(run, calls["Measure"]):
            run.measured(planned, todo)
        with noting(run, calls["Reduce"]):
            run.reduced(planned)
    for function, made in calls.items():
        allowed = set(statements(f"{function}Role"))
        assert (function, made - allowed, allowed - made) == (function, set(), BESIDES[function])


def built(value: Any, buckets: str) -> Any:  # noqa: ANN401 - of CloudFormation
    """What CloudFormation makes of the functions that the buckets' ARNs are built with."""
    if isinstance(value, str):
        return value
    [(function, argument)] = value.items()
    if function == "Ref":
        return {"SourceBuckets": buckets}[argument]
    separator, source = argument
    if function == "Fn::Split":
        return built(source, buckets).split(separator)
    assert function == "Fn::Join"
    return separator.join(
        [built(part, buckets) for part in source] if isinstance(source, list) else built(source, buckets)
    )


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
@pytest.mark.parametrize("names", ["photos", "photos,my.scans,x-1"])
def test_the_buckets_that_may_be_read_are_those_that_were_named_in_every_partition(names: str, partition: str) -> None:
    roles = section("infra/runs.yaml")
    for role in ("PlanRole", "MeasureRole"):
        [_, policy, _] = roles[role]["Properties"]["Policies"][1]["Fn::If"]
        objects, buckets = [built(statement["Resource"], names) for statement in policy["PolicyDocument"]["Statement"]]
        for suffix, patterns in (("/2026/a.png", objects), ("", buckets)):
            wanted = [f"arn:{partition}:s3:::{name}{suffix}" for name in names.split(",")]
            # One for each, and of no other bucket.
            assert [fnmatchcase(arn, pattern) for arn, pattern in zip(wanted, patterns, strict=True)] == [True] * len(
                wanted
            )
            for stranger in ("photos2", "secret", ""):
                assert not [each for each in patterns if fnmatchcase(f"arn:{partition}:s3:::{stranger}{suffix}", each)]


def test_no_arn_is_of_one_partition() -> None:
    for file in (RUNS, RUNS.with_name("runs.asl.json")):
        assert "arn:aws:" not in file.read_text()


def test_of_the_results_only_parts_go_and_only_tls_reaches_them() -> None:
    # That they are private and encrypted, checkov checks.
    rules = RESOURCES["Results"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule] == ["work/"]
    (denied,) = RESOURCES["ResultsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Action"], denied["Principal"]) == ("Deny", "s3:*", "*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_no_bucket_may_be_read_by_default() -> None:
    assert template("template.yaml")["Parameters"]["SourceBuckets"]["Default"] == ""
    for role in ("PlanRole", "MeasureRole"):
        [_, sources, keys] = RESOURCES[role]["Properties"]["Policies"]
        assert [sources[0], keys[0]] == ["SourcesGiven", "KeysGiven"]
        assert [sources[2], keys[2]] == ["AWS::NoValue"] * 2
