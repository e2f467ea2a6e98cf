"""Which addresses the service may call on somebody's behalf."""

from __future__ import annotations

import ipaddress
import socket

from training.errors import AccessError, UnavailableError


def allowed_address(host: str, port: int, *, allow_private: bool) -> str:
    """The IP address to connect to.

    The caller connects to this very address: a name that is resolved a second time may lead elsewhere.

    Args:
        host: name or IP address.
        port: for the lookup.
        allow_private: whether addresses that are not public are allowed.

    Raises:
        AccessError: the name leads to an address that is not public.
        UnavailableError: the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"{host} cannot be resolved") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private:
        private = [address for address in addresses if not _is_public(address)]
        if private:
            raise AccessError(f"{host} leads to {private[0]}, which is not a public address", hint="see allow_private")
    return addresses[0]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return parsed.is_global and not parsed.is_multicast
