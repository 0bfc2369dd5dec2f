"""A run on Kubernetes: the Dask operator's cluster, the configuration, and a job for the driver."""

from __future__ import annotations

from typing import Any, final

import yaml

from entropic.batch.file import ClusterFile
from entropic.batch.sections import KubernetesSection

__all__ = ["manifests"]

_PORT = 8786
_TLS = "/tls"


@final
class _Plain(yaml.SafeDumper):  # type: ignore[misc]
    """YAML for people: no anchors, and texts of several lines as they are."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def manifests(
    cluster: ClusterFile, run: str, config: str, chunks: tuple[int, ...] | None = None, plain_tcp: bool = False
) -> str:
    """YAML documents for ``kubectl apply``: configuration, cluster, driver.

    The driver goes on from the run's newest checkpoint if there is one, so a pod that is lost is simply started anew.
    """
    own = _own(cluster)
    name = run.rstrip("/").rpartition("/")[2].lower().replace("_", "-").replace(".", "-")
    meta = {"name": name, "namespace": own.namespace}
    scheme = "tcp" if plain_tcp else "tls"
    address = f"{scheme}://{name}-scheduler.{own.namespace}.svc:{_PORT}"
    place = run if run.startswith("/") else f"{own.mount.rstrip('/')}/{run}"
    secured = not plain_tcp
    documents: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config.toml": config}},
        {
            "apiVersion": "kubernetes.dask.org/v1",
            "kind": "DaskCluster",
            "metadata": meta,
            "spec": {
                "scheduler": {
                    "spec": _pod(cluster, _scheduler(cluster, scheme), secured),
                    "service": _service(name),
                },
                "worker": {
                    "replicas": cluster.workers.count,
                    "spec": _pod(cluster, _worker(cluster, address), secured),
                },
            },
        },
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {**meta, "name": f"{name}-driver"},
            "spec": {"backoffLimit": 6, "template": {"spec": _driver(cluster, name, address, place, chunks)}},
        },
    ]
    return str(yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=110, explicit_start=True))


def _own(cluster: ClusterFile) -> KubernetesSection:
    assert isinstance(cluster.own, KubernetesSection)
    return cluster.own


def _python(cluster: ClusterFile, module: str, *arguments: str) -> list[str]:
    return [_own(cluster).python, "-m", module, *arguments]


def _tls(plain_tcp: bool) -> list[str]:
    if plain_tcp:
        return []
    return ["--tls-ca-file", f"{_TLS}/ca.pem", "--tls-cert", f"{_TLS}/ca.pem", "--tls-key", f"{_TLS}/key.pem"]


def _scheduler(cluster: ClusterFile, scheme: str) -> dict[str, Any]:
    command = _python(
        cluster,
        "distributed.cli.dask_scheduler",
        *("--protocol", scheme, "--interface", "eth0", "--port", str(_PORT)),
        *("--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
        *_tls(scheme == "tcp"),
    )
    ready = {"tcpSocket": {"port": "tcp-comm"}, "initialDelaySeconds": 5, "periodSeconds": 10}
    return {
        "name": "scheduler",
        "command": command,
        "ports": [{"name": "tcp-comm", "containerPort": _PORT, "protocol": "TCP"}],
        "readinessProbe": ready,
        "livenessProbe": ready,
    }


def _worker(cluster: ClusterFile, address: str) -> dict[str, Any]:
    workers = cluster.workers
    command = _python(
        cluster,
        "entropic.engine.cluster_worker",
        address,
        *("--name", "$(DASK_WORKER_NAME)", "--interface", "eth0"),
        *("--nthreads", str(workers.threads), "--memory-limit", str(workers.memory_bytes)),
        *_tls(address.startswith("tcp")),
    )
    quantity = {"cpu": str(workers.threads), "memory": str(workers.memory_bytes)}
    return {"name": "worker", "command": command, "resources": {"requests": quantity, "limits": quantity}}


def _pod(cluster: ClusterFile, container: dict[str, Any], secured: bool) -> dict[str, Any]:
    """A pod of one container, with the image, the run's volume and the certificates."""
    own = _own(cluster)
    mounts = [{"name": "runs", "mountPath": own.mount}]
    volumes: list[dict[str, Any]] = [{"name": "runs", "persistentVolumeClaim": {"claimName": own.volume}}]
    if secured:
        mounts.append({"name": "tls", "mountPath": _TLS})
        volumes.append({"name": "tls", "secret": {"secretName": own.secret, "defaultMode": 0o440}})
    return {"containers": [{**container, "image": own.image, "volumeMounts": mounts}], "volumes": volumes}


def _service(name: str) -> dict[str, Any]:
    return {
        "type": "ClusterIP",
        "selector": {"dask.org/cluster-name": name, "dask.org/component": "scheduler"},
        "ports": [{"name": "tcp-comm", "protocol": "TCP", "port": _PORT, "targetPort": "tcp-comm"}],
    }


def _driver(
    cluster: ClusterFile, name: str, address: str, place: str, chunks: tuple[int, ...] | None
) -> dict[str, Any]:
    where = f"--scheduler {address}" + (f" --chunks {','.join(map(str, chunks))}" if chunks else "")
    program = f"{_own(cluster).python} -m entropic.cli"
    shell = (
        f"if [ -d {place}/checkpoints ]; then exec {program} resume {place} {where}; fi; "
        f"exec {program} run /config/config.toml --out {place} {where}"
    )
    secured = address.startswith("tls")
    settings = {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": f"{_TLS}/ca.pem",
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": f"{_TLS}/ca.pem",
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": f"{_TLS}/key.pem",
    }
    environment = [{"name": key, "value": value} for key, value in settings.items()] if secured else []
    container = {"name": "driver", "command": ["/bin/sh", "-c", shell], "env": environment}
    pod = _pod(cluster, container, secured)
    pod["containers"][0]["volumeMounts"].append({"name": "config", "mountPath": "/config"})
    pod["volumes"].append({"name": "config", "configMap": {"name": name}})
    return {"restartPolicy": "OnFailure", **pod}
