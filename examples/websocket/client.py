"""Sends each of its arguments over one WebSocket through the proxy, and prints what comes back."""
import asyncio
import ssl
import sys

import websockets

context = ssl.create_default_context(cafile="site.pem")


async def main():
    async with websockets.connect("wss://127.0.0.1:8443/chat", ssl=context,
                                  server_hostname="site.example") as socket:
        for message in sys.argv[1:]:
            await socket.send(message)
            print(await socket.recv())


asyncio.run(main())
