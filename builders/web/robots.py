"""robots.txt: whether a site lets us fetch an address, and use it for training."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from protego import Protego

from .address import host_of, shown, site_of, web_address
from .errors import OF_THE_ADDRESS, FetchError
from .fetch import Fetcher, utc_now
from .hosts import PerSite

TOKEN = "occlufer"
# Robots that gather training data. Who turns one of them away, and not everybody, does not want
# pictures in a training set.
AI_AGENTS = (
    "img2dataset",
    "CCBot",
    "GPTBot",
    "Google-Extended",
    "Applebot-Extended",
    "ClaudeBot",
    "anthropic-ai",
    "meta-externalagent",
    "Bytespider",
    "AI2Bot",
)
# The same said in words: Content-Signal (Cloudflare), Content-Usage (IETF, aipref).
AI_SIGNALS = {"content-signal": "ai-train=no", "content-usage": "train-ai=n"}
NOBODY = "\0"  # a robot that no file names

MAX_BYTES = 512 * 1024  # RFC 9309 asks for 500 kB at least
MAX_RULES = 200_000
MAX_CRAWL_DELAY_S = 30.0

_AGENT = re.compile(r"user[\s-]*agent", re.IGNORECASE)
_RULE = re.compile(r"(dis)?allow\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """Whether an address may be fetched, and the evidence."""

    allowed: bool
    reason: str
    """Empty if allowed, else robots, robots_ai, robots_crawl_delay, robots_refused,
    robots_unreachable or robots_unreadable."""
    robots_url: str
    sha256: str
    """Of the robots.txt; "" if there is none."""
    fetched_at: str
    detail: str = ""
    again: bool = False
    """Whether asking later may give another verdict."""


@dataclass(frozen=True)
class _Site:
    """What a site's robots.txt gave: the verdict on all of the site, or one to be refined."""

    verdict: Verdict
    rules: Protego | None = None


class Robots:
    """The robots.txt of every site, fetched once and kept for a day; threads share it.

    None there (404, 410 and other 4xx) allows all. 401 and 403, which RFC 9309 counts among these,
    do not: whoever locks up the rules has some. Nor does what cannot be reached or read. A page of
    HTML is read as the RFC reads any text: lines that are rules count, and if there are none all
    is allowed.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        """Take what fetches the files; its hosts are slowed down as the files ask."""
        self._fetcher = fetcher
        self._sites = PerSite(self._read, lambda site: site.verdict.again)

    def allowed(self, url: str) -> Verdict:
        """Return whether `url` may be fetched; raises FetchError if it leads to no public site."""
        url = web_address(url)
        site = self._sites.at(site_of(url))
        if site.rules is None:
            return site.verdict
        reason, detail = _judge(site.rules, url)
        if not reason:
            return site.verdict
        return replace(site.verdict, allowed=False, reason=reason, detail=detail)

    def _read(self, site: str) -> _Site:
        url = f"{site}/robots.txt"
        try:
            fetched = self._fetcher.get(url, max_bytes=MAX_BYTES)
        except FetchError as error:
            if error.reason in OF_THE_ADDRESS:
                raise
            return _Site(_without_file(url, error))
        verdict = Verdict(
            True, "", shown(url), hashlib.sha256(fetched.data).hexdigest(), fetched.fetched_at
        )
        text = fetched.data.decode("utf-8-sig", "replace")
        if _rule_count(text) > MAX_RULES:
            return _Site(_refused(verdict, "robots_unreadable", f"found over {MAX_RULES} rules"))
        signal = _ai_signal(text)
        if signal:
            return _Site(_refused(verdict, "robots_ai", f"found {signal}"))
        rules = Protego.parse(text)
        delay_s = rules.crawl_delay(TOKEN) or 0.0
        if not delay_s <= MAX_CRAWL_DELAY_S:
            detail = f"found a crawl-delay of {delay_s:g} s, expected <= {MAX_CRAWL_DELAY_S:g}"
            return _Site(_refused(verdict, "robots_crawl_delay", detail))
        self._fetcher.hosts.slow_down(host_of(site), delay_s)
        return _Site(verdict, rules)


def _without_file(url: str, error: FetchError) -> Verdict:
    verdict = Verdict(True, "", shown(url), "", utc_now(), error.reason)
    if error.reason in ("http_401", "http_403"):
        return _refused(verdict, "robots_refused", error.detail)
    if error.reason.startswith("http_4"):
        return verdict
    unreadable = error.reason in ("too_large", "encoded_body")
    reason = "robots_unreadable" if unreadable else "robots_unreachable"
    return _refused(verdict, reason, str(error), again=True)


def _refused(verdict: Verdict, reason: str, detail: str, again: bool = False) -> Verdict:
    return replace(verdict, allowed=False, reason=reason, detail=detail, again=again)


def _judge(rules: Protego, url: str) -> tuple[str, str]:
    """Return (reason, detail) of why an address may not be fetched; ("", "") if it may."""
    if not rules.can_fetch(url, TOKEN):
        return "robots", f"disallowed for {TOKEN}"
    # Where nobody may but we may, by name, the owner has decided on us already.
    if rules.can_fetch(url, NOBODY):
        for agent in AI_AGENTS:
            if not rules.can_fetch(url, agent):
                return "robots_ai", f"disallowed for {agent}"
    return "", ""


def _ai_signal(text: str) -> str:
    """Return the line's words if the file says that training is not wanted, else ""."""
    for line in text.splitlines():
        name, _, value = line.partition("#")[0].partition(":")
        wanted = AI_SIGNALS.get(name.strip().lower())
        if wanted in ["".join(part.split()).lower() for part in value.split(",")]:
            return f"{name.strip()}: {wanted}"
    return ""


def _rule_count(text: str) -> int:
    """Return no less than the number of rules that protego makes of a file.

    It keeps every rule once for each agent of its group: 50 kB can become millions of rules.
    """
    count = agents = 0
    in_rules = False
    for line in text.splitlines():
        line = line.strip()
        if _AGENT.match(line):
            agents = 1 if in_rules else agents + 1
            in_rules = False
        elif line:
            count += agents
            in_rules = in_rules or _RULE.match(line) is not None
    return count
