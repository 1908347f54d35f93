"""Which addresses Earmark may call for somebody: public ones, and those of its own network that the operator has listed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Looks public, but every virtual machine of one large provider finds its host's services there.
_PROVIDER_SERVICES = frozenset({ipaddress.ip_address("168.63.129.16")})


def parse_ip(host: str) -> IpAddress | None:
    """The address that a host is written as; None if it is a name. A zone (``%eth0``) is dropped."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _target(address: IpAddress) -> IpAddress:
    """The IPv4 address that packets end at, if the IPv6 address only wraps one (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def is_public(address: IpAddress) -> bool:
    """True if it is somebody's on the internet: not private, loopback, link-local, multicast, reserved or a provider's own."""
    target = _target(address)
    special = target.is_multicast or target.is_reserved or target.is_unspecified or target.is_loopback
    return target.is_global and not special and not target.is_link_local and target not in _PROVIDER_SERVICES


@dataclass(frozen=True, slots=True)
class IntranetHosts:
    """The operator's exceptions: names (which may stand for any address) and networks."""

    names: frozenset[str] = frozenset()
    # Apart, because the injection of dependencies looks through every field and knows no union of two such types.
    networks_v4: tuple[ipaddress.IPv4Network, ...] = ()
    networks_v6: tuple[ipaddress.IPv6Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Of names (``hooks.corp``), addresses (``10.1.2.3``) and networks (``10.1.0.0/16``).

        Raises:
            ValueError: an entry is none of them.
        """
        names, networks_v4, networks_v6 = set(), [], []
        for entry in entries:
            try:
                network = ipaddress.ip_network(entry)
                if isinstance(network, ipaddress.IPv4Network):
                    networks_v4.append(network)
                else:
                    networks_v6.append(network)
            except ValueError:
                if not _is_name(entry):
                    raise ValueError(f"“{entry}” is neither a host name nor a network like 10.1.0.0/16") from None
                names.add(entry.lower())
        return cls(frozenset(names), tuple(networks_v4), tuple(networks_v6))

    def __bool__(self) -> bool:
        return bool(self.names or self.networks_v4 or self.networks_v6)

    def has_name(self, host: str) -> bool:
        return host.lower().rstrip(".") in self.names

    def has_address(self, address: IpAddress) -> bool:
        candidates = {address, _target(address)}
        in_v4 = any(candidate in network for network in self.networks_v4 for candidate in candidates)
        return in_v4 or any(candidate in network for network in self.networks_v6 for candidate in candidates)


def _is_name(text: str) -> bool:
    labels = text.split(".")
    return all(label.replace("-", "").replace("_", "").isalnum() and label.isascii() for label in labels) and not (
        labels[-1].isdigit()
    )
