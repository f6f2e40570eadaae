"""The whole server as its pages are met: logins that keep their cookie, forms with their token, and parsed markup."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from tests.server.whole import Replica, Whole

COOKIE = "__Host-task-pipeline"
TOKENS = {name: f"{name}.kubernetes.token" for name in ("admin", "stranger", "runner")}


@dataclass
class Got:
    """What came back."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def page(self) -> "Markup":
        """The body, parsed."""
        return Markup.of(self.text)


@dataclass
class Browser:
    """One visitor; `cookie` is what he has, "" before the login."""

    replica: Replica
    cookie: str = ""

    async def ask(self, method: str, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Got:
        """One request as a browser sends it from our own page; `_` in names of headers stands for `-`."""
        sent = {"Origin": self.replica.url} if method == "POST" else {}
        sent |= {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if value}
        url, data = self.replica.url + path, None if form is None else dict(form)
        async with self.replica.http.request(
            method, url, data=data, headers=sent, allow_redirects=False, cookies={}
        ) as response:
            return Got(response.status, (await response.read()).decode(), response.headers)

    async def get(self, path: str, **headers: str) -> Got:
        """A page."""
        return await self.ask("GET", path, None, **headers)

    async def post(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Got:
        """A form of our own page, with the token of the session."""
        return await self.ask("POST", path, {"csrf": await self.csrf(), **(form or {})}, **headers)

    async def csrf(self) -> str:
        """The token that the forms of the session carry."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', (await self.get("/ui")).text)
        return found[1] if found else ""

    async def log_in(self, **form: str) -> Got:
        """Log in, and keep the cookie."""
        answer = await self.ask("POST", "/ui/login", {"next": "/ui", **form})
        found = re.match(rf"{COOKIE}=([^;]*);", answer.headers.get("Set-Cookie", ""))
        self.cookie = found[1] if found else ""
        return answer


async def visitor(site: Whole, name: str, replica: Replica | None = None) -> Browser:
    """Somebody of the whole server's callers, logged in if he can be."""
    browser = Browser(replica or site.one)
    if name in TOKENS:
        await browser.log_in(token=TOKENS[name])
    elif name in site.secrets:
        await browser.log_in(client_id=name, client_secret=site.secrets[name])
    return browser


@dataclass
class Markup(HTMLParser):
    """Every element of a text: name and attributes, and the text that is not in an element of scripts or styles."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @classmethod
    def of(cls, text: str) -> "Markup":
        """The elements of a document or of a part of one."""
        made = cls()
        made.feed(text)
        made.close()
        return made

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(" ".join(self.words).split())

    def with_id(self, name: str) -> dict[str, str | None] | None:
        """The attributes of the element with that id."""
        return next((attributes for _, attributes in self.elements if attributes.get("id") == name), None)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Names of elements and of their attributes: what markup there is, whatever the texts are."""
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]
