"""The user's kubeconfig is found, merged and understood as kubectl does it; what is wrong is told without secrets."""

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from task_pipeline.cli.kubeconfig import Access, access
from task_pipeline.kube.config import NoCluster

SECRET = "s3cret-token"


def write(path: Path, user: dict[str, Any], *, context: str = "c", server: str = "http://s", **cluster: Any) -> Path:
    document = {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": f"ns-{context}"}}],
        "clusters": [{"name": context, "cluster": {"server": server, **cluster}}],
        "users": [{"name": context, "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def found(environ: dict[str, str], kubeconfig: Path | None = None, context: str | None = None) -> Access:
    return asyncio.run(access(kubeconfig, context, environ))


def header(way: Access) -> dict[str, str]:
    return asyncio.run(way.connection.authorization())


def plugin(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def exec_user(command: str, **more: Any) -> dict[str, Any]:
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, **more}}


def test_a_token_and_the_namespace_of_the_context(tmp_path: Path) -> None:
    way = found({"KUBECONFIG": str(write(tmp_path / "k", {"token": SECRET}))})
    assert (way.namespace, way.connection.server) == ("ns-c", "http://s")
    assert header(way) == {"Authorization": f"Bearer {SECRET}"}
    assert SECRET not in way.place


def test_several_files_are_merged_and_the_first_counts(tmp_path: Path) -> None:
    one, two = (
        write(tmp_path / "1", {"token": "one"}, context="a"),
        write(tmp_path / "2", {"token": "two"}, context="b"),
    )
    environ = {"KUBECONFIG": os.pathsep.join([str(tmp_path / "none"), str(one), str(two)])}
    assert found(environ).namespace == "ns-a"
    assert header(found(environ, context="b")) == {"Authorization": "Bearer two"}
    assert found(environ, kubeconfig=two).namespace == "ns-b"


def test_a_token_file_is_found_beside_the_kubeconfig_and_read_anew(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    way = found({"KUBECONFIG": str(write(tmp_path / "k", {"tokenFile": "token"}))})
    assert header(way) == {"Authorization": "Bearer first"}
    (tmp_path / "token").write_text("second")
    way.connection.refused()
    assert header(way) == {"Authorization": "Bearer second"}


def test_a_credential_plugin_is_asked_as_the_protocol_says(tmp_path: Path) -> None:
    told = tmp_path / "told"
    answer = json.dumps({"kind": "ExecCredential", "status": {"token": SECRET}})
    plugin(tmp_path / "login", f"printf %s \"$KUBERNETES_EXEC_INFO|$1|$EXTRA\" > {told}\necho '{answer}'")
    entry = exec_user("./login", args=["get"], env=[{"name": "EXTRA", "value": "e"}], provideClusterInfo=True)
    way = found({"KUBECONFIG": str(write(tmp_path / "k", entry))})
    assert header(way) == {"Authorization": f"Bearer {SECRET}"}
    info, argument, extra = told.read_text().rsplit("|", 2)
    assert (argument, extra) == ("get", "e")
    assert json.loads(info)["spec"] == {"interactive": False, "cluster": {"server": "http://s"}}


def test_a_refused_credential_is_asked_for_again(tmp_path: Path) -> None:
    plugin(
        tmp_path / "login",
        f'echo x >> {tmp_path}/n; echo "{{\\"status\\": {{\\"token\\": \\"$(wc -l < {tmp_path}/n)\\"}}}}"',
    )
    way = found({"KUBECONFIG": str(write(tmp_path / "k", exec_user("./login")))})
    assert header(way)["Authorization"].split() == ["Bearer", "1"]
    way.connection.refused()
    assert header(way)["Authorization"].split() == ["Bearer", "2"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"echo '{SECRET}'", "printed no ExecCredential"),
        ("echo '{\"status\": {}}'", "neither a token nor a certificate"),
        (f"echo {SECRET}; exit 3", "failed with code 3"),
    ],
)
def test_a_plugin_that_does_not_work_is_named_and_not_quoted(tmp_path: Path, script: str, words: str) -> None:
    plugin(tmp_path / "login", script)
    way = found({"KUBECONFIG": str(write(tmp_path / "k", exec_user("./login")))})
    with pytest.raises(NoCluster, match=words) as caught:
        header(way)
    assert SECRET not in str(caught.value)
    assert "login" in str(caught.value)


def test_a_plugin_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    entry = exec_user("no-such-login", installHint="install the cloud's tool")
    way = found({"KUBECONFIG": str(write(tmp_path / "k", entry))})
    with pytest.raises(NoCluster, match=r"no-such-login cannot be started.*install the cloud's tool"):
        header(way)


def test_acting_as_somebody_else(tmp_path: Path) -> None:
    way = found({"KUBECONFIG": str(write(tmp_path / "k", {"token": "t", "as": "jane"}))})
    assert header(way) == {"Authorization": "Bearer t", "Impersonate-User": "jane"}


@pytest.mark.parametrize(
    ("user", "cluster", "words"),
    [
        ({"username": "u", "password": SECRET}, {}, "its user has password, username, which tpctl does not support"),
        ({"token": "t", "as-groups": ["g"]}, {}, "as-groups"),
        ({"token": "t"}, {"tls-server-name": "x"}, "its cluster has tls-server-name"),
        ({"token": "t"}, {"proxy-url": "http://p"}, "proxy-url"),
        ({"token": "t"}, {"server": "ftp://x"}, "no http or https address"),
        ({"exec": {"apiVersion": "v9", "command": "x"}}, {}, "plugin is of v9"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}, {}, "command is missing"),
        ({"client-certificate": "none.pem", "client-key": "none.pem"}, {"server": "https://s"}, "cannot be used"),
    ],
)
def test_what_is_not_supported_or_wrong_is_refused(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], words: str
) -> None:
    path = write(tmp_path / "k", user, **cluster)
    with pytest.raises(NoCluster, match=words) as caught:
        found({"KUBECONFIG": str(path)})
    assert SECRET not in str(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match="does not exist"):
        found({"KUBECONFIG": str(tmp_path / "none")})
    with pytest.raises(NoCluster, match="does not exist"):
        found({}, kubeconfig=tmp_path / "none")
    path = write(tmp_path / "k", {"token": "t"})
    with pytest.raises(NoCluster, match=r"no context 'other'.*known: c"):
        found({"KUBECONFIG": str(path)}, context="other")
    path.write_text("users:\n- name: x\n  user: {token: '" + SECRET + "]\n")
    with pytest.raises(NoCluster, match="no valid YAML at line") as caught:
        found({"KUBECONFIG": str(path)})
    assert SECRET not in str(caught.value)
    path.write_text("clusters: []")
    with pytest.raises(NoCluster, match="no current-context"):
        found({"KUBECONFIG": str(path)})


def test_without_any_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NoCluster, match="set KUBECONFIG, or use --server"):
        found({})
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config", {"token": "t"})
    assert found({}).namespace == "ns-c"
