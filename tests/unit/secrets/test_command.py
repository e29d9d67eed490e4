"""`spillway secrets` as a person and a script see it, on the stand-in's store; and that nothing secret gets out."""

from __future__ import annotations

import io
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from sandbox.clouds import VARIABLE
from sandbox.provider import Config
from sandbox.server import make_provider
from spillway.cli import main
from tests.unit.region_commands import Run, runner, two_regions
from tests.unit.secrets.certificates import Issued, bundle, fresh, leaf
from tests.unit.stack_data import SHIPPED

REGIONS = ("us-east-1", "us-west-2")
ACCOUNT = "123456789012"
SECRET = "aws:secretsmanager/secret:Secret"


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "sandbox"
    monkeypatch.setenv(VARIABLE, str(directory))
    return directory


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    return two_regions(tmp_path / "stacks")


@pytest.fixture
def containers(sandbox: Path) -> Path:
    """What `up` leaves: empty secrets in both regions."""
    from sandbox.clouds import claim

    claim(sandbox)
    provider = make_provider("aws", sandbox)
    for region in REGIONS:
        provider.config = Config(region, ACCOUNT)
        for kind in ("certificate", "api-keys"):
            inputs = {
                "name": f"spillway/aws-{region}/{kind}",
                "recoveryWindowInDays": 0,
                "tags": {"spillway:stack": f"aws-{region}"},
            }
            inputs, faults = provider.check(SECRET, inputs, {}, "", b"")
            assert not faults
            provider.create(SECRET, inputs, frozenset(), f"urn:pulumi:aws-{region}::spillway::{SECRET}::x", False)
    provider.store.close()
    return sandbox


@pytest.fixture
def cert(tmp_path: Path) -> Issued:
    one = fresh()
    (tmp_path / "cert.pem").write_text(bundle(one))
    return one


@pytest.fixture
def run(stacks: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner("secrets", stacks, capsys)


def pushed(answer: tuple[int, str, str]) -> dict[tuple[str, str], str]:
    return {(one["stack"], one["secret"]): one["state"] for one in json.loads(answer[1])["regions"]}


def test_one_pair_and_the_keys_go_everywhere_and_only_once(
    run: Any, containers: Path, cert: Issued, tmp_path: Path
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps([{"name": "web", "hash": "sha256:" + "0a" * 32, "limit": 60}]))
    arguments = [
        "push",
        "--certificate",
        str(tmp_path / "cert.pem"),
        "--api-keys",
        str(tmp_path / "keys.json"),
        "--json",
    ]
    first = run(*arguments)
    assert first[0] == 0
    assert set(pushed(first).values()) == {"pushed"}
    assert len(pushed(first)) == 4
    assert set(pushed(run(*arguments)).values()) == {"unchanged"}
    # spelt otherwise, it is the same: no new version
    (tmp_path / "cert.pem").write_text("Subject: x\n" + bundle(cert).replace("\n", "\r\n"))
    (tmp_path / "keys.json").write_text('[{"hash": "sha256:' + "0a" * 32 + '", "limit": 60, "name": "web"}]')
    assert set(pushed(run(*arguments)).values()) == {"unchanged"}
    (tmp_path / "cert.pem").write_text(bundle(fresh()))
    assert sorted(pushed(run(*arguments)).values()) == ["pushed", "pushed", "unchanged", "unchanged"]


def test_dry_run_pushes_nothing(run: Any, containers: Path, cert: Issued, tmp_path: Path) -> None:
    arguments = ["push", "--certificate", str(tmp_path / "cert.pem"), "--json"]
    for _ in range(2):
        assert set(pushed(run(*arguments, "--dry-run")).values()) == {"would push"}
    assert set(pushed(run(*arguments)).values()) == {"pushed"}


def test_a_region_that_was_never_deployed_is_skipped_and_named_it_is_a_failure(
    run: Any, stacks: Path, containers: Path, cert: Issued, tmp_path: Path
) -> None:
    shutil.copy(
        SHIPPED / "Pulumi.aws-us-east-2.yaml", stacks
    )  # its name is r1.example.com, for which nothing is pushed
    code, out, err = run("push", "--certificate", str(tmp_path / "cert.pem"))
    assert code == 0
    absent = "spillway/aws-us-east-2/certificate: not in the stand-in Secrets Manager, us-east-2, account "
    assert err.startswith(f"spillway: aws-us-east-2 is skipped: {absent}")
    assert err.count("\n") == 1
    assert "aws-us-east-2" not in out
    skipped = run("push", "--certificate", str(tmp_path / "cert.pem"), "--json")
    assert skipped[0] == 0
    assert pushed(skipped)["aws-us-east-2", "certificate"] == "skipped"
    made = run("key", "web")
    assert made[0] == 0
    assert "aws-us-east-2 is skipped: " in made[2]
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([{"name": "web", "hash": "sha256:" + "0a" * 32}]))
    code, out, err = run("push", "--api-keys", str(path), "--stack", "aws-us-east-1", "--stack", "aws-us-east-2")
    assert (code, err) == (1, "")
    assert out.splitlines()[-1] == "not everywhere: aws-us-east-2 failed; the same command goes on where it left off"
    one = run("push", "--certificate", str(tmp_path / "cert.pem"), "--json", "--stack", "aws-us-east-1")
    assert pushed(one) == {("aws-us-east-1", "certificate"): "unchanged"}


