"""A WebSocket server on port 3000 that sends every message back."""
import asyncio

import websockets


async def echo(socket, path=None):
    async for message in socket:
        await socket.send("echo of " + message)


async def main():
    async with websockets.serve(echo, "127.0.0.1", 3000):
        print("serving", flush=True)
        await asyncio.Future()


asyncio.run(main())
