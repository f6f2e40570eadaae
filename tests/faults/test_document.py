"""The numbers of docs/reliability.md are those of the report beside it."""

import json

from tests.faults.document import KEPT, PAGE, page


def test_the_page_holds_the_numbers_of_its_report() -> None:
    text = PAGE.read_text()
    assert page(text, json.loads(KEPT.read_text())) == text, "write it again: python -m tests.faults.document"
