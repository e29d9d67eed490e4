"""`spillway preflight` as a person and a program see it: table, JSON, exit codes, one line per error."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox.clouds import VARIABLE
from spillway.cli import main
from spillway.preflight.aws_region import region
from spillway.preflight.model import SEVERITY, Row, Unreachable, count
from spillway.preflight.quota_requests import AwsQuotaRequest
from spillway.preflight.report import Report
from tests.unit.preflight.fake_account import FakeAccount
from tests.unit.stack_data import SHIPPED, STACKS


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "sandbox"
    monkeypatch.setenv(VARIABLE, str(directory))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CLOUDFLARE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return directory


def weather(directory: Path, text: str) -> None:
    directory.mkdir()
    (directory / "weather.yaml").write_text(text)


def run(*arguments: str) -> int:
    return main(["preflight", *arguments, "--stacks", str(STACKS)])


def test_a_ready_stack_exits_with_0_and_says_so_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("aws-us-east-1", "--sandbox", "--image-age", "3650") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].strip() == "aws-us-east-1 (sandbox)"
    assert lines[1].split() == ["state", "check", "found", "needed"]
    assert lines[-2] == ""
    assert lines[-1] == "aws-us-east-1: ready for `up` (3 notes)"
    assert err == "", "no progress where nobody watches"


def test_a_failure_exits_with_1_stands_first_and_comes_with_a_command_to_copy(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weather(sandbox, "quotas: [{name: L-0263D0A3, value: 4}, {name: L-C4BD4855, value: 0}]\n")
    assert run("aws-us-east-1", "--sandbox", "--image-age", "3650") == 1
    lines = capsys.readouterr().out.splitlines()
    states = [line.split()[0] for line in lines[2 : lines.index("")] if not line.startswith(" ")]
    assert states == sorted(states, key=SEVERITY.index)
    assert states[:2] == ["failure", "warning"]
    command_line = (
        "  aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-0263D0A3 "
        "--desired-value 5 --region us-east-1"
    )
    assert command_line in lines
    assert lines[-1].startswith("aws-us-east-1: `up` or the fallback would fail (1 failure, 1 warning, ")


def test_json_has_a_stable_shape(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weather(sandbox, "quotas: [{name: L-0263D0A3, value: 4}]\n")
    assert run("aws-us-east-1", "--sandbox", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"stack", "sandbox", "ready", "counts", "rows", "error", "skipped"}
    assert (found["stack"], found["sandbox"], found["ready"], found["error"]) == ("aws-us-east-1", True, False, [])
    assert list(found["counts"]) == list(SEVERITY)
    assert sum(found["counts"].values()) == len(found["rows"])
    assert all(set(row) == {"id", "check", "state", "found", "needed", "action", "request"} for row in found["rows"])
    row = found["rows"][0]
    assert (row["id"], row["state"]) == ("addresses", "failure")
    assert row["request"] == {
        "service": "ec2",
        "quotaCode": "L-0263D0A3",
        "quotaName": "EC2-VPC Elastic IPs",
        "region": "us-east-1",
        "value": 5,
        "console": "https://us-east-1.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/L-0263D0A3",
        "command": row["request"]["command"],
    }


def test_all_regions_have_a_table_each_and_one_exit_code(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--all", "--sandbox") == 0
    lines = capsys.readouterr().out.splitlines()
    verdicts = [line.split(":")[0] for line in lines if "ready for `up`" in line]
    assert verdicts == ["aws-us-east-1", "aws-us-east-2", "aws-us-west-2"], "region stacks, in order, no global one"
    weather(sandbox, "quotas: [{region: us-west-2, name: L-0263D0A3, value: 1}]\n")
    assert run("--all", "--sandbox", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [(each["stack"], each["ready"]) for each in found["stacks"]] == [
        ("aws-us-east-1", True), ("aws-us-east-2", True), ("aws-us-west-2", False),
    ]  # fmt: skip
    assert found["ready"] is False


def test_every_cloud_is_asked_in_its_own_words_and_one_that_is_not_covered_is_skipped(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preflight", "--all", "--sandbox", "--stacks", str(SHIPPED), "--image-age", "3650"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    for stack in ("aws-us-east-1", "azure-eastus", "gcp-us-central1"):
        assert any(line.startswith(f"{stack}: ready for `up` (") for line in lines)
    (skipped,) = [line for line in lines if line.startswith("tencent-")]
    assert skipped.startswith("tencent-ap-guangzhou: skipped: preflight does not cover tencent yet; look by hand")
    weather(sandbox, "quotas: [{cloud: azure-native, name: lowPriorityCores, value: 0}]\n")
    assert main(["preflight", "--all", "--sandbox", "--stacks", str(SHIPPED), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    ready = {each["stack"]: each["ready"] for each in found["stacks"]}
    assert (found["ready"], ready["azure-eastus"], ready["gcp-us-central1"]) == (False, False, True)
    (told,) = [each["skipped"] for each in found["stacks"] if each["skipped"]]
    assert "tccli cvm DescribeAccountQuota --region ap-guangzhou" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["tencent-ap-guangzhou", "--sandbox"],
            "tencent-ap-guangzhou: preflight does not cover tencent yet; look by hand",
        ),
        (["azure-eastus", "--profile", "x"], "preflight: --profile x goes with AWS, not with azure-eastus"),
        (["gcp-us-central1", "--profile", "x"], "preflight: --profile x goes with AWS, not with gcp-us-central1"),
        (["azure-eastus"], "Azure: DefaultAzureCredential failed"),
        (["gcp-us-central1"], "Google Cloud: Your default credentials were not found."),
    ],
)
def test_other_clouds_say_in_one_line_what_keeps_them_from_being_asked(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_logins(monkeypatch)
    assert main(["preflight", *arguments, "--stacks", str(SHIPPED)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"spillway: {told}")
    assert err.count("\n") == 1


def without_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nobody has logged in, without looking at what this one has."""
    from azure.core.exceptions import ClientAuthenticationError
    from google.auth.exceptions import DefaultCredentialsError

    def azure(*_: Any, **__: Any) -> Any:
        raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token.\nAttempted: ...")

    def google(*_: Any, **__: Any) -> Any:
        raise DefaultCredentialsError("Your default credentials were not found.")  # type: ignore[no-untyped-call]

    monkeypatch.setattr("azure.identity.DefaultAzureCredential.get_token", azure)
    monkeypatch.setattr("google.auth.default", google)


