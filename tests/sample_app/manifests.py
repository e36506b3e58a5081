"""The files of sample_app/deploy as values: YAML, and the few words of a Dockerfile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "sample_app" / "deploy"


def read_yaml(name: str) -> dict[str, Any]:
    """Return the one document of a file."""
    document = yaml.safe_load((DEPLOY / name).read_text())
    assert isinstance(document, dict)
    return document


@dataclass(frozen=True)
class Image:
    """What a Dockerfile says of a container.

    entrypoint, command: words. environment: of ENV. copied: our files that go into it,
    each with where it goes. user: of its processes.
    """

    entrypoint: list[str]
    command: list[str]
    environment: dict[str, str]
    copied: list[tuple[str, str]]
    user: str


def read_image() -> Image:
    """Return what the last stage says, and the sources of all."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    said = [line.split(maxsplit=1) for line in lines if line and line[0] != "#"]
    last = dict(said)
    variables = [rest.partition("=") for word, rest in said if word == "ENV"]
    return Image(
        entrypoint=json.loads(last["ENTRYPOINT"]),
        command=json.loads(last["CMD"]),
        environment={name: value for name, _, value in variables},
        copied=[pair for word, rest in said if word == "COPY" for pair in _copy(rest)],
        user=last["USER"],
    )


def _copy(rest: str) -> list[tuple[str, str]]:
    """Return source and target of each of our files that a COPY names."""
    *words, target = rest.split()
    if any(word.startswith("--from=") for word in words):
        return []
    return [(word, target) for word in words if not word.startswith("--")]


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the pod that a Job or a Deployment makes."""
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def container_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the only container of its pod."""
    (container,) = pod_of(manifest)["containers"]
    assert isinstance(container, dict)
    return container


def variables_of(container: dict[str, Any]) -> dict[str, str]:
    """Return the environment that a container's manifest spells out."""
    return {each["name"]: each["value"] for each in container.get("env", ())}
