"""Says commands to a monitor and prints the answers: qmp-say.py SOCKET 'NAME {ARGUMENTS}'...

With --raw SOCKET it sends what is on standard input and prints the answers as they are laid out, but for the greeting.
"""

import json
import socket
import sys

# Where the daemons say more than each other.
SILENT_EVENTS = ["SHUTDOWN"]


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.text = ""

    def value(self):
        """The next value that the monitor sends, and how it is laid out."""
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self.text.lstrip())
                text = self.text.lstrip()
                self.text = text[end:]
                return value, text[:end]
            except json.JSONDecodeError:
                received = self.socket.recv(65536)
                if received == b"":
                    raise EOFError("the monitor has gone")
                self.text += received.decode()

    def last_words(self):
        """What the monitor says to quit and until it is gone, in an order of its own."""
        self.socket.sendall(b'{"execute":"quit"}')
        said = []
        try:
            while True:
                value, _ = self.value()
                value.pop("timestamp", None)
                said.append(value)
        except EOFError:
            told = [value for value in said if value.get("event") not in SILENT_EVENTS]
            print("\n".join(sorted(json.dumps(value, sort_keys=True) for value in told)))

    def answer(self, message):
        self.socket.sendall(json.dumps(message).encode())
        while True:
            value, _ = self.value()
            value.pop("timestamp", None)
            if value.get("event") not in SILENT_EVENTS:
                print(json.dumps(value, sort_keys=True))
            if "event" not in value:
                return


def main(arguments):
    if arguments[0] == "--raw":
        monitor = Monitor(arguments[1])
        monitor.value()
        said = sys.stdin.read()
        monitor.socket.sendall(said.encode())
        for _ in range(said.count("execute")):
            print(monitor.value()[1].replace("\r\n", "<CR>\n"))
        return
    monitor = Monitor(arguments[0])
    monitor.value()
    monitor.socket.sendall(b'{"execute":"qmp_capabilities"}')
    monitor.value()
    for command in arguments[1:]:
        if command == "quit":
            monitor.last_words()
            return
        name, _, given = command.partition(" ")
        monitor.answer({"execute": name, "arguments": json.loads(given or "{}")})


main(sys.argv[1:])
