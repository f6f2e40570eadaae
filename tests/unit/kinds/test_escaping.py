"""What users write reaches the container byte for byte, through the expansion that Kubernetes applies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.core.workload import Manifest
from task_pipeline.kinds._pods import escape
from tests.unit.kinds.builders import launch, shell


def expand(text: str, variables: dict[str, str]) -> str:
    """The expansion of commands, arguments and values: `$$` is `$`, `$(NAME)` a known variable or itself."""
    source, out, at = text.encode(), bytearray(), 0
    while at < len(source):
        byte = source[at : at + 1]
        following = source[at + 1 : at + 2]
        if byte != b"$" or not following:
            out += byte
            at += 1
        elif following == b"$":
            out += b"$"
            at += 2
        elif following == b"(" and b")" in source[at:]:
            end = source.index(b")", at)
            name = source[at + 2 : end].decode()
            out += variables.get(name, f"$({name})").encode()
            at = end + 1
        else:
            # Kubernetes takes the byte after `$` for a character, which breaks one of several bytes.
            out += b"$" + chr(following[0]).encode()
            at += 2
    return out.decode(errors="replace")


def arrived(container: Manifest, variables: dict[str, str]) -> Manifest:
    """Command, arguments and environment as the container gets them."""
    return {
        "command": [expand(text, variables) for text in container.get("command", [])],
        "args": [expand(text, variables) for text in container.get("args", [])],
        "env": {one["name"]: expand(one["value"], variables) for one in container.get("env", [])},
    }


TEXT = st.text(st.sampled_from("$()AB é\n{}%`\"'\\")) | st.text(st.characters(exclude_characters="\x00", codec="utf-8"))
VARIABLES = st.dictionaries(st.sampled_from(["A", "B", "AB", ""]), st.text(max_size=5))


def test_the_reference_expands_as_kubernetes_does() -> None:
    assert expand("$(A) $$(A) $(B) $A $ $$", {"A": "1"}) == "1 $(A) $(B) $A $ $"
    assert expand("$é", {}) != "$é"
    assert expand("$(A", {"A": "1"}) == "$(A"


@given(TEXT, VARIABLES)
def test_b090_expansion_gives_back_what_was_escaped(text: str, variables: dict[str, str]) -> None:
    assert expand(escape(text), variables) == text


@given(st.lists(TEXT.filter(bool), min_size=1, max_size=3), VARIABLES)
def test_b090_commands_arguments_and_values_arrive_unchanged(texts: list[str], variables: dict[str, str]) -> None:
    for kind, params in (
        ("Shell", {"command": texts, "args": texts}),
        ("K8S/Job", {"command": texts, "args": texts}),
        ("K8S/Deployment", {"name": "web", "command": texts, "args": texts}),
    ):
        manifest = launch(kind, {"image": "i", "env": {"X": texts[0]}, **params}).manifest
        spec = manifest["spec"] if kind == "Shell" else manifest["spec"]["template"]["spec"]
        assert arrived(spec["containers"][0], variables) == {"command": texts, "args": texts, "env": {"X": texts[0]}}


DOLLARS = "echo $$\necho '$$HOME $(HOME) ${HOME}'\n"
BRACES = "echo '{{.Id}} {{ item }} ${{ x }} {% raw %}'"
INJECTION = '"; touch /data/pwned; echo "$(id)`id`'


@pytest.mark.parametrize("script", [DOLLARS, BRACES, "awk '{ printf \"%.1f%%\\n\", $3 }'", "cat <<E\n\ta\r\nE\n", "✅"])
def test_b090_dollars_arrive_unchanged(script: str) -> None:
    container = shell(script=script)["containers"][0]
    assert arrived(container, {"HOME": "/home/ci"})["command"] == ["/bin/sh", "-c", script]


def test_b091_nothing_is_substituted_by_the_product() -> None:
    container = shell(script='echo "$${f}"', env={"REGION": "${REGION}"})["containers"][0]
    assert arrived(container, {}) == {
        "command": ["/bin/sh", "-c", 'echo "$${f}"'],
        "args": [],
        "env": {"REGION": "${REGION}"},
    }


def test_b092_braces_of_other_tools_arrive_unchanged() -> None:
    assert arrived(shell(script=BRACES)["containers"][0], {})["command"][2] == BRACES


def test_b093_a_value_never_becomes_part_of_the_script() -> None:
    container = shell(script='echo "building $BRANCH"', env={"BRANCH": INJECTION})["containers"][0]
    got = arrived(container, {"BRANCH": INJECTION})
    assert got["command"][2] == 'echo "building $BRANCH"'
    assert got["env"] == {"BRANCH": INJECTION}


def test_native_specs_are_left_as_written() -> None:
    """RP03: `$(date +%s)` is no variable's name, so Kubernetes itself leaves it alone."""
    command = ["sh", "-c", "pg_dump > /b/$(date +%s).dump $$"]
    spec = {"template": {"spec": {"containers": [{"name": "m", "image": "i", "command": command}]}}}
    made = launch("K8S/Job", {"spec": spec}).manifest["spec"]["template"]["spec"]["containers"][0]
    assert made["command"] == command
