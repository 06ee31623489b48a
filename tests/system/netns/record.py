"""Node records as text (EIP-778), as far as it takes to see where a node says that it is."""

import base64
import socket


def _item(data, at):
    """RLP: the content of the item at a place, whether it is a list, and where the next begins."""
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], False, at + 1
    is_list = first >= 0xC0
    size = first - (0xC0 if is_list else 0x80)
    start = at + 1
    if size > 55:
        start += size - 55
        size = int.from_bytes(data[at + 1 : start], "big")
    return data[start : start + size], is_list, start + size


class Record:
    """A record's number and its fields, all as bytes."""

    def __init__(self, text):
        text = text.removeprefix("enr:")
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        content, _, _ = _item(data, 0)
        items, at = [], 0
        while at < len(content):
            item, _, at = _item(content, at)
            items.append(item)
        self.number = int.from_bytes(items[1], "big")
        self.fields = dict(zip([key.decode() for key in items[2::2]], items[3::2]))

    def ip(self):
        """The address of IPv4; None if it tells none."""
        ip = self.fields.get("ip")
        return ip and socket.inet_ntoa(ip)

    def port(self, field):
        return int.from_bytes(self.fields.get(field, b""), "big")