def test_weather_that_refuses_one_region_is_told_and_the_next_try_goes_on(
    run: Any, containers: Path, cert: Issued, tmp_path: Path
) -> None:
    (containers / "weather.yaml").write_text(
        "faults: [{kind: fail, operation: create, type: 'aws:secretsmanager/*', times: 1, "
        "message: 'InternalServiceError: try again'}]\n"
    )
    arguments = ["push", "--certificate", str(tmp_path / "cert.pem"), "--json"]
    first = run(*arguments)
    assert first[0] == 1
    assert sorted(pushed(first).values()) == ["failed", "pushed"]
    assert "InternalServiceError: try again" in first[1]
    second = run(*arguments)
    assert second[0] == 0
    assert sorted(pushed(second).values()) == ["pushed", "unchanged"]


def test_a_certificate_that_clients_would_refuse_is_pushed_nowhere(run: Any, containers: Path, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text(bundle(leaf(("other.example.com",))))
    code, out, err = run("push", "--certificate", str(tmp_path / "cert.pem"))
    assert (code, out) == (1, "")
    wanted = "(wanted by aws-us-east-1, aws-us-west-2)"
    assert f"not for llm-us.example.com {wanted}, llm.example.com {wanted}: its names are other.example.com\n" in err
    assert "empty: nodes stay unready" in run("show")[1]


def test_a_certificate_for_one_name_says_which_stack_wants_another_one(
    run: Any, stacks: Path, containers: Path, tmp_path: Path
) -> None:
    (tmp_path / "cert.pem").write_text(bundle(leaf(("llm.example.com", "llm-us.example.com"))))
    path = stacks / "Pulumi.aws-us-west-2.yaml"
    path.write_text(path.read_text().replace("name: llm.example.com", "name: r1.example.com"))
    code, _, err = run("push", "--certificate", str(tmp_path / "cert.pem"))
    assert code == 1, err
    assert "not for r1.example.com (wanted by aws-us-west-2): its names are " in err
    assert err.endswith("; it would do for --stack aws-us-east-1\n")
    assert run("push", "--certificate", str(tmp_path / "cert.pem"), "--stack", "aws-us-east-1")[0] == 0


def test_where_nothing_is_deployed_every_region_is_skipped_and_the_exit_code_is_1(
    run: Any, sandbox: Path, cert: Issued, tmp_path: Path
) -> None:
    code, out, err = run("push", "--certificate", str(tmp_path / "cert.pem"))
    assert code == 1
    assert [line.split(":")[1] for line in err.splitlines()[-2:]] == [
        " aws-us-east-1 is skipped", " aws-us-west-2 is skipped",
    ]  # fmt: skip
    assert "failed" not in out
    assert not sandbox.exists()


def test_a_certificate_near_its_end_is_pushed_with_a_warning_and_shown_with_one(
    run: Any, containers: Path, tmp_path: Path
) -> None:
    (tmp_path / "cert.pem").write_text(bundle(fresh(days=20)))
    code, out, err = run("push", "--certificate", str(tmp_path / "cert.pem"))
    assert code == 0
    assert err.startswith("spillway: warning: the certificate: expires in 20 days, on ")
    assert "(20 days left)" in out
    shown = json.loads(run("show", "--json")[1])
    rows = [row for row in shown["secrets"] if row["secret"] == "certificate"]
    assert [(row["state"], row["daysLeft"]) for row in rows] == [("warning", 20), ("warning", 20)]


def test_show_says_which_region_has_another_certificate(run: Any, containers: Path, tmp_path: Path) -> None:
    for stack in ("aws-us-east-1", "aws-us-west-2"):
        (tmp_path / "cert.pem").write_text(bundle(fresh()))
        assert run("push", "--certificate", str(tmp_path / "cert.pem"), "--stack", stack)[0] == 0
    rows = json.loads(run("show", "--json")[1])["secrets"]
    states = {row["stack"]: (row["state"], row["detail"]) for row in rows if row["secret"] == "certificate"}
    assert states["aws-us-east-1"][0] == "ok"
    assert states["aws-us-west-2"][0] == "warning"
    assert states["aws-us-west-2"][1].startswith("another certificate than aws-us-east-1; ")


def test_show_fails_on_what_clients_meet_as_a_refusal(run: Any, containers: Path, tmp_path: Path) -> None:
    from spillway.secrets.sandbox import StandInSecretsManager

    store = StandInSecretsManager(containers, ACCOUNT, "us-east-1")
    store.write("spillway/aws-us-east-1/api-keys", '[{"name": "x", "hash": "clear text"}]', "api-keys", None)
    code, out, _ = run("show", "--stack", "aws-us-east-1")
    assert code == 1
    assert "[0].hash has to be sha256:" in out, "brackets are text, not markup"
    assert "clear text" not in out


def test_before_the_first_up_there_is_nothing_to_show_and_no_sandbox_is_made(run: Any, sandbox: Path) -> None:
    code, out, _ = run("show", "--json")
    assert code == 0
    assert {row["state"] for row in json.loads(out)["secrets"]} == {"note"}
    assert not sandbox.exists()


def test_a_key_is_printed_once_alone_and_only_its_hash_is_kept(run: Any, containers: Path) -> None:
    from spillway.secrets import keys

    code, out, err = run("key", "web", "--limit", "60")
    assert code == 0
    made = out.strip()
    assert made.startswith("sk-spillway-")
    assert made not in err
    rows = json.loads(run("show", "--json")[1])["secrets"]
    assert [row["keys"] for row in rows if row["secret"] == "api-keys"] == [[{"name": "web", "limit": 60}]] * 2
    assert made not in json.dumps(rows)
    from spillway.secrets.sandbox import StandInSecretsManager

    held = StandInSecretsManager(containers, ACCOUNT, "us-west-2").read("spillway/aws-us-west-2/api-keys").value
    assert held is not None
    assert keys.parse(held) == (keys.ApiKey("web", keys.hash_of(made), 60),)


def test_a_second_key_joins_the_first_and_remove_takes_one_out(run: Any, containers: Path) -> None:
    assert run("key", "web")[0] == 0
    assert run("key", "batch")[0] == 0
    code, _, err = run("key", "web")
    assert code == 1
    assert "aws-us-east-1: web has another key or limit there; --remove it first" in err
    code, out, _ = run("key", "web", "--remove")
    assert (code, out) == (0, "")
    rows = json.loads(run("show", "--json")[1])["secrets"]
    assert [[key["name"] for key in row["keys"]] for row in rows if row["secret"] == "api-keys"] == [["batch"]] * 2


def test_a_region_that_missed_a_key_gets_the_same_one_later(
    run: Any, stacks: Path, containers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run("key", "web", "--stack", "aws-us-east-1")
    assert code == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(out.encode())))
    answer = run("key", "web", "--existing", "--json")
    assert pushed(answer) == {("aws-us-east-1", "api-keys"): "unchanged", ("aws-us-west-2", "api-keys"): "pushed"}
    assert json.loads(answer[1])["key"] is None, "it was not made here"


