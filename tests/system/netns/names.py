"""A name server that knows one name: what is needed of RFC 1035 for that."""

import socket
import struct
import threading

# Type A, class IN; a name's pointer to where it stood in the question; seconds that the answer may be kept.
A, IN, POINTER, KEEP = 1, 1, 0xC00C, 60
# Flags: an answer, by one who has it from himself. With the code for a name that there is not.
ANSWER, UNKNOWN = 0x8400, 3


class NameServer(threading.Thread):
    """Answers questions for the IPv4 address of one name. Made in the namespace where it listens."""

    def __init__(self, listen, name, address):
        super().__init__(daemon=True)
        self.name, self.address = name, address
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((listen, 53))

    def run(self):
        while True:
            question, asker = self.socket.recvfrom(512)
            self.socket.sendto(self.answer(question), asker)

    def answer(self, packet):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode().lower())
            at += 1 + packet[at]
        question = packet[12 : at + 5]
        kind, = struct.unpack(">H", packet[at + 1 : at + 3])
        known = ".".join(labels) == self.name
        self.asked += known
        answers = b""
        if known and kind == A:
            answers = struct.pack(">HHHIH", POINTER, A, IN, KEEP, 4) + socket.inet_aton(self.address)
        flags = ANSWER | (0 if known else UNKNOWN)
        return packet[:2] + struct.pack(">HHHHH", flags, 1, 1 if answers else 0, 0, 0) + question + answers
