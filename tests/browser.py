"""Chromium without a window, told what to do by the DevTools protocol through two pipes.

Debian's own Chromium is enough: no driver program, no package and no port.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.parse import urlsplit

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it refuses to run as root with one
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The browser reads commands from descriptor 3 and writes to 4, whatever numbers ours have.
LAUNCH = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
REPLY_S = 60
ENDED = {"error": "the browser has ended"}
# {key: (its code on the keyboard, its virtual key code, the text it types)}
NAMED_KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
    " ": ("Space", 32, " "),
}
MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}


def chromium() -> str | None:
    """Return the path of Chromium, None if it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Reply:
    """What a server answered to a request of the page."""

    request: str
    """The browser's own number of it."""
    method: str
    url: str
    status: int


class Browser:
    """A running Chromium with one page."""

    def __init__(self, profile: Path, width: int = 1366, height: int = 768) -> None:
        """Start it, all it keeps under `profile`; the page is `width` x `height` pixels large."""
        program = chromium()
        assert program is not None
        ours, theirs = os.pipe(), os.pipe()
        command = (program, *FLAGS, f"--user-data-dir={profile}", "about:blank")
        self._process = subprocess.Popen(
            (sys.executable, "-c", LAUNCH, str(ours[0]), str(theirs[1]), *command),
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._commands = os.fdopen(ours[1], "wb", buffering=0)
        self._messages = os.fdopen(theirs[0], "rb")
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Queue[dict[str, Any]]] = {}
        self._methods: dict[str, str] = {}
        self._begun: dict[str, Reply] = {}
        self.requests: list[str] = []
        """The address of everything that the page has asked for."""
        self.replies: list[Reply] = []
        """What came, to its end."""
        self.errors: list[str] = []
        """What the page wrote to the console as an error, and exceptions that nobody caught."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._session = self._page()
            for domain in ("Page", "Runtime", "Network", "Log"):
                self._tell(f"{domain}.enable", {})
            self.resize(width, height)
        except BaseException:
            self.close()
            raise

    def _page(self) -> str:
        """Return the session of the first page."""
        targets = self._send("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attach = {"targetId": target, "flatten": True}
        session = str(self._send("Target.attachToTarget", attach)["sessionId"])
        # What workers of the page fetch is told in sessions of their own.
        follow = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
        self._send("Target.setAutoAttach", follow, session=session)
        return session

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError, RuntimeError):
            self._send("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(20)
        self._commands.close()
        self._messages.close()

    # What a person does --------------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Go to an address and wait until the page has loaded."""
        fault = self._tell("Page.navigate", {"url": url}).get("errorText")
        if fault:
            raise RuntimeError(f"{urlsplit(url).path}: {fault}")
        self.wait(lambda: self.value("document.readyState") == "complete", "the page has loaded")

    def resize(self, width: int, height: int) -> None:
        """Make the page so large."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._tell("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, scheme: str, media: str = "") -> None:
        """Prefer "light" or "dark", on the screen or, if `media` is "print", on paper."""
        wish = {"name": "prefers-color-scheme", "value": scheme}
        self._tell("Emulation.setEmulatedMedia", {"features": [wish], "media": media})

    def press(self, key: str) -> None:
        """Press a key and let it go: "5", "a", "Enter", "Control+Enter"."""
        *held, name = key.split("+")
        modifiers = sum(MODIFIERS[one] for one in held)
        code, number, text = NAMED_KEYS[name] if name in NAMED_KEYS else _printable(name)
        event: dict[str, Any] = {"key": name, "code": code, "windowsVirtualKeyCode": number}
        event["modifiers"] = modifiers
        typed = {"text": text} if text and not modifiers & 7 else {}
        self._tell("Input.dispatchKeyEvent", {"type": "keyDown", **event, **typed})
        self._tell("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self._tell("Input.insertText", {"text": text})

    # What a person sees --------------------------------------------------------------------------

    def value(self, script: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        found = self._tell("Runtime.evaluate", {"expression": script, "returnByValue": True})
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def body(self, reply: Reply) -> Any:
        """Return the JSON that a server answered."""
        found = self._tell("Network.getResponseBody", {"requestId": reply.request})
        return json.loads(found["body"])

    def wait(self, true: Callable[[], Any], what: str, timeout_s: float = 60) -> None:
        """Wait until `true` gives a true value."""
        end = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout_s:.0f} s until {what}; errors: {self.errors}")
            time.sleep(0.05)

    def screenshot(self, path: Path) -> None:
        """Write what is to be seen as a PNG file."""
        import base64

        shot = self._tell("Page.captureScreenshot", {"format": "png"})
        path.write_bytes(base64.b64decode(shot["data"]))

    # The protocol --------------------------------------------------------------------------------

    def _tell(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Send a command to the page and return its result."""
        return self._send(method, parameters, session=self._session)

    def _send(
        self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        number = next(self._numbers)
        replies = self._waiting[number] = Queue()
        self._post(number, method, parameters or {}, session)
        if not self._reader.is_alive():
            replies.put(ENDED)
        try:
            reply = replies.get(timeout=REPLY_S)
        except Empty:
            raise RuntimeError(f"{method}: no reply in {REPLY_S} s") from None
        finally:
            del self._waiting[number]
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']}")
        result: dict[str, Any] = reply["result"]
        return result

    def _post(
        self, number: int, method: str, parameters: dict[str, Any], session: str | None
    ) -> None:
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._commands.write(json.dumps(message).encode() + b"\0")

    def _read(self) -> None:
        for message in self._parse():
            if "id" in message:
                waiting = self._waiting.get(message["id"])
                if waiting is not None:
                    waiting.put(message)
            else:
                self._note(message["method"], message["params"])
        for waiting in [*self._waiting.values()]:
            waiting.put(ENDED)

    def _parse(self) -> Iterator[dict[str, Any]]:
        rest = b""
        while chunk := self._messages.read1(1 << 20):
            *whole, rest = (rest + chunk).split(b"\0")
            yield from map(json.loads, whole)

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "Target.attachedToTarget" and event["targetInfo"]["type"] != "page":
            with contextlib.suppress(OSError):  # this thread must not wait for the reply
                self._post(next(self._numbers), "Network.enable", {}, event["sessionId"])
        elif method == "Network.webSocketCreated":
            self.requests.append(event["url"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
            self._methods[event["requestId"]] = event["request"]["method"]
        elif method == "Network.responseReceived":
            number, response = event["requestId"], event["response"]
            said = Reply(number, self._methods[number], response["url"], response["status"])
            self._begun[number] = said
        elif method in ("Network.loadingFinished", "Network.loadingFailed"):
            if event["requestId"] in self._begun:
                self.replies.append(self._begun.pop(event["requestId"]))
        elif method == "Runtime.exceptionThrown":
            details = event["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", details["text"])
            self.errors.append(thrown)
        elif method == "Runtime.consoleAPICalled" and event["type"] == "error":
            words = (str(a.get("value", a.get("description", ""))) for a in event["args"])
            self.errors.append(" ".join(words))
        elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
            entry = event["entry"]
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")


def _printable(key: str) -> tuple[str, int, str]:
    """Return the code, the virtual key code and the text of a key with a letter or a digit."""
    if key.isdigit():
        return f"Digit{key}", ord(key), key
    return f"Key{key.upper()}", ord(key.upper()), key
