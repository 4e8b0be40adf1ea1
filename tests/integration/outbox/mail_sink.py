"""A mail server that takes mail and tells what came in, a line of JSON each, as an independent library reads it.

It prints its port first. Mail to an address that begins with `gone` is refused for good, and to one that begins with
`busy` it is put off.
"""

import email
import email.policy
import json
import sys
import time

from aiosmtpd.controller import Controller


def say(what):
    print(json.dumps(what), flush=True)


class Sink:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            return f"550 no such user {address}"
        if address.startswith("busy"):
            return f"451 {address} has too much mail"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        words = message.get_body(("plain",))
        calendars = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
        say(
            {
                "recipients": envelope.rcpt_tos,
                "from": str(message["From"]),
                "to": str(message["To"]),
                "subject": str(message["Subject"]),
                "messageId": str(message["Message-ID"]),
                "defects": [str(defect) for part in message.walk() for defect in part.defects],
                "body": words.get_content() if words else None,
                "calendar": calendars[0].get_payload(decode=True).decode() if calendars else None,
                "method": calendars[0].get_param("method") if calendars else None,
            }
        )
        return "250 OK"


controller = Controller(Sink(), hostname="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
if controller.port == 0:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
controller.start()
say({"port": controller.port})
while sys.stdin.read(1):
    time.sleep(0.1)
controller.stop()
