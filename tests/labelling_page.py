"""A rater at the labelling page, in a real browser, with nothing but a keyboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from browser import Browser, Reply

SUBMIT, SKIP = "Control+Enter", "Control+ "
SUBMIT_BUTTON = '[data-testid="bottombar-submit-button"]'
FINISHED = "document.body.innerText.includes('No More Tasks')"
# Where everything is, by what a person would call it. The picture stands in a frame that hides what
# juts out of it.
PLACES = """
(() => {
  const box = (element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return { left, top, right, bottom };
  };
  const found = {
    picture: box(document.querySelector('img[alt="image"]')),
    frame: box(document.querySelector('.lsf-image')),
    submit: box(document.querySelector('[data-testid="bottombar-submit-button"]')),
    skip: box(document.querySelector('[data-testid="bottombar-skip-button"]')),
    stars: box(document.querySelector('.ant-rate')),
  };
  for (const input of document.querySelectorAll('.lsf-choice input')) {
    found[input.name] = box(input.closest('label'));
  }
  return found;
})()
"""
CHECKED = """
[...document.querySelectorAll('.lsf-choice input')].filter(i => i.checked).map(i => i.name)
"""
STARS = "document.querySelectorAll('.ant-rate-star-full').length"


@dataclass(frozen=True)
class Place:
    """Where something is on the page, in pixels from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def within(self, other: Place, slack: float = 0.5) -> bool:
        """Return whether no part of it lies outside of `other`."""
        return (
            self.left >= other.left - slack
            and self.top >= other.top - slack
            and self.right <= other.right + slack
            and self.bottom <= other.bottom + slack
        )

    def apart(self, other: Place, slack: float = 0.5) -> bool:
        """Return whether the two do not cover each other."""
        return (
            self.right <= other.left + slack
            or other.right <= self.left + slack
            or self.bottom <= other.top + slack
            or other.bottom <= self.top + slack
        )


class LabellingPage:
    """The page of one project, as a rater sees it."""

    def __init__(self, browser: Browser, url: str, project: int) -> None:
        self.browser = browser
        self.url = url
        self.project = project

    def log_in(self, email: str, password: str) -> None:
        """Log in by typing name and password."""
        self.browser.open(f"{self.url}/user/login/")
        self.browser.value("document.querySelector('input[name=email]').focus()")
        self.browser.type(email)
        self.browser.press("Tab")
        self.browser.type(password)
        self.browser.press("Enter")
        self._wait("!location.pathname.startsWith('/user/login')", "the log-in is done")

    def open(self) -> None:
        """Begin to label, with what covers the first task until a key is pressed."""
        self.browser.open(f"{self.url}/projects/{self.project}/data?labeling=1")
        self._wait_for_task()

    @property
    def covered(self) -> bool:
        """Whether something lies over the button that submits."""
        return not self.browser.value(
            f"""(() => {{
                const button = document.querySelector('{SUBMIT_BUTTON}');
                const {{ left, top, width, height }} = button.getBoundingClientRect();
                const seen = document.elementFromPoint(left + width / 3, top + height / 2);
                return button.contains(seen);
            }})()"""
        )

    def uncover(self) -> None:
        """Put the instruction away."""
        self.browser.press("Escape")
        self.browser.wait(lambda: not self.covered, "nothing covers the page")

    @property
    def places(self) -> dict[str, Place]:
        """Where everything is that a rater needs."""
        found = self.browser.value(PLACES)
        return {name: Place(**box) for name, box in found.items()}

    @property
    def chosen(self) -> list[str]:
        """What is ticked, in the words of the page."""
        return list(self.browser.value(CHECKED))

    @property
    def stars(self) -> int:
        """How many stars are lit."""
        return int(self.browser.value(STARS))

    @property
    def text(self) -> str:
        """All that is to be read."""
        return str(self.browser.value("document.body.innerText"))

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.browser.press(key)

    def submit(self, key: str = SUBMIT) -> dict[str, Any]:
        """Submit the task, wait for the next one, and return the answer as the server has it."""
        before = len(self._sent())
        self.browser.press(key)
        self.browser.wait(lambda: len(self._sent()) > before, "the answer is sent")
        reply = self._sent()[before]
        assert reply.status == 201, f"{urlsplit(reply.url).path}: {reply.status}"
        answer: dict[str, Any] = self.browser.body(reply)
        self._wait_for_task()
        return answer

    def _sent(self) -> list[Reply]:
        """Return the replies to the answers that the page has sent."""
        return [
            reply
            for reply in self.browser.replies
            if reply.method == "POST" and urlsplit(reply.url).path.endswith("/annotations")
        ]

    def _wait_for_task(self) -> None:
        """Wait until a task is there to be answered, its picture drawn, or none is left."""
        drawn = "document.querySelector('img[alt=\"image\"]')?.naturalWidth > 0"
        ready = f"!!document.querySelector('{SUBMIT_BUTTON}')"
        settled = "!document.querySelector('.lsf-choice input:checked')"
        self._wait(f"({drawn} && {ready} && {settled}) || {FINISHED}", "a task is shown")

    def _wait(self, script: str, what: str) -> None:
        self.browser.wait(lambda: self.browser.value(script), what)
