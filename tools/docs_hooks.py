"""What mkdocs does beside its own: see mkdocs.yml.

- Files outside docs/ that pages link to, such as SECURITY.md, become files of the site below `repository/`.
- Headings get the anchors that they have in the checkout's viewer, so that a link holds in both.
- Diagrams in mermaid are left out: their script would come from another host, and the text beside them says the same.
- A page that would load anything from elsewhere ends the build.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

OUTSIDE = "repository/"
CODE = re.compile(r"(^ *```.*?^ *```$|`[^`\n]*`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
MERMAID = re.compile(r"^```mermaid\n.*?^```\n", re.MULTILINE | re.DOTALL)
FOREIGN = re.compile(r"<(?:script|link|img|iframe|source|video|audio)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def anchor(heading: str, separator: str = "-") -> str:
    """The anchor of a heading's text."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", separator)


def place(uri: str) -> str:
    """Where a file of the site is in the checkout."""
    return uri.removeprefix(OUTSIDE) if uri.startswith(OUTSIDE) else f"docs/{uri}"


def uri_of(path: str) -> str:
    """Where a file of the checkout is in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else OUTSIDE + path


def linked(text: str, path: str) -> list[str]:
    """The files of the checkout that the page at `path` links to."""
    links = [link for link, _ in LINK.findall(CODE.sub("", text)) if not re.match(r"[a-z]+:", link)]
    return [posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) for link in links]


def rewritten(text: str, path: str) -> str:
    """The page at `path` with its links to files of the checkout as links inside the site."""
    here = posixpath.dirname(uri_of(path)) or "."

    def new(match: re.Match[str]) -> str:
        link, fragment = match[1], match[2] or ""
        if re.match(r"[a-z]+:", link):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        return f"]({posixpath.relpath(uri_of(target), here)}{fragment})"

    parts = CODE.split(text)
    return "".join(part if index % 2 else LINK.sub(new, part) for index, part in enumerate(parts))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Anchors as in the checkout's viewer."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what the pages link to outside docs/, and what that links to."""
    root = Path(config.config_file_path).parent
    pending = [place(file.src_uri) for file in files.documentation_pages()]
    while pending:
        path = pending.pop()
        for target in linked((root / path).read_text(encoding="utf-8"), path):
            source = root / target
            if target.startswith((".", "docs/")) or not source.is_file() or files.get_file_from_path(uri_of(target)):
                continue
            files.append(File.generated(config, uri_of(target), abs_src_path=str(source)))
            if source.suffix == ".md":
                pending.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links to files of the checkout as links inside the site; no mermaid."""
    return rewritten(MERMAID.sub("", markdown), place(page.file.src_uri))


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Refuses a page that loads anything from elsewhere."""
    if found := FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri} would load from another host: {found[0]}")
    return output
