"""sample_app/deploy: the manifests, and that the commands in them run as written.

There is no Docker here: what an image would run is run on this machine, with the
environment that the manifests give it and the databases of the tests.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from filelock import FileLock

from tests.support.mongo.members import Member, free_port
from tests.support.mongo.mongosh_cli import mongosh

from .manifests import (
    DEPLOY,
    ROOT,
    container_of,
    pod_of,
    read_image,
    read_yaml,
    variables_of,
)

__all__ = ["mongosh"]

IMAGE = read_image()
JOB = read_yaml("kubernetes/migrate-job.yaml")
DEPLOYMENT = read_yaml("kubernetes/deployment.yaml")
COMPOSE = read_yaml("docker-compose.yml")
WORKLOADS = pytest.mark.parametrize(
    "manifest", [JOB, DEPLOYMENT], ids=["job", "deployment"]
)
URLS = ("DATABASE_URL", "MONGO_URI")


@pytest.fixture
def urls(postgres_url: str, mongo_url: str) -> dict[str, str]:
    """What the secret holds: two empty databases."""
    return {"DATABASE_URL": postgres_url, "MONGO_URI": mongo_url}


@pytest.fixture
def port() -> Iterator[int]:
    """The port of the container, for one test at a time."""
    (found,) = container_of(DEPLOYMENT)["ports"]
    with FileLock(Path(gettempdir()) / "dualmigrate-tests-port.lock"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", found["containerPort"]))
            except OSError:
                pytest.skip(f"somebody else uses port {found['containerPort']}")
        yield found["containerPort"]


def environment(*more: dict[str, str]) -> dict[str, str]:
    """Return the environment of a container: the image's, then the manifest's."""
    ours = {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH"}
    env = {key: value for key, value in os.environ.items() if key in ours}
    # Where `flask`, `gunicorn` and `python` of this very interpreter are.
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    for each in (IMAGE.environment, *more):
        env.update(each)
    return env


@contextmanager
def started(
    words: list[str], env: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run words as a container's first process; its children end with it."""
    with log.open("w") as file:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def probe(kind: str, port: int) -> tuple[int, dict[str, Any]]:
    """Send a probe as the Deployment has it; (0, {}) where nobody listens."""
    container = container_of(DEPLOYMENT)
    http = container[kind]["httpGet"]
    names = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert names[http["port"]] == port
    url = f"http://127.0.0.1:{port}{http['path']}"
    try:
        with urlopen(url, timeout=container[kind]["timeoutSeconds"]) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)
    except URLError:
        return 0, {}


def until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + 60
    while probe("readinessProbe", port)[0] != 200:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.1)


