"""Debian's chromium, started without network."""

import subprocess
import tempfile


def chromium(browser, *arguments):
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={profile}", *arguments],
            capture_output=True, timeout=120, check=True,
        )  # fmt: skip
