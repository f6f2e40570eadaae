"""Plain kubeconfig files are read without the library, any other with it; both say the same."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from task_pipeline.kube.config import NoCluster, connect
from task_pipeline.kube.kubeconfig import read_plain

SERVER = "https://127.0.0.1:6443"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate, `cert.pem`, and its key, `key.pem`."""
    folder = tmp_path_factory.mktemp("pki")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


def write(folder: Path, cluster: dict[str, Any], user: dict[str, Any], **more: Any) -> Path:
    """A kubeconfig with one context."""
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    } | more
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


def encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def test_a_token_and_the_ca_in_the_file(pair: Path, tmp_path: Path) -> None:
    cluster = {"server": f"{SERVER}/", "certificate-authority-data": encoded(pair / "cert.pem")}
    plain = read_plain(write(tmp_path, cluster, {"token": "abc"}))
    assert plain is not None
    assert (plain.server, plain.token) == (SERVER, "abc")
    assert not isinstance(plain.ssl, bool)
    assert plain.ssl.cert_store_stats()["x509"] == 1


def test_names_of_files_are_meant_from_the_folder_of_the_kubeconfig(pair: Path) -> None:
    user = {"client-certificate": "cert.pem", "client-key": "key.pem"}
    plain = read_plain(write(pair, {"server": SERVER, "certificate-authority": "cert.pem"}, user))
    assert plain is not None
    assert plain.token is None


def test_a_server_that_is_not_to_be_checked(tmp_path: Path) -> None:
    plain = read_plain(write(tmp_path, {"server": SERVER, "insecure-skip-tls-verify": True}, {"token": "abc"}))
    assert plain is not None
    assert not isinstance(plain.ssl, bool)
    assert not plain.ssl.check_hostname


def test_a_server_without_tls_gets_none(tmp_path: Path) -> None:
    plain = read_plain(write(tmp_path, {"server": "http://127.0.0.1:8080"}, {}))
    assert plain is not None
    assert plain.ssl is False


@pytest.mark.parametrize(
    ("cluster", "user", "more"),
    [
        pytest.param({"server": SERVER}, {"exec": {"command": "login"}}, {}, id="exec"),
        pytest.param({"server": SERVER}, {"tokenFile": "token"}, {}, id="token-file"),
        pytest.param({"server": SERVER}, {"username": "u", "password": "p"}, {}, id="basic"),
        pytest.param({"server": SERVER, "proxy-url": "http://127.0.0.1:1"}, {"token": "a"}, {}, id="proxy"),
        pytest.param({"server": SERVER, "tls-server-name": "x"}, {"token": "a"}, {}, id="server-name"),
        pytest.param({"server": SERVER, "certificate-authority": "none.pem"}, {"token": "a"}, {}, id="no-such-ca"),
        pytest.param({"server": SERVER, "certificate-authority-data": "%%"}, {"token": "a"}, {}, id="no-base64"),
        pytest.param({"server": SERVER}, {"client-certificate-data": "YQ=="}, {}, id="no-key"),
        pytest.param({"server": SERVER}, {"client-key-data": "YQ=="}, {}, id="no-certificate"),
        pytest.param({"server": SERVER}, {"token": 12345}, {}, id="token-no-text"),
        pytest.param({}, {"token": "a"}, {}, id="no-server"),
        pytest.param({"server": SERVER}, {"token": "a"}, {"current-context": "away"}, id="no-such-context"),
        pytest.param({"server": SERVER}, {"token": "a"}, {"users": None}, id="no-users"),
        pytest.param({"server": SERVER}, {"token": "a"}, {"contexts": "text"}, id="of-other-types"),
    ],
)
def test_everything_else_is_left_to_the_library(
    cluster: dict[str, Any], user: dict[str, Any], more: dict[str, Any], tmp_path: Path
) -> None:
    assert read_plain(write(tmp_path, cluster, user, **more)) is None


@pytest.mark.parametrize("text", ["", "[]", "a: b: c", "\x00"])
def test_what_is_no_kubeconfig_is_left_to_the_library_too(text: str, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    assert read_plain(tmp_path / "kubeconfig") is None


async def test_a_new_token_in_the_file_is_taken_after_a_refusal(tmp_path: Path) -> None:
    cluster = {"server": SERVER, "insecure-skip-tls-verify": True}
    connection = await connect(write(tmp_path, cluster, {"token": "old"}))
    assert await connection.authorization() == {"Authorization": "Bearer old"}
    write(tmp_path, cluster, {"token": "new"})
    assert await connection.authorization() == {"Authorization": "Bearer old"}
    connection.refused()
    assert await connection.authorization() == {"Authorization": "Bearer new"}
    (tmp_path / "kubeconfig").write_text("")
    connection.refused()
    with pytest.raises(NoCluster, match="cannot be read any more"):
        await connection.authorization()


@pytest.mark.parametrize("user", [{"token": "of-elsewhere"}, {"exec": {"command": "login"}}], ids=["token", "exec"])
async def test_another_current_context_changes_nothing_for_who_is_connected(
    user: dict[str, Any], tmp_path: Path
) -> None:
    """As after `kubectl config use-context`: the token of one server is never sent to another."""
    cluster = {"server": "http://127.0.0.1:1"}
    path = write(tmp_path, cluster, {"token": "of-here"})
    connection = await connect(path)
    content = yaml.safe_load(path.read_text())
    content["contexts"].append({"name": "elsewhere", "context": {"cluster": "c", "user": "other"}})
    content["users"].append({"name": "other", "user": user})
    path.write_text(yaml.safe_dump(content | {"current-context": "elsewhere"}))
    assert await connection.authorization() == {"Authorization": "Bearer of-here"}


async def test_several_files_are_told_as_such() -> None:
    with pytest.raises(NoCluster, match="names several files"):
        await connect(Path("/home/me/.kube/config:/home/me/.kube/other"))


async def test_a_token_that_would_break_the_header_is_no_credential(tmp_path: Path) -> None:
    path = write(tmp_path, {"server": "http://127.0.0.1:1"}, {"token": "a\r\nX-Remote-User: admin"})
    connection = await connect(path)
    with pytest.raises(NoCluster, match="no header can carry"):
        await connection.authorization()


def test_the_library_is_not_even_imported_for_a_plain_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"server": "http://127.0.0.1:1"}, {"token": "a"})
    program = (
        "import asyncio, pathlib, sys; from task_pipeline.kube.config import connect; "
        f"asyncio.run(connect(pathlib.Path({str(path)!r}))); print('kubernetes_asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