def run_job(urls: dict[str, str]) -> subprocess.CompletedProcess[str]:
    container = container_of(JOB)
    return subprocess.run(
        container["command"],
        cwd=ROOT,
        env=environment(variables_of(container), urls),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_job_migrates_and_the_deployment_serves_after_it_and_not_before(
    urls: dict[str, str], port: int, tmp_path: Path
) -> None:
    web = container_of(DEPLOYMENT)
    env, log = environment(variables_of(web), urls), tmp_path / "web.log"
    with started(web["command"], env, log) as early:
        assert early.wait(timeout=60) != 0
    assert "The databases are behind this code: " in log.read_text()

    done = run_job(urls)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["steps"]
    revisions = (ROOT / "sample_app/migrations/revisions.lock").read_text()
    assert {step["revision"] for step in steps} == set(
        re.findall(r"^[0-9a-f]{12}", revisions, re.MULTILINE)
    )
    assert json.loads(run_job(urls).stdout)["steps"] == []

    with started(web["command"], env, log) as process:
        until_ready(process, port, log)
        assert probe("readinessProbe", port) == (
            200,
            {
                "ready": True,
                "why": None,
                "pending": [],
                "half_done": [],
                "ahead": [],
                "paired": True,
            },
        )
        assert probe("livenessProbe", port) == (200, {"live": True})
        with urlopen(f"http://127.0.0.1:{port}/api/users", timeout=10) as answer:
            assert json.load(answer) == {"users": []}
        assert "Warning" not in log.read_text()


def test_the_image_upgrades_then_serves_and_its_health_check_agrees(
    urls: dict[str, str], port: int, tmp_path: Path
) -> None:
    log = tmp_path / "image.log"
    env = environment({"DB_TYPE": "both"}, urls)
    with started([*_entrypoint(), *IMAGE.command], env, log) as process:
        until_ready(process, port, log)
        kind, *check = COMPOSE["services"]["app"]["healthcheck"]["test"]
        assert kind == "CMD"
        assert subprocess.run(check, env=env, timeout=30).returncode == 0
        # It has become gunicorn: signals of the container reach the server itself.
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert "Upgraded " in log.read_text()
    assert (
        subprocess.run(check, env=env, timeout=30, stderr=subprocess.DEVNULL).returncode
        != 0
    )


def _entrypoint() -> list[str]:
    """Return the image's entrypoint, as a file of ours."""
    (inside,) = IMAGE.entrypoint
    (source,) = [source for source, target in IMAGE.copied if target == inside]
    return [str(ROOT / source)]


def test_a_container_that_is_stopped_while_it_upgrades_passes_the_signal_on(
    tmp_path: Path,
) -> None:
    log, nowhere = tmp_path / "image.log", "127.0.0.1:9/nowhere"
    env = environment(
        {"DB_TYPE": "mongo", "MONGO_URI": f"mongodb://{nowhere}"},
    )
    with started([*_entrypoint(), "echo", "serving"], env, log) as process:
        give_up = time.monotonic() + 60
        while "Waiting for MongoDB" not in log.read_text():
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert "serving" not in log.read_text()


@pytest.mark.parametrize("code", [0, 3])
def test_the_entrypoint_goes_on_only_after_an_upgrade(
    tmp_path: Path, code: int
) -> None:
    """`flask` is one that only ends, with a code."""
    (tmp_path / "flask").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "flask").chmod(0o755)
    env = {**environment(), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*_entrypoint(), "echo", "serving"], env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (code, "" if code else "serving\n")


