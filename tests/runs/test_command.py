"""`intensity runs`, with S3 in memory and a Step Functions that runs a run when it is started."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from intensity.cli import main as intensity
from intensity.runs import command
from intensity.runs.layout import RunError
from intensity.runs.request import Request
from intensity.runs.service import Service
from intensity.sources.objects import S3Object
from tests.runs.conftest import PHOTOS, RESULTS, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runs.conftest import Run

    Runs = Callable[..., tuple[int, str, str]]
    Upload = Callable[..., None]

MACHINE = "arn:aws:states:eu-central-1:000000000000:stateMachine:image-intensity-runs"
MANUAL = (Path(__file__).parents[2] / "docs/runs.md").read_text()


class States:
    """Step Functions: an execution has ended when it has started, unless `ends` is False."""

    def __init__(self, run: Run) -> None:
        self._run, self.executions = run, dict[str, dict[str, Any]]()
        self.ends = True

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, N803 - boto3's
        assert stateMachineArn == MACHINE
        told = {"status": "RUNNING", "startDate": datetime.now(UTC)}
        self.executions[name] = told
        try:
            planned = self._run.planned(Request.read(json.loads(input)), name)
        except Exception as error:  # noqa: BLE001 - as Lambda reports it
            cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": ["x"]})
            told |= {"status": "FAILED", "stopDate": datetime.now(UTC), "error": "Error", "cause": cause}
            return
        if self.ends:
            self._run.measured(planned)
            self._run.reduced(planned)
            told |= {"status": "SUCCEEDED", "stopDate": datetime.now(UTC)}

    def stop_execution(self, *, executionArn: str, cause: str) -> None:  # noqa: ARG002, N803 - boto3's names
        self.executions[executionArn.rpartition(":")[2]] |= {"status": "ABORTED", "stopDate": datetime.now(UTC)}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        name = executionArn.rpartition(":")[2]
        if name not in self.executions:
            raise ClientError({"Error": {"Code": "ExecutionDoesNotExist", "Message": name}}, "DescribeExecution")
        return self.executions[name]


@pytest.fixture
def states(run: Run, monkeypatch: pytest.MonkeyPatch) -> States:
    running = States(run)
    service = Service(run.s3, running, MACHINE, RESULTS, reserved=400)  # type: ignore[arg-type]
    monkeypatch.setattr(Service, "connect", lambda *_: service)
    return running


@pytest.fixture
def runs(states: States, capsys: pytest.CaptureFixture[str]) -> Runs:  # noqa: ARG001 - first
    """Runs the command; return its exit code, and what it wrote to standard output and standard error."""

    def command_line(*arguments: str) -> tuple[int, str, str]:
        code = intensity(["runs", *arguments])
        return (code, *capsys.readouterr())

    return command_line


def test_a_run_is_started_watched_and_fetched(
    runs: Runs,
    upload: Upload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    upload({"a.png": 10, "b.png": 20, "readme.txt": 0})
    code, out, err = runs("start", f"s3://{PHOTOS}/", "--name", "new", "--watch")
    assert (code, out) == (0, "new\n")
    assert "2 objects" in err
    assert "2 measured" in err
    assert runs("fetch", "new")[:2] == (0, "new/results.jsonl\nnew/results.csv\nnew/results.parquet\n")
    assert (tmp_path / "new/results.csv").read_text().count("\n") == 3


def test_a_dry_run_starts_nothing(runs: Runs, upload: Upload, states: States) -> None:
    upload({"a.png": 10})
    code, out, err = runs("start", f"s3://{PHOTOS}/", "--dry-run")
    assert (code, out, states.executions) == (0, "", {})
    assert re.fullmatch(r"1 object, 0\.00 GB: about 0\.3 minutes and 0\.00 USD \(1 batch\)\.\n", err)


@pytest.mark.parametrize(("reserved", "minutes"), [(400, "1.0"), (20, "8.9")])
def test_the_time_of_a_dry_run_is_that_of_the_deployments_functions(
    runs: Runs, states: States, monkeypatch: pytest.MonkeyPatch, reserved: int, minutes: str
) -> None:
    service = replace(Service.connect("", None), reserved=reserved)
    monkeypatch.setattr(Service, "connect", lambda *_: service)
    monkeypatch.setattr(command, "objects", lambda *_: [S3Object(PHOTOS, "a.png", size=1_000_000)] * 100_000)
    assert f"about {minutes} minutes" in runs("start", f"s3://{PHOTOS}/", "--dry-run")[2]
    assert states.executions == {}


STACK = """
Parameters: {RunsConcurrency: {Type: Number, Default: 20}}
Resources: {Topic: {Type: AWS::SNS::Topic}}
Outputs: {RunsStateMachine: {Value: machine}, RunsBucket: {Value: results}}
"""


@pytest.mark.usefixtures("aws")
def test_the_stack_says_where_runs_are_and_how_many_functions_they_have() -> None:
    boto3.client("cloudformation").create_stack(StackName="with-runs", TemplateBody=STACK)
    service = Service.connect("with-runs", None)
    assert (service.state_machine, service.bucket, service.reserved) == ("machine", "results", 20)
    boto3.client("cloudformation").create_stack(StackName="without", TemplateBody=STACK.partition("Outputs")[0])
    with pytest.raises(RunError, match="Runs=on"):
        Service.connect("without", None)


def test_a_run_that_is_dear_is_not_started_without_a_yes(runs: Runs, upload: Upload, states: States) -> None:
    upload({"a.png": 10})
    code, _, err = runs("start", f"s3://{PHOTOS}/", "--ask-above", "0.0000001")
    assert (code, states.executions) == (2, {})
    assert "--yes" in err
    assert runs("start", f"s3://{PHOTOS}/", "--ask-above", "0.0000001", "--yes")[0] == 0


def test_a_run_that_is_too_large_is_not_started(
    runs: Runs, upload: Upload, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload({"a.png": 10, "b.png": 20, "c.png": 30})
    monkeypatch.setattr("intensity.runs.request.MOST_OBJECTS", 2)
    for arguments in ((), ("--dry-run",)):
        code, out, err = runs("start", f"s3://{PHOTOS}/", *arguments)
        assert (code, out, states.executions) == (2, "", {})
        assert err.startswith("intensity: these are more than the 2 objects that a run can have. Start several runs, ")


@pytest.mark.parametrize("damaged", [b"", b"damaged", b"{}\n"])
def test_how_far_a_run_is_can_be_told_with_a_damaged_part(
    runs: Runs, upload: Upload, states: States, run: Run, damaged: bytes
) -> None:
    upload({"a.png": 10})
    states.ends = False
    runs("start", f"s3://{PHOTOS}/", "--name", "new")
    planned = json.loads(run.read("runs/new/run.json"))
    key = f"work/new/parts/{planned['method']}/000000.jsonl"
    run.s3.put_object(Bucket=RESULTS, Key=key, Body=damaged)
    assert "0 of 1 objects" in runs("status", "new")[1]


def test_an_object_in_two_parts_counts_once_while_a_run_runs(
    runs: Runs, upload: Upload, states: States, run: Run
) -> None:
    """Lambda's answer for a batch can be lost when its part is written. The objects are then measured one by one."""
    upload({"a.png": 10, "b.png": 20})
    states.ends = False
    runs("start", f"s3://{PHOTOS}/", "--name", "new")
    planned = json.loads(run.read("runs/new/run.json"))
    planned["todo"] = "work/new/todo-new.jsonl"
    (batch,) = run.todo(planned)
    run.measured(planned, one_by_one(batch)[:1])
    assert "1 of 2 objects" in runs("status", "new")[1]
    run.measured(planned)
    assert "2 of 2 objects" in runs("status", "new")[1]


