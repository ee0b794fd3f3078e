"""Debian's chromium, started without network: as a command, and as a page that is driven through its pipe."""

import base64
import contextlib
import fcntl
import json
import os
import subprocess
import tempfile

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def chromium(browser, *arguments):
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [browser, *_FLAGS, f"--user-data-dir={profile}", *arguments], capture_output=True, timeout=120, check=True
        )


class Page:
    """One page, by the DevTools protocol over a pipe: real pointer, real keys, what the console says."""

    def __init__(self, write, read):
        self._write, self._read = write, read
        self._count, self._rest, self._session = 0, b"", None
        self.complaints = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.requested = []

    def call(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._count:
                assert "error" not in found, f"{method}: {found['error']}"
                return found["result"]

    def _next(self):
        while b"\0" not in self._rest:
            more = os.read(self._read, 1 << 16)
            assert more, "chromium has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        found = json.loads(line)
        method, told = found.get("method"), found.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(told["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(told)
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"])
        elif method == "Network.requestWillBeSent":
            self.requested.append(told["request"]["url"])
        self.last = method
        return found

    def open(self, url):
        self.call("Page.navigate", url=str(url))
        while self.last != "Page.loadEventFired":
            self._next()

    def size(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, kind="screen", **features):
        told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media=kind, features=told)

    def __call__(self, code):
        found = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def overflow(self):
        """Pixels by which the page is wider than its window."""
        return self("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def middle(self, selector):
        """Where an element is, after scrolling to it."""
        return self(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2, r.width, r.height] })()"
        )

    def move(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector):
        x, y, *_ = self.middle(selector)
        self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name, code=0, text=""):
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **more)

    def shot(self, path, whole=True):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole, format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self, path):
        data = self.call("Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69)["data"]
        path.write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def page_of(browser):
    """A page of a chromium that is ended afterwards."""
    to_browser, write = os.pipe()
    read, from_browser = os.pipe()
    with tempfile.TemporaryDirectory() as profile:
        # bash: other shells take numbers of one digit alone. From 10 on the two do not overwrite each other.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
        shell = ["bash", "-c", f'exec "$0" "$@" 3<&{ends[0]} 4>&{ends[1]}']
        process = subprocess.Popen(
            [*shell, browser, *_FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (to_browser, from_browser, *ends):
            os.close(end)
        try:
            yield Page(write, read)
        finally:
            os.close(write)
            os.close(read)
            process.terminate()
            process.wait(30)
