"""YAML and JSON are read as kubectl reads them, and every value has its place."""

import json
from typing import Any

import pytest

from task_pipeline.cli.documents import Document, Unreadable, read
from task_pipeline.cli.printing import as_yaml


def one(text: str) -> Document:
    (found,) = read("x.yaml", text.encode())
    return found


def content(text: str) -> Any:
    found = one(text)
    assert found.faults == ()
    return found.content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z"),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("0755", 493),
        ("0o755", 493),
        ("0x1F", 31),
        ("1_000", 1000),
        ("-5", -5),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.0.0", "1.0.0"),
        ("yes", True),
        ("off", False),
        ("true", True),
        ("'true'", "true"),
        ("~", None),
        ("", None),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_scalars_mean_what_they_mean_to_kubectl(text: str, value: Any) -> None:
    assert content(f"a: {text}") == {"a": value}
    assert type(content(f"a: {text}")["a"]) is type(value)


def test_names_of_fields_are_texts() -> None:
    assert content("{1: a, true: b, x: c}") == {"1": "a", "true": "b", "x": "c"}


def test_json_is_read_too_with_tabs() -> None:
    assert content('{\n\t"a": [1, 2.5, "x\\n\\/y", null],\n\t"b": {}\n}') == {"a": [1, 2.5, "x\n/y", None], "b": {}}


def test_merge_keys_and_aliases() -> None:
    text = "base: &b {image: x, script: a}\njob: {<<: *b, script: c}\nsame: *b"
    assert content(text)["job"] == {"image": "x", "script": "c"}
    assert content(text)["same"] == {"image": "x", "script": "a"}


def test_several_documents_have_places_of_their_own() -> None:
    text = "# nothing\n---\na: 1\n---\n---\nb:\n  c: 2\n"
    first, second = read("x.yaml", text.encode())
    assert (first.content, second.content) == ({"a": 1}, {"b": {"c": 2}})
    assert (first.place("a"), second.place("b.c"), second.at) == ((3, 1), (7, 3), (6, 1))


def test_the_place_of_a_path() -> None:
    first = "spec:\n  stages: [s]\n  jobs:\n  - name: a\n    params:\n      env:\n        A.B: 1\n"
    found = one(first + "  - {name: b, timeout: 0}\n")
    assert found.place("spec.jobs[0].params.env.A.B") == (7, 9)
    assert found.place("spec.jobs[1].timeout") == (8, 15)
    assert found.place("spec.jobs[1]") == (8, 5)
    assert found.place("spec.jobs[0].params.image") == (5, 5)
    assert found.place("spec.jobs[7].name") == (3, 3)
    assert found.place("metadata") == (1, 1)
    assert found.place("") == (1, 1)


def test_a_name_that_stands_twice_is_a_fault() -> None:
    found = one("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert [path for path, _ in found.faults] == ["b.c", "a"]


@pytest.mark.parametrize("text", ["a: .nan", "a: .inf", "a: !!binary aGk=", "a: !custom x", "? [x]\n: 1"])
def test_what_json_cannot_hold_is_a_fault(text: str) -> None:
    assert one(text).faults


@pytest.mark.parametrize(
    ("text", "where"),
    [("a: [1, 2", "x.yaml:2:1"), ("a: 1\n b: 2", "x.yaml:2:"), ("\ta: 1", "x.yaml:1:1"), ("a: *nowhere", "x.yaml:1:")],
)
def test_what_is_no_yaml_is_told_with_its_place(text: str, where: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read("x.yaml", text.encode())
    assert str(caught.value).startswith(where)


def test_no_utf8() -> None:
    with pytest.raises(Unreadable, match=r"x\.yaml:2: is no UTF-8"):
        read("x.yaml", b"a: 1\nb: \xff\n")


def test_a_bomb_of_aliases_is_a_fault_and_takes_no_time() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert any("too large" in message for _, message in one("\n".join(lines)).faults)


@pytest.mark.parametrize("levels", [500, 100_000])
def test_a_tower_of_lists_is_a_fault(levels: int) -> None:
    try:
        found = one("[" * levels + "]" * levels).faults
    except Unreadable as error:
        found = (("", str(error)),)
    assert len(found) == 1


def test_a_number_of_many_digits_is_told() -> None:
    with pytest.raises(Unreadable, match=r"x\.yaml: cannot be read"):
        read("x.yaml", b"a: " + b"9" * 5000)


def test_an_alias_within_itself_is_a_fault() -> None:
    assert any("too large" in message for _, message in one("a: &a [*a]").faults)


def test_what_is_printed_reads_back() -> None:
    thing = {"a": ["0755", "1e3", "yes", "y", "2026-01-31", "x\ny\n", "", "1:30", None, True, 5, "ü", "\x1b[2J"]}
    assert content(as_yaml(thing)) == thing
    assert json.loads(json.dumps(thing)) == thing


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (json.dumps({"a": "\U0001f600"}), {"a": "\U0001f600"}),
        (r'{"a": "\\ud83d"}', {"a": r"\ud83d"}),
        (r'{"a": "\ud83d!"}', {"a": "\ufffd!"}),
        (r'{"a": "\ude00\ud83d\ude00"}', {"a": "\ufffd\U0001f600"}),
        ('{"a": "\x7f\x85"}', {"a": "\x7f\x85"}),
        (json.dumps({"x" * 2000: 1}), {"x" * 2000: 1}),
    ],
)
def test_all_of_json_is_read(text: str, value: Any) -> None:
    assert content(text) == value


def test_places_in_json_are_where_they_are_also_beside_an_emoji() -> None:
    found = one('\n {"\\ud83d\\ude00": 1, "a": "\\ud83d\\ude00", "b": {\n  "c": [0, 1]}}')
    assert found.at == (2, 2)
    assert found.place("b") == (2, 43)
    assert found.place("b.c[1]") == (3, 12)
    assert found.place("") == (2, 2)


def test_faults_of_json_are_found() -> None:
    assert [path for path, _ in one('{"a": {"b": 1, "b": 2}}').faults] == ["a.b"]
    assert one('{"a": ' * 150 + "1" + "}" * 150).faults
