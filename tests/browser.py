"""A headless Chromium and a JupyterLab for the tests of what a page shows; or the reason why there is none."""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
FLAGS += ("disable-component-update", "disable-sync")


def missing(*modules):
    """What is not there, as the reason of a skip; "" if all is."""
    names = [m for m in ("playwright", *modules) if importlib.util.find_spec(m) is None]
    return ", ".join(names + ([] if CHROMIUM else ["Chromium"]))


def needs(*modules):
    return pytest.mark.skipif(bool(missing(*modules)), reason=f"not installed: {missing(*modules)}")


@contextlib.contextmanager
def chromium():
    """A browser with a profile of its own, that asks nothing of the network."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[f"--{flag}" for flag in FLAGS])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def jupyter_lab(folder):
    """The address of a JupyterLab that serves `folder`, with settings of its own under it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {f"JUPYTER_{kind}_DIR": str(folder / f".{kind}") for kind in ("CONFIG", "DATA", "RUNTIME")}
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = {**os.environ, **own, "IPYTHONDIR": str(folder / ".ipython"), "PYTHONPATH": root}
    quiet = ("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate")
    server = ("--no-browser", "--allow-root", f"--ServerApp.port={port}", "--ServerApp.port_retries=0")
    open_to_us = ("--IdentityProvider.token=", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder}")
    command = [sys.executable, "-m", "jupyterlab", *server, *open_to_us, *quiet]
    with open(folder / "lab.log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        wait_for(f"http://127.0.0.1:{port}/api", process, folder / "lab.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address, process, log, seconds=90):
    """Until something answers there."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            return direct.open(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
