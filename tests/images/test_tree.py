"""The rendered file tree: the same bytes each time, everything in its place, nothing that a static tool objects to."""

from __future__ import annotations

import configparser
import ipaddress
import json
import re
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import yaml

from images import check, tree, versions
from images.node import Cloud, Serving
from images.programs import front, metadata
from images.render import render_node_json
from tests.unit.test_render import config

CLOUDS: tuple[Cloud, ...] = get_args(Cloud)
PROGRAMS = tree.PROGRAMS


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[Cloud, Path]:
    found = {}
    for cloud in CLOUDS:
        found[cloud] = tmp_path_factory.mktemp(cloud) / "root"
        tree.render(cloud, found[cloud])
    return found


def content(root: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(root)): (
            stat.S_IMODE(path.lstat().st_mode),
            str(path.readlink()) if path.is_symlink() else path.read_text(),
        )
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def unit(root: Path, name: str) -> configparser.RawConfigParser:
    """A unit; of a key that is given several times, the values on lines of their own."""

    class Many(dict[str, str]):
        def __setitem__(self, key: str, value: object) -> None:
            if isinstance(value, list) and key in self:
                value = [*self[key], *value]
            super().__setitem__(key, value)  # type: ignore[assignment]

    parser = configparser.RawConfigParser(strict=False, dict_type=Many, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(root / tree.UNITS / name)
    return parser


# -- rendering


@pytest.mark.parametrize("cloud", CLOUDS)
def test_nothing_static_is_wrong_with_an_image(cloud: Cloud) -> None:
    found = check.run(cloud)
    assert [str(one) for one in found if one.level == "fault"] == []


def test_the_same_source_gives_the_same_tree(trees: dict[Cloud, Path], tmp_path: Path) -> None:
    tree.render("aws", tmp_path)
    assert content(tmp_path) == content(trees["aws"])
    tree.render("aws", tmp_path)  # over itself
    assert content(tmp_path) == content(trees["aws"])
    assert sorted(content(tmp_path)) == [str(path) for path in tree.paths("aws")]


def test_modes_are_kept_whatever_the_umask(trees: dict[Cloud, Path], tmp_path: Path) -> None:
    subprocess.run(
        ["bash", "-c", f"umask 077; {Path(tree.__file__).parents[1]}/.venv/bin/python -c 'from pathlib import Path; "
         f"from images import tree; tree.render(\"aws\", Path(\"{tmp_path}/x\"))'"],
        check=True, cwd=Path(tree.__file__).parents[1],
    )  # fmt: skip
    assert content(tmp_path / "x") == content(trees["aws"])
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o755 for path in (tmp_path / "x").rglob("*") if path.is_dir())


def test_scripts_can_be_executed_and_nothing_else_can(trees: dict[Cloud, Path]) -> None:
    for name, (mode, text) in content(trees["azure"]).items():
        if name.startswith("usr/local/libexec/"):
            assert mode == 0o755
        elif not (trees["azure"] / name).is_symlink():
            assert mode == 0o644, name
        assert "BEGIN PRIVATE KEY" not in text


def test_an_unknown_cloud_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of aws, azure, gcp, tencent"):
        tree.render("oracle", tmp_path)  # type: ignore[arg-type]


