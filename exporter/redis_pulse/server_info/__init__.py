"""What is known about one server: who it is, what differs from Redis in it, and its newest INFO.

- ``profile``, ``software``, ``services``: one declaration for each kind of server and each managed service
- ``repairs``: changes of INFO that the declarations name
- ``identity``: compares a reply with the declarations
- ``server``: the newest knowledge about the server of one target
"""

from redis_pulse.server_info.identity import Identity, identify, mode_of, repair, software_of, title_of
from redis_pulse.server_info.profile import (
    COMMANDLOG,
    HOTKEYS,
    INFO_FORMS,
    SERVER_EXT,
    Profile,
    ServiceProfile,
    SoftwareProfile,
    Words,
)
from redis_pulse.server_info.server import InfoQuery, ParsedInfo, Server, version_numbers
from redis_pulse.server_info.services import SERVICES
from redis_pulse.server_info.software import SOFTWARE

__all__ = [
    "COMMANDLOG",
    "HOTKEYS",
    "INFO_FORMS",
    "SERVER_EXT",
    "SERVICES",
    "SOFTWARE",
    "Identity",
    "InfoQuery",
    "ParsedInfo",
    "Profile",
    "Server",
    "ServiceProfile",
    "SoftwareProfile",
    "Words",
    "identify",
    "mode_of",
    "repair",
    "software_of",
    "title_of",
    "version_numbers",
]
