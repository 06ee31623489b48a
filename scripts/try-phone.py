"""Speaks TLS in front of a plain HTTP server on this machine.

Arguments: the port to listen on, the server's port, certificate, key.
"""

import asyncio
import ssl
import sys

listen, server, certificate, key = sys.argv[1:]


async def pass_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def serve(reader, writer):
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", int(server))
    await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with await asyncio.start_server(serve, "127.0.0.1", int(listen), ssl=context) as server:
        await server.serve_forever()


asyncio.run(main())
