"""A mail server that takes mail and tells what came in, a line of JSON each, as an independent library reads it.

It prints its port first. With a certificate, a key and a login it takes mail from those only who encrypt and sign in. Mail to an address that begins with `gone` is refused for good, and to one that begins with
`busy` it is put off.
"""

import argparse
import email
import email.policy
import json
import socket
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


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
                "encrypted": server.transport.get_extra_info("sslcontext") is not None,
                "signedInAs": session.auth_data.login.decode() if session.auth_data else None,
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


parser = argparse.ArgumentParser()
parser.add_argument("--encryption", choices=["none", "starttls", "tls"], default="none")
parser.add_argument("--certificate")
parser.add_argument("--key")
parser.add_argument("--user")
parser.add_argument("--password")
asked = parser.parse_args()


def authenticate(server, session, envelope, mechanism, login):
    known = LoginPassword(asked.user.encode(), asked.password.encode())
    return AuthResult(success=login == known, auth_data=login)


options = {}
if asked.encryption != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(asked.certificate, asked.key)
    # Only what STARTTLS has encrypted is known to the library as such.
    starttls = asked.encryption == "starttls"
    options = {"tls_context": context, "require_starttls": True} if starttls else {"ssl_context": context}
    options |= {"auth_required": True, "auth_require_tls": starttls, "authenticator": authenticate}
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
controller = Controller(Sink(), hostname="127.0.0.1", port=port, **options)
controller.start()
say({"port": port})
while sys.stdin.read(1):
    time.sleep(0.1)
controller.stop()
