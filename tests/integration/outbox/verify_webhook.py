"""Checks a call of a webhook by the reference library: `{secret, headers, body}` as JSON on standard input."""

import json
import sys

from standardwebhooks import Webhook

call = json.load(sys.stdin)
Webhook(call["secret"]).verify(call["body"], call["headers"])