def test_a_container_that_is_stopped_when_its_upgrade_is_all_but_done_serves_nothing(
    tmp_path: Path,
) -> None:
    """`flask` is one that has nothing left to stop for, and ends well."""
    (tmp_path / "flask").write_text(
        "#!/bin/sh\ntrap 'exit 0' TERM\necho upgrading\n"
        "while true; do sleep 0.1; done\n"
    )
    (tmp_path / "flask").chmod(0o755)
    env = {**environment(), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    log = tmp_path / "image.log"
    with started([*_entrypoint(), "echo", "serving"], env, log) as process:
        give_up = time.monotonic() + 60
        while "upgrading" not in log.read_text():
            assert time.monotonic() < give_up
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert "serving" not in log.read_text()


def test_the_deployment_runs_what_the_image_would_run_after_its_entrypoint() -> None:
    assert container_of(DEPLOYMENT)["command"] == IMAGE.command
    assert container_of(DEPLOYMENT)["image"] == container_of(JOB)["image"]


def test_all_that_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for source, _ in IMAGE.copied:
        assert (ROOT / source).exists()
        assert f"!{source.split('/')[0]}" in ignored


@WORKLOADS
def test_a_workload_has_its_urls_from_a_secret_and_holds_none(
    manifest: dict[str, Any],
) -> None:
    container = container_of(manifest)
    assert container["envFrom"] == [{"secretRef": {"name": "sample-app-databases"}}]
    assert variables_of(container).keys().isdisjoint(URLS)
    assert "://" not in json.dumps(manifest)


@WORKLOADS
def test_a_workload_runs_as_nobody_who_may_change_the_image(
    manifest: dict[str, Any],
) -> None:
    user = pod_of(manifest)["securityContext"]
    assert user["runAsNonRoot"] is True
    assert IMAGE.user == f"{user['runAsUser']}:{user['runAsUser']}"
    inside = container_of(manifest)["securityContext"]
    assert inside["readOnlyRootFilesystem"] is True
    assert inside["allowPrivilegeEscalation"] is False


@WORKLOADS
def test_a_workload_is_what_its_api_takes(manifest: dict[str, Any]) -> None:
    kind = {"Job": "batch/v1", "Deployment": "apps/v1"}
    assert manifest["apiVersion"] == kind[manifest["kind"]]
    assert manifest["metadata"].keys() & {"name", "generateName"}
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    chosen = manifest["spec"].get("selector", {}).get("matchLabels", {})
    assert chosen.items() <= labels.items()
    volumes = {each["name"] for each in pod_of(manifest).get("volumes", ())}
    mounts = container_of(manifest).get("volumeMounts", ())
    assert {each["name"] for each in mounts} == volumes


def test_the_job_ends_and_leaves_the_upgrade_time_to_stop() -> None:
    spec, pod = JOB["spec"], pod_of(JOB)
    command = container_of(JOB)["command"]
    wait_s = int(command[command.index("--wait") + 1])
    assert pod["restartPolicy"] == "Never"
    assert spec["backoffLimit"] > 0
    assert spec["activeDeadlineSeconds"] > wait_s * (spec["backoffLimit"] + 1)
    assert pod["terminationGracePeriodSeconds"] >= 30
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container_of(JOB)["name"]


def test_the_image_has_the_pg_dump_of_the_servers_version() -> None:
    version = COMPOSE["services"]["postgres"]["image"].partition(":")[2]
    assert f"postgresql-client-{version} " in (DEPLOY / "Dockerfile").read_text()


def test_backups_go_to_a_volume() -> None:
    key = "FLASK_DUALMIGRATE_BACKUP_DIR"
    app = COMPOSE["services"]["app"]
    assert f"backups:{app['environment'][key]}" in app["volumes"]
    container, claim = container_of(JOB), read_yaml("kubernetes/backups-claim.yaml")
    (mount,) = container["volumeMounts"]
    (volume,) = pod_of(JOB)["volumes"]
    assert variables_of(container)[key].startswith(f"{mount['mountPath']}/")
    claimed = volume["persistentVolumeClaim"]["claimName"]
    assert claimed == claim["metadata"]["name"]
    user = pod_of(JOB)["securityContext"]
    assert user["fsGroup"] == user["runAsUser"]


def test_the_compose_file_wires_the_app_to_both_databases() -> None:
    services = COMPOSE["services"]
    app = services["app"]
    folder = DEPLOY / app["build"]["context"]
    assert folder.resolve() == ROOT
    assert (folder / app["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert set(app["depends_on"]) == {"postgres", "mongo"} < services.keys()
    assert "@postgres:5432/" in app["environment"]["DATABASE_URL"]
    assert "//mongo:27017/" in app["environment"]["MONGO_URI"]
    for service in services.values():
        for mount in service.get("volumes", ()):
            assert mount.partition(":")[0] in COMPOSE["volumes"]
    words = (DEPLOY / "docker-compose.yml").read_text()
    assert set(re.findall(r"PASSWORD: (.*)", words)) == {
        "${POSTGRES_PASSWORD:?is not set}"
    }


def test_the_health_check_of_mongodb_makes_a_replica_set_with_a_primary(
    mongosh: Path, tmp_path: Path
) -> None:
    service = COMPOSE["services"]["mongo"]
    name = re.search(r"--replSet=(\w+)", " ".join(service["command"]))
    assert name is not None
    kind, program, *words = service["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "mongosh")
    member = Member(tmp_path, 0, free_port(), of_set=name[1])
    member.start()
    try:
        # As in the container, but for the host and the port.
        words[-1] = words[-1].replace("mongo:27017", f"127.0.0.1:{member.port}")
        command = [str(mongosh), "--norc", f"--port={member.port}", *words]
        codes: list[int] = []
        while 0 not in codes and len(codes) < 20:
            codes.append(
                subprocess.run(
                    command, stdout=subprocess.DEVNULL, timeout=60
                ).returncode
            )
        assert codes[-1] == 0
        assert member.is_well()
    finally:
        member.kill()