@pytest.mark.parametrize("name", ["run.json", "summary.json"])
@pytest.mark.parametrize("damaged", [b"", b"{", b"\xff", b"[]", b"{}", b"5", b"[" * 100_000])
def test_a_damaged_description_or_summary_is_a_sentence(
    runs: Runs, upload: Upload, run: Run, name: str, damaged: bytes
) -> None:
    upload({"a.png": 10})
    runs("start", f"s3://{PHOTOS}/", "--name", "new")
    run.s3.put_object(Bucket=RESULTS, Key=f"runs/new/{name}", Body=damaged)
    code, _, err = runs("resume" if name == "run.json" else "fetch", "new")
    assert (code, err) == (1, f"intensity: s3://{RESULTS}/runs/new/{name} is damaged, or no file of a run\n")


def test_what_aws_refuses_is_a_sentence(runs: Runs, states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for\nyou"}}, "DescribeExecution")

    monkeypatch.setattr(states, "describe_execution", refused)
    assert runs("status", "new") == (1, "", "intensity: runs status failed: AccessDenied: not for you\n")


def test_a_file_with_another_checksum_is_not_kept(runs: Runs, upload: Upload, run: Run, tmp_path: Path) -> None:
    upload({"a.png": 10})
    runs("start", f"s3://{PHOTOS}/", "--name", "new")
    table = run.read("runs/new/results.csv").replace(b"10.0", b"11.0")
    run.s3.put_object(Bucket=RESULTS, Key="runs/new/results.csv", Body=table)
    code, _, err = runs("fetch", "new", "--only", "csv", "-o", str(tmp_path / "out"))
    assert (code, list((tmp_path / "out").iterdir())) == (1, [])
    assert "SHA-256" in err


def test_files_are_not_overwritten_by_accident(runs: Runs, upload: Upload, tmp_path: Path) -> None:
    upload({"a.png": 10})
    runs("start", f"s3://{PHOTOS}/", "--name", "new")
    fetch = ("fetch", "new", "--only", "csv", "-o", str(tmp_path / "out"))
    assert [runs(*fetch)[0], runs(*fetch)[0], runs(*fetch, "--force")[0]] == [0, 1, 0]


def test_a_canceled_run_is_resumed_under_a_name_of_its_own(runs: Runs, upload: Upload, states: States) -> None:
    upload({"a.png": 10})
    states.ends = False
    runs("start", f"s3://{PHOTOS}/", "--name", "new")
    assert "0 of 1 objects" in runs("status", "new")[1]
    assert runs("resume", "new")[0] == 1
    assert runs("cancel", "new")[0] == 0
    assert runs("cancel", "new")[0] == 1
    code, _, err = runs("status", "new")
    assert (code, "aborted" in err) == (1, True)
    states.ends = True
    assert runs("resume", "new")[0] == 0
    assert list(states.executions) == ["new", "new_2"]
    assert runs("watch", "new")[0] == 0


def test_why_a_run_failed_is_a_sentence_without_a_traceback(runs: Runs, upload: Upload) -> None:
    upload({"a.png": 10})
    assert runs("start", f"s3://{PHOTOS}/", "--name", "new", "--since", "unknown", "--yes")[0] == 0
    code, _, err = runs("status", "new")
    assert (code, "there are no results of a run unknown" in err, "stackTrace" in err) == (1, True, False)


def test_problems_make_the_exit_code_1(runs: Runs, run: Run) -> None:
    run.s3.put_object(Bucket=PHOTOS, Key="empty.png", Body=b"")
    code, _, err = runs("start", f"s3://{PHOTOS}/", "--watch", "--progress", "json")
    assert code == 1
    assert "1 empty." in err
    assert json.loads(err.splitlines()[1])["problems"] == 1


@pytest.mark.parametrize("command", ["status", "watch", "cancel", "resume", "fetch"])
def test_an_unknown_run_is_a_sentence(runs: Runs, command: str) -> None:
    code, _, err = runs(command, "unknown")
    assert code == 1
    assert err.startswith("intensity: ")
    assert "unknown" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("start",),
        ("start", "photos/"),
        ("start", "s3://photos/", "--url-encoded"),
        ("start", "s3://photos/", "--name", "with_underscore"),
        ("start", "s3://photos/", "--formats", "GIF"),
        ("start", "s3://photos/", "--max-bytes", "100000001"),
        ("status", "../other"),
        (),
    ],
)
def test_wrong_usage_is_exit_code_2(runs: Runs, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        runs(*arguments)
    assert ended.value.code == 2


def test_every_command_and_option_is_in_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    def helped(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            intensity([*arguments, "--help"])
        return capsys.readouterr().out

    help_text = helped("runs")
    commands = set(re.findall(r"^ {4}(\w+) ", help_text, re.MULTILINE))
    assert commands == set(re.findall(r"^\| `(\w+)[ `]", MANUAL.partition("## Which objects")[0], re.MULTILINE))
    options = set(re.findall(r"--[a-z][a-z-]+", helped("runs", "start")))
    assert len(options) > 20
    shared = set(re.findall(r"--[a-z][a-z-]+", helped()))
    assert options - shared <= set(re.findall(r"--[a-z][a-z-]+", MANUAL))