def test_a_stack_with_a_faulty_file_does_not_keep_the_others_from_being_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks = tmp_path / "stacks"
    shutil.copytree(STACKS, stacks)
    faulty = stacks / "Pulumi.aws-us-east-2.yaml"
    faulty.write_text(faulty.read_text().replace("target: ", "targt: "))
    assert main(["preflight", "--all", "--sandbox", "--stacks", str(stacks)]) == 1
    out, err = capsys.readouterr()
    assert "spillway: stacks/Pulumi.aws-us-east-2.yaml: spillway:region.pools" in err
    assert "aws-us-east-2: not checked" in out
    assert "aws-us-west-2: ready for `up`" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["aws-eu-west-9"], f"{STACKS}/Pulumi.aws-eu-west-9.yaml: no such stack file; there are aws-us-east-1, "),
        (["aws-us-east-1", "--sandbox", "--profile", "x"], "preflight: --profile x goes without --sandbox: "),
        (["global-cloudflare", "--profile", "x"], "preflight: --profile x goes with AWS, and global-cloudflare says"),
        (["global-traffic-manager", "--profile", "x"], "preflight: --profile x goes with AWS, and global-traffic-"),
        (["global", "--sandbox", "--image-age", "9"], "preflight: --image-age 9 goes with a region: global has no"),
        (["aws-us-east-1", "--profile", "nope"], "AWS: The config profile (nope) could not be found; "),
        (["aws-us-east-1"], "AWS, us-east-1: Unable to locate credentials; set AWS_PROFILE or log in ("),
        (["global"], "AWS, us-east-1: Unable to locate credentials; set AWS_PROFILE or log in ("),
        (["global-cloudflare"], "Cloudflare: no credentials: set CLOUDFLARE_API_TOKEN, as `pulumi up` needs it too"),
    ],
)
def test_what_keeps_it_from_asking_is_one_line_and_exit_code_1(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"spillway: {told}")
    assert err.count("\n") == 1


