"""docs/benchmarks.md: text by hand, and tables between two marks that are written anew from results."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.report import Document, markdown

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def write(documents: Sequence[Document], page: Path = PAGE) -> None:
    """Put the tables of these results onto the page. Raises ValueError when the page has lost its marks."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page}: has no {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{markdown(documents)}\n{END}{after}")