def test_no_key_is_made_when_no_region_can_take_it(run: Any, sandbox: Path) -> None:
    code, out, err = run("key", "web")
    assert code == 1
    assert out == ""
    assert "sk-spillway" not in err


def test_what_cannot_be_read_as_keys_is_left_alone(run: Any, containers: Path) -> None:
    from spillway.secrets.sandbox import StandInSecretsManager

    store = StandInSecretsManager(containers, ACCOUNT, "us-east-1")
    store.write("spillway/aws-us-east-1/api-keys", "not ours", "api-keys", None)
    answer = run("key", "web", "--json")
    assert answer[0] == 1
    assert pushed(answer) == {("aws-us-east-1", "api-keys"): "failed", ("aws-us-west-2", "api-keys"): "pushed"}
    assert store.read("spillway/aws-us-east-1/api-keys").value == "not ours"


def test_nothing_secret_is_logged_shown_or_printed(
    run: Any, containers: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    one = fresh()
    (tmp_path / "cert.pem").write_text(bundle(one))
    body = "".join(one.key_pem.splitlines()[1:-1])
    seen = run("push", "--certificate", str(tmp_path / "cert.pem"))
    seen += run("push", "--certificate", str(tmp_path / "cert.pem"), "--json")
    made = run("key", "web")[1].strip()
    seen += run("show") + run("show", "--json") + run("key", "web")
    assert main(["sandbox", "show"]) == 0
    assert main(["sandbox", "show", "--json"]) == 0
    told = "".join(map(str, (*seen, *capsys.readouterr(), caplog.text))).replace("\\n", "").replace("\n", "")
    assert "spillway/aws-us-east-1/certificate" in told
    for secret in (body, body[:40], made, made[12:], one.key_pem.splitlines()[1]):
        assert secret not in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["push"], "secrets push: name --certificate FILE, --api-keys FILE, or both"),
        (["push", "--key", "k", "--api-keys", "a"], "secrets push: --key goes with --certificate"),
        (
            ["push", "--certificate", "/none.pem"],
            "--certificate = /none.pem: cannot be read: No such file or directory",
        ),
        (["push", "--api-keys", "/none"], "--api-keys = /none: cannot be read: No such file or directory"),
        (["show", "--stack", "aws-us-east-9"], "--stack aws-us-east-9: no region stack of "),
        (["show", "--profile", "x"], "secrets: --profile x goes without --sandbox"),
        (["key", "two words"], "secrets key: NAME has to be up to 64 letters"),
        (["key", "web", "--remove", "--limit", "3"], "secrets key: --remove goes without"),
    ],
)
def test_wrong_use_is_one_line(run: Any, arguments: list[str], told: str) -> None:
    code, out, err = run(*arguments)
    usage = arguments == ["push"] or ("goes with" in told and "sandbox" not in told)
    assert (code, out) == (2 if usage else 1, "")
    assert err.startswith(f"spillway: {told}")
    assert err.count("\n") == 1


def test_standard_input_serves_one_option(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x")))
    code, _, err = run("push", "--certificate", "-", "--key", "-")
    assert code == 1
    assert "--key = -: standard input is --certificate already" in err


def test_the_certificate_alone_asks_for_its_key(run: Any, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text(fresh().pem)
    _, _, err = run("push", "--certificate", str(tmp_path / "cert.pem"))
    assert "no private key in it (-----BEGIN PRIVATE KEY-----); name its file with --key" in err


def test_preflight_is_content_with_what_was_pushed(
    run: Any, stacks: Path, containers: Path, cert: Issued, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("push", "--certificate", str(tmp_path / "cert.pem"))[0] == 0
    assert run("key", "web")[0] == 0
    main(["preflight", "aws-us-east-1", "--sandbox", "--json", "--stacks", str(stacks)])
    rows = {row["id"]: row["state"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["api-keys"] == rows["certificate"] == "ok"
    assert not {id for id in rows if id.startswith(("certificate.", "api-keys."))}
