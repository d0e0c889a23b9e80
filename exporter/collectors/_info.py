"""The INFO reply, for all collectors that read a part of it: sent once a poll, parsed once."""

from exporter.collectors.base import Commands
from exporter.parse.info import Info, parse_info
from exporter.parse.reply import as_text
from exporter.targets import Server


async def read_info(server: Server, commands: Commands) -> Info:
    """Return the sections of INFO: all of them, or the default ones of a server that does not know ``everything``."""
    reply = await commands.execute("INFO", "everything")
    if server.newest_info is None or server.newest_info[0] is not reply:
        server.newest_info = (reply, parse_info(as_text(reply) or ""))
    info: Info = server.newest_info[1]
    return info or parse_info(as_text(await commands.execute("INFO")) or "")