def test_the_programs_come_whole_and_run_without_the_rest_of_the_project(trees: dict[Cloud, Path]) -> None:
    app = trees["gcp"] / tree.APP
    for source in PROGRAMS.rglob("*.py"):
        assert (app / source.relative_to(PROGRAMS.parent)).read_text() == source.read_text()
    python = Path(tree.__file__).parents[1] / ".venv/bin/python"
    code = "import images.programs.gate, images.programs.stage, images.programs.engine, images.programs.front, sys; "
    code += "print([m for m in sys.modules if m.split('.')[0] in ('infra', 'spillway', 'sandbox', 'cost')])"
    # -P and another folder: nothing but PYTHONPATH may lead to the programs, as on the node.
    done = subprocess.run(
        [python, "-P", "-c", code],
        cwd="/",
        env={"PYTHONPATH": str(app.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


# -- units


def test_the_target_comes_at_every_boot_and_waits_for_nobody(trees: dict[Cloud, Path]) -> None:
    root = trees["aws"]
    assert (root / tree.UNITS / "multi-user.target.wants/spillway.target").is_symlink()
    # With default dependencies multi-user.target, and so cloud-init's last stage, would wait for the weights.
    assert unit(root, "spillway.target")["Unit"]["DefaultDependencies"] == "no"


def test_the_target_wants_units_that_exist(trees: dict[Cloud, Path]) -> None:
    for cloud, root in trees.items():
        wanted = " ".join(
            re.findall(r"^Wants=(.*)$", (root / tree.UNITS / "spillway.target").read_text(), re.M)
        ).split()
        for name in wanted:
            assert (root / tree.UNITS / name).is_file(), name
        assert ("spillway-lifecycle.service" in wanted) == (cloud == "aws")
        every = {path.name for path in check.unit_files(root)}
        passive = {
            "spillway.target",
            "spillway-drain@.service",
            "spillway-front-drain.service",
            "spillway-lifecycle.service",
        }
        assert every - set(wanted) <= passive


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("spillway-stage.service", {"spillway-storage.service", "network-online.target", "cloud-init.service"}),
        ("vllm.service", {"spillway-stage.service", "nvidia-fabricmanager.service"}),
        ("nginx.service", {"spillway-front.service"}),
        ("spillway-secrets.service", {"spillway-front.service", "network-online.target"}),
        ("spillway-storage.service", {"cloud-init.service"}),
        # The reverse when the machine goes down: these stay until the balancers know.
        ("spillway-shutdown.service", {"vllm.service", "spillway-gate.service", "nginx.service", "network.target"}),
    ],
)
def test_units_come_in_order(trees: dict[Cloud, Path], name: str, after: set[str]) -> None:
    assert after <= set(unit(trees["aws"], name)["Unit"]["After"].split())


def test_no_unit_is_ever_given_up(trees: dict[Cloud, Path]) -> None:
    root = trees["aws"]
    drop_in = unit(root, "spillway-.service.d/10-spillway.conf")
    assert drop_in["Unit"]["StartLimitIntervalSec"] == "0"
    for path in check.unit_files(root):
        if path.suffix != ".service":
            continue
        found = unit(root, path.name)
        if not path.name.startswith("spillway-"):
            assert found["Unit"]["StartLimitIntervalSec"] == "0"
        assert found["Service"]["Restart"] in ("always", "on-failure"), path.name


def test_the_engine_is_restarted_also_when_it_ends_well_and_is_stopped_alone_first(trees: dict[Cloud, Path]) -> None:
    service = unit(trees["gcp"], "vllm.service")["Service"]
    assert service["Restart"] == "always"
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 120 + 8  # AWS' notice, and vLLM's own teardown
    assert (service["LimitMEMLOCK"], service["LimitNOFILE"]) == ("infinity", "1048576")
    assert service["User"] == "vllm"


def test_every_program_runs_from_the_nodes_own_environment(trees: dict[Cloud, Path]) -> None:
    for path in check.unit_files(trees["aws"]):
        for program in re.findall(r"-m images\.programs\.(\w+)", path.read_text()):
            if program != "ray" and program != "telemetry":
                assert (PROGRAMS / f"{program}.py").is_file(), f"{path.name}: {program}"
        for line in re.findall(r"^Exec\w+=.*images\.programs.*$", path.read_text(), re.M):
            assert "/opt/spillway/venv/bin/python -m images.programs." in line


def test_who_may_what(trees: dict[Cloud, Path]) -> None:
    users = {}
    for path in check.unit_files(trees["aws"]):
        if path.suffix == ".service":
            users[path.name] = unit(trees["aws"], path.name)["Service"].get("User", "root")
    assert users["vllm.service"] == users["spillway-ray-head.service"] == "vllm"
    assert users["spillway-gate.service"] == users["spillway-telemetry.service"] == "spillway"
    for name in ("storage", "stage", "secrets", "drain@", "spotwatch", "lifecycle"):
        assert users[f"spillway-{name}.service"] == "root"


def test_the_unit_of_storage_has_no_mount_namespace(trees: dict[Cloud, Path]) -> None:
    text = (trees["aws"] / tree.UNITS / "spillway-storage.service").read_text()
    text += (trees["aws"] / tree.UNITS / "spillway-.service.d/10-spillway.conf").read_text()
    for option in ("Protect", "Private", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "TemporaryFileSystem"):
        assert not re.search(rf"^{option}", text, re.M), option


# -- what the checks catch


def breaks(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("which", "name", "old", "new"),
    [
        (check.units, "etc/systemd/system/vllm.service", "Restart=always", "Restarts=always"),
        (check.units, "etc/systemd/system/vllm.service", "KillMode=mixed", "KillMode=mixd"),
        (check.units, "etc/systemd/system/nginx.service", "Wants=spillway-front", "Requires=spillway-frontt"),
        (check.security, "etc/systemd/system/spillway-gate.service", "SystemCallFilter=", "#"),
        (check.security, "etc/systemd/system/spillway-stage.service", "CapabilityBoundingSet=", "#"),
        (check.shell, "usr/local/libexec/spillway-storage", 'tell ok ""', "tell ok $scratch"),
        (check.shell, "usr/local/libexec/spillway-need", "exit 0\nfi", "exit 0"),
        (check.nginx, "etc/nginx/nginx.conf", "proxy_pass http://engine;", "proxy_passs http://engine;"),
        (check.nginx, "etc/nginx/spillway/engine.conf", "proxy_buffering off;", "proxy_buffering off"),
        (check.user_data, "etc/cloud/cloud.cfg.d/90-spillway.cfg", "preserve_hostname", "preserve_hostnam"),
        (check.templates, "etc/nginx/nginx.conf", "server_tokens off;", "{% if x %}"),
        (check.templates, "opt/spillway/app/images/node.py", "from __future__", "fro __future__"),
    ],
)
def test_a_slip_is_found(tmp_path: Path, which: Callable[[Cloud, Path], object], name: str, old: str, new: str) -> None:
    root = tmp_path / "root"
    tree.render("aws", root)
    try:
        assert list(which("aws", root)) == []  # type: ignore[call-overload]
        root = tmp_path / "broken" / "root"
        tree.render("aws", root)
        breaks(root, name, old, new)
        assert list(which("aws", root)) != []  # type: ignore[call-overload]
    except check.Missing as missing:
        pytest.skip(str(missing))


def test_a_missing_tool_is_said_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images.check.shutil.which", lambda *_, **__: None)
    found = check.run("gcp")
    skipped = {one.check: one.message for one in found if one.level == "skipped"}
    assert set(skipped) == {"shell", "user data", "units", "security", "nginx"}
    assert skipped["units"] == "systemd-analyze is not installed (apt-get install systemd)"
    assert [one for one in found if one.level == "fault"] == []


def test_user_data_with_a_key_that_nobody_expects_is_found(
    monkeypatch: pytest.MonkeyPatch, trees: dict[Cloud, Path]
) -> None:
    monkeypatch.setattr(check, "render_user_data", lambda _: "#cloud-config\nrun_cmd: [[reboot]]\n")
    assert "run_cmd" in str(next(check.user_data("aws", trees["aws"])))


# -- single files


def test_cloud_init_asks_one_cloud_and_leaves_disks_alone(trees: dict[Cloud, Path]) -> None:
    names = {"aws": "Ec2", "azure": "Azure", "gcp": "GCE", "tencent": "ConfigDrive"}
    for cloud, root in trees.items():
        found = yaml.safe_load((root / "etc/cloud/cloud.cfg.d/90-spillway.cfg").read_text())
        assert found["datasource_list"] == [names[cloud], None] or found["datasource_list"] == [names[cloud], "None"]
        assert "write-files" in found["cloud_init_modules"]
        modules = [one for key, value in found.items() if key.endswith("_modules") for one in value]
        assert not {"disk_setup", "mounts", "ssh", "users-groups", "package-update-upgrade-install", "runcmd"} & set(
            modules
        )


def test_the_node_knows_what_it_was_baked_with(trees: dict[Cloud, Path]) -> None:
    found = json.loads((trees["aws"] / "etc/spillway/versions.json").read_text())
    assert found == versions.node_document()
    assert found["driverMinimum"] == "580.65.06"


def test_the_journal_is_bounded_and_tells_the_serial_log(trees: dict[Cloud, Path]) -> None:
    text = (trees["azure"] / "etc/systemd/journald.conf.d/60-spillway.conf").read_text()
    assert "SystemMaxUse=1G" in text
    assert "ForwardToConsole=yes" in text
    # The access log is at info: requests never go to a serial line.
    assert "MaxLevelConsole=notice" in text


def test_what_needs_another_waits_for_its_state(trees: dict[Cloud, Path], tmp_path: Path) -> None:
    need = trees["aws"] / "usr/local/libexec/spillway-need"

    def asks() -> tuple[int, str]:
        done = subprocess.run(
            [need, "scratch"], env={"SPILLWAY_RUN": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr.strip()

    assert asks() == (1, "scratch: not there yet")
    (tmp_path / "scratch.json").write_text('{"state": "failed", "reason": "no \\"space\\"", "since": 1}\n')
    assert asks() == (1, 'scratch: no \\"space\\"')
    (tmp_path / "scratch.json").write_text('{"state": "ok", "reason": "", "since": 1}\n')
    assert asks() == (0, "")


@pytest.mark.parametrize(
    ("restarts", "slept"), [("0", ""), ("1", "5"), ("2", "10"), ("4", "40"), ("30", "300"), ("", ""), ("x", "")]
)
def test_starts_that_fail_are_tried_again_ever_more_slowly(
    trees: dict[Cloud, Path], tmp_path: Path, restarts: str, slept: str
) -> None:
    for name, body in (("systemctl", f"echo {restarts}"), ("sleep", f'echo "$1" > {tmp_path}/slept')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    script = trees["aws"] / "usr/local/libexec/spillway-back-off"
    subprocess.run(
        [script, "spillway-stage.service", "5", "300"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True
    )
    found = tmp_path / "slept"
    assert (found.read_text().strip() if found.exists() else "") == slept


ENGINE_UNITS = ("vllm.service", "spillway-ray-head.service", "spillway-ray-worker.service")


@pytest.mark.parametrize("name", ENGINE_UNITS)
def test_what_runs_the_engine_has_its_gpus_devices_and_not_the_nodes_role(trees: dict[Cloud, Path], name: str) -> None:
    service = unit(trees["aws"], name)["Service"]
    before = service["ExecStartPre"].split("\n")
    # By root outside of the sandbox, where no capability and no setuid is; no fault where there is no such program.
    assert before[0] == "-+/usr/bin/nvidia-modprobe -c0 -u"
    assert service.get("PrivateDevices", "no") == "no"
    assert service.get("DevicePolicy", "auto") == "auto"
    denied = [ipaddress.ip_network(one) for one in service["IPAddressDeny"].split()]
    for address in (*metadata.SERVICE, "169.254.0.23", "168.63.129.16"):  # Tencent Cloud's, and Azure's host
        assert any(ipaddress.ip_address(address) in one for one in denied)
    assert not any(ipaddress.ip_address(other) in one for other in ("127.0.0.1", "10.0.0.7", "::1") for one in denied)
    assert before[-1] == "!/opt/spillway/venv/bin/python -m images.programs.metadata %n"


@pytest.mark.parametrize(("load_format", "opened"), [("stage", False), ("stream", True)])
def test_only_an_engine_that_reads_from_the_store_gets_to_the_metadata_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_format: str, opened: bool
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\ntest ! -e {tmp_path}/refuses\n')
    systemctl.chmod(0o755)
    told = json.loads(render_node_json(config()))
    told["model"]["loadFormat"] = load_format
    (tmp_path / "node.json").write_text(json.dumps(told))
    for variable, value in {"SYSTEMCTL": systemctl, "NODE": tmp_path / "node.json"}.items():
        monkeypatch.setenv(f"SPILLWAY_{variable}", str(value))
    monkeypatch.setattr("sys.argv", ["metadata", "vllm.service"])
    assert metadata.main() == 0
    calls = tmp_path / "calls"
    assert calls.exists() == opened
    if opened:
        wanted = "IPAddressAllow=169.254.169.254 fd00:ec2::254 fd20:ce::254"
        assert calls.read_text() == f"set-property --runtime vllm.service {wanted}\n"
        (tmp_path / "refuses").touch()
        assert metadata.main() == 1  # it could not read its weights


# -- front


def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> dict[str, str]:
    monkeypatch.setenv("SPILLWAY_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("SPILLWAY_NODE", str(tmp_path / "node.json"))
    (tmp_path / "run").mkdir(exist_ok=True)
    if text is not None:
        (tmp_path / "node.json").write_text(text)
    monkeypatch.setattr("sys.argv", ["front", "configure"])
    assert front.main() == 0
    return {path.name: path.read_text() for path in (tmp_path / "run/nginx").iterdir()}


def test_ports_and_names_come_from_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = Serving(name="llm.example.com", port=8443, probe_port=8080, ready_path="/r", live_path="/l")
    found = configure(tmp_path, monkeypatch, render_node_json(config(serving=serving)))
    assert "listen 8443 ssl http2" in found["listen.conf"]
    assert "server_name llm.example.com;" in found["listen.conf"]
    assert "location = /r { proxy_pass http://gate/readyz;" in found["probes.conf"]
    assert "listen 8080 " in found["probe-server.conf"]


@pytest.mark.parametrize("text", [None, "", "{}", "nonsense"])
def test_without_a_configuration_nginx_comes_up_to_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    found = configure(tmp_path, monkeypatch, text)
    assert "listen 443 ssl" in found["listen.conf"]
    assert found["probe-server.conf"] == ""


@pytest.mark.parametrize("path", ["/x; }", "/v1/models", "readyz", "/a b", "/x{", '/"', "/x\n"])
def test_a_path_that_nginx_could_misread_never_reaches_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    found = configure(tmp_path, monkeypatch, render_node_json(config(serving=Serving(name="x", ready_path=path))))
    assert "location = /readyz {" in found["probes.conf"]


def test_a_name_that_nginx_could_misread_never_reaches_its_configuration() -> None:
    assert "server_name _;" in front.listen(Serving(name="a; } evil"))
    assert "server_name _;" in front.listen(Serving(name="a\n"))


def test_one_path_for_routing_and_replacing_is_refused() -> None:
    with pytest.raises(ValueError, match="readyPath and livePath are both /healthz"):
        Serving(name="x", ready_path="/healthz", live_path="/healthz")


def test_a_certificate_is_there_before_the_real_one_and_never_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, monkeypatch, None)
    key, certificate = tmp_path / "run/tls/key.pem", tmp_path / "run/tls/certificate.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    first = certificate.read_text()
    configure(tmp_path, monkeypatch, None)
    assert certificate.read_text() == first
    assert sorted(path.name for path in key.parent.iterdir()) == ["certificate.pem", "key.pem"]


def test_keep_alive_goes_with_the_drain_and_comes_back_when_it_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, monkeypatch, None)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("SPILLWAY_SYSTEMCTL", str(systemctl))
    conf, drain = tmp_path / "run/nginx/keepalive.conf", tmp_path / "run/drain.json"
    drain.write_text('{"state": "draining"}')
    process = subprocess.Popen(
        [str(Path(tree.__file__).parents[1] / ".venv/bin/python"), "-m", "images.programs.front", "drain"],
        cwd=Path(tree.__file__).parents[1],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            if "keepalive_timeout 0;" in conf.read_text() and (tmp_path / "calls").exists():
                break
            time.sleep(0.1)
        assert "keepalive_timeout 0;" in conf.read_text()
        drain.unlink()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    assert "keepalive_timeout 65s;" in conf.read_text()
    assert (tmp_path / "calls").read_text().splitlines() == ["reload --no-block nginx.service"] * 2
