"""A real kube-apiserver takes the objects of collectors/kubernetes/collector, and knows every field of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.peer.kubernetes_cluster import Cluster

pytestmark = [pytest.mark.peer, pytest.mark.network, pytest.mark.slow]

FOLDER = Path(__file__).parents[3] / "collectors" / "kubernetes" / "collector"
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Service": "/api/v1/namespaces/greenops/services",
    "StatefulSet": "/apis/apps/v1/namespaces/greenops/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/greenops/daemonsets",
    "ConfigMap": "/api/v1/namespaces/greenops/configmaps",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = Cluster(tmp_path_factory.mktemp("kubernetes"))
    yield made
    made.close()


def objects() -> list[dict[str, Any]]:
    """As kustomize makes them, but for the hash behind a ConfigMap's name."""
    whole = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    found = [
        each
        for name in whole["resources"]
        for each in yaml.safe_load_all((FOLDER / name).read_text())
    ]
    for each in whole["configMapGenerator"]:
        data = {Path(name).name: (FOLDER / name).read_text() for name in each["files"]}
        head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": each["name"]}}
        found.append({**head, "data": data})
    return found


def test_the_api_server_takes_each_object_and_knows_every_field(cluster: Any) -> None:
    for each in objects():
        path = PATHS[each["kind"]] + "?fieldValidation=Strict"

        answer = cluster.ask("POST", path, each)

        assert answer["kind"] == each["kind"], answer


def test_a_field_that_is_misspelt_is_refused(cluster: Any) -> None:
    wrong = next(each for each in objects() if each["kind"] == "Namespace")
    wrong["metadata"]["lables"] = {}

    answer = cluster.ask("POST", PATHS["Namespace"] + "?fieldValidation=Strict", wrong)

    assert answer["kind"] == "Status"
    assert "lables" in answer["message"]
