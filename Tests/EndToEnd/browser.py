"""A Chromium without a window, told what to do by its DevTools protocol."""
import asyncio
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request

import websockets

from wire import DEADLINE


class Browser:
    """One page."""

    def __init__(self, folder):
        program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        assert program, "chromium-headless-shell is needed: run `make test-deps`"
        self.log = open(os.path.join(str(folder), "chromium.log"), "w+")
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--disable-background-networking", "--no-first-run", "--no-proxy-server",
             "--user-data-dir=%s" % os.path.join(str(folder), "profile"),
             "--window-size=1200,900", "--remote-debugging-port=0", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
            start_new_session=True)

    def close(self):
        # It has children, and Debian starts it by a shell.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def do(self, steps):
        """Runs `steps(page)`, a coroutine, and gives what it returns."""
        return asyncio.run(asyncio.wait_for(self._do(steps), DEADLINE * 3))

    async def _do(self, steps):
        while True:
            self.log.seek(0)
            found = re.search(r"ws://(\S+?)/devtools", self.log.read())
            if found:
                break
            assert self.process.poll() is None, "Chromium has ended"
            await asyncio.sleep(0.05)
        pages = json.load(urllib.request.urlopen("http://%s/json" % found.group(1)))
        page = next(entry for entry in pages if entry["type"] == "page")
        address = page["webSocketDebuggerUrl"]
        async with websockets.connect(address, max_size=None) as line:
            return await steps(Page(line))


class Page:
    def __init__(self, line):
        self.line, self.number, self.said = line, 0, []

    async def call(self, method, **parameters):
        self.number += 1
        await self.line.send(
            json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await self.line.recv())
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.said.append(answer["params"])

    async def open(self, address):
        for domain in ("Runtime", "Log", "Page"):
            await self.call(domain + ".enable")
        await self.call("Page.navigate", url=address)
        # Until then what is asked may still be answered by the page before.
        await self.until(
            "document.readyState === 'complete' && location.href === %r" % address)

    async def value(self, expression):
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression):
        """Waits until an expression is true; gives its value."""
        while True:
            value = await self.value(expression)
            if value:
                return value
            await asyncio.sleep(0.05)

    async def screenshot(self, path):
        """Writes a PNG and gives its bytes."""
        image = base64.b64decode((await self.call("Page.captureScreenshot"))["data"])
        with open(str(path), "wb") as file:
            file.write(image)
        return image
