"""Which addresses the service may call on somebody's behalf."""

from __future__ import annotations

import ipaddress
import socket

from training.errors import AccessError, UnavailableError

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


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
        inner = _inner(parsed)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if parsed.is_site_local:
            return False
    return parsed.is_global and not parsed.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a gateway or the system makes of this one: mapped, 6to4, Teredo, NAT64, compatible."""
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
