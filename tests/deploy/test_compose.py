"""The compose file and the image's recipe: accepted by the program that reads them, and true about this project."""

import re
import subprocess
from pathlib import Path

import yaml

from server.settings import Settings

ROOT = Path(__file__).parents[2]


def composed() -> dict[str, dict[str, object]]:
    command = ["docker-compose", "config"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert answer.returncode == 0, answer.stderr
    services: dict[str, dict[str, object]] = yaml.safe_load(answer.stdout)["services"]
    return services


def variables() -> set[str]:
    """What the settings read from the environment."""
    fields = Settings.model_fields.items()
    return {str(field.validation_alias or f"THROTTLECOVE_{name.upper()}") for name, field in fields}


def test_compose_accepts_it_and_every_variable_is_a_setting() -> None:
    services = composed()
    assert set(services) == {"one", "two", "worker", "migrate", "nginx", "postgres", "redis"}
    for name in ("one", "two", "worker", "migrate"):
        environment = services[name]["environment"]
        assert isinstance(environment, dict)
        assert set(environment) <= variables(), name


def test_the_nodes_of_compose_are_those_of_nginx() -> None:
    text = (ROOT / "deploy/nginx/nginx.conf").read_text("utf-8")
    services = composed()
    named = set(re.findall(r"server (\w+):8000", text))
    assert named == {name for name, service in services.items() if "THROTTLECOVE_NODE_NAME" in str(service)}
    for name in named:
        assert f"~^{name}\\. node_{name};" in text
        assert f"'THROTTLECOVE_NODE_NAME': '{name}'" in str(services[name])


def test_everything_that_the_image_copies_is_there_and_sent_to_the_builder() -> None:
    recipe = (ROOT / "Dockerfile").read_text("utf-8")
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", recipe, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in sent, source
    assert re.search(r"^USER throttlecove$", recipe, re.MULTILINE)