def test_json_carries_the_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("aws-us-east-1", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ready"], found["rows"]) == (False, [])
    assert found["error"][0].startswith("AWS, us-east-1: Unable to locate credentials")


def test_a_faulty_weather_file_is_one_line(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weather(sandbox, "quotas: [{name: L-0263D0A3}]\n")
    assert run("aws-us-east-1", "--sandbox") == 1
    assert "quotas.0.value: is required" in capsys.readouterr().err


def test_the_real_account_is_asked_with_the_regions_of_all_stacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = FakeAccount()
    seen: list[Any] = []

    def real(config: Any, profile: str | None) -> FakeAccount:
        seen.append(profile)
        return account

    def scores(*asked: Any) -> list[Any]:
        seen.append(asked)
        return []

    monkeypatch.setattr(region, "real", real)
    monkeypatch.setattr(account, "scores", scores)
    assert run("aws-us-east-1", "--profile", "ops", "--image-age", "3650") == 0
    types = ("p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge")
    assert seen == ["ops", (types, 2, ("us-east-1", "us-east-2", "us-west-2"))]
    assert "none for us-east-1" in capsys.readouterr().out


def test_open_questions_do_not_fail_but_are_told_in_the_verdict() -> None:
    report = Report("aws-us-east-1", (Row("zones", "zones", "unknown", "denied: ec2:DescribeAvailabilityZones"),))
    assert report.ready
    assert report.verdict() == "aws-us-east-1: nothing known speaks against `up` (1 open question)"
    assert not Report("x", error=("no network",)).ready


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("200", 200), (None, 120), ("no", 120), ("0", 120)])
def test_in_a_pipe_the_table_has_the_width_of_columns_or_120_and_no_blanks_at_the_ends(
    columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert run("aws-us-east-1", "--sandbox", "--image-age", "3650") == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[: lines.index("")]
    assert width - 20 < max(map(len, table)) <= width or width == 200
    assert all(line == line.rstrip() for line in lines)
    assert "" not in (lines[0], lines[-1])
    assert lines[-2] == ""


def test_a_blank_line_stands_before_the_verdict_also_when_there_is_nothing_to_do() -> None:
    told = io.StringIO()
    Report("x", (Row("zone", "zone", "ok", "there"),)).print(Console(file=told, width=90))
    assert told.getvalue() == "x\nstate  check  found\nok     zone   there\n\nx: ready for `up`\n"


def test_all_without_credentials_is_a_line_each_without_blank_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--all") == 1
    out, err = capsys.readouterr()
    assert out == "".join(f"aws-us-{where}: not checked\n" for where in ("east-1", "east-2", "west-2"))
    assert err.count("\n") == 3


def test_between_two_stacks_is_one_blank_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--all", "--sandbox") == 0
    out = capsys.readouterr().out
    assert "\n\n\n" not in out
    assert "\n\naws-us-east-2 (sandbox)\n" in out


def test_on_a_terminal_the_table_fits_and_commands_stay_whole() -> None:
    request = AwsQuotaRequest("ec2", "L-417A185B", "Running On-Demand P instances", "us-east-1", 1152)
    row = Row("quota", "on-demand vCPUs", "failure", "96 vCPUs " * 20, "1152 vCPUs", "too few", request)
    console = Console(width=90, force_terminal=True, color_system=None, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    Report("aws-us-east-1", (row,)).print(console)
    lines = console.export_text().splitlines()
    assert f"  {request.command()}" in lines
    assert all(len(line) <= 90 for line in lines[: lines.index("")])


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "address", "1 address"), (2, "address", "2 addresses"), (0, "day", "0 days"), (1200, "key", "1,200 keys")],
)
def test_counts_are_words(number: float, noun: str, text: str) -> None:
    assert count(number, noun) == text


def test_what_ends_everything_is_lines_for_a_person() -> None:
    assert Unreachable("one line").lines == ("one line",)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "preflight: name one stack, or --all for every region stack"),
        (
            ["aws-us-east-1", "--all"],
            "preflight: aws-us-east-1 and --all do not go together: one stack, or every region",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"spillway: {told}")
    assert err.count("\n") == 1


def test_a_file_that_is_no_yaml_fails_alone_and_the_others_are_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "stacks"
    folder.mkdir()
    shutil.copy(STACKS / "Pulumi.aws-us-east-1.yaml", folder)
    (folder / "Pulumi.aws-us-west-2.yaml").write_text("config: [\n")
    code = main(["preflight", "--all", "--sandbox", "--image-age", "3650", "--stacks", str(folder)])
    out, err = capsys.readouterr()
    assert code == 1
    assert err.startswith("spillway: stacks/Pulumi.aws-us-west-2.yaml: line 2, column 1: not YAML: ")
    assert "aws-us-east-1: ready for `up` (3 notes)" in out
    assert out.splitlines()[-1] == "aws-us-west-2: not checked"


def test_roles_of_pipelines_are_not_covered_and_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", "ci-aws", "--sandbox", "--stacks", str(SHIPPED)]) == 1
    told = " ".join("".join(capsys.readouterr()).split())
    assert "ci-aws: preflight does not cover roles of pipelines: `pulumi preview` says what would be made" in told
